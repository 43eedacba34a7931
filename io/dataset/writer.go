package dataset

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/ortscore/ortscore/io/atomicfile"
)

// Writer writes lines to a file that appears under its name only at Commit. It
// is not safe for concurrent use. Every Writer must end in Commit or Abort.
type Writer struct {
	file   *atomicfile.File
	packer io.WriteCloser // nil for plain text
	out    io.Writer      // packer, or file
}

// Create starts a file, .json or .jsonl, compressed where .gz or .zst follows.
// Without force, a file that exists is an error for which errors.Is(err,
// fs.ErrExist) holds: here, and in Commit for one that appears meanwhile.
func Create(path string, force bool) (*Writer, error) {
	_, _, compression, ok := splitPath(path)
	if !ok {
		return nil, fmt.Errorf("want a .json, .jsonl (also .gz, .zst) file, got %q", path)
	}
	file, err := atomicfile.Create(path, force)
	if err != nil {
		return nil, err
	}
	w := &Writer{file: file, out: file}
	switch compression {
	case ".gz":
		w.packer = gzip.NewWriter(file)
	case ".zst":
		w.packer, err = zstd.NewWriter(file, zstd.WithEncoderConcurrency(1))
		if err != nil {
			file.Abort()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if w.packer != nil {
		w.out = w.packer
	}
	return w, nil
}

// Write adds a line, which must not hold a line end, and its line end.
func (w *Writer) Write(line []byte) error {
	if _, err := w.out.Write(line); err != nil {
		return err
	}
	_, err := io.WriteString(w.out, "\n")
	return err
}

// Commit puts the file, whole and synced, at its path. After an error, of this or
// of an earlier Write, the path is as it was before Create.
func (w *Writer) Commit() error {
	if w.packer != nil {
		if err := w.packer.Close(); err != nil {
			w.file.Abort()
			return err
		}
	}
	return w.file.Commit()
}

// Abort throws the file away. After Commit it does nothing, so that it can be
// deferred.
func (w *Writer) Abort() error { return w.file.Abort() }
