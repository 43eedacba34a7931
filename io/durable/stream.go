package durable

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// bufferSize is the size of a write buffer: large enough that a system call is
// rare beside the work of making a line.
const bufferSize = 64 << 10

// Mark is how far a stream has come.
type Mark struct {
	Offset int64  `json:"offset"` // bytes of the file
	Lines  int64  `json:"lines"`
	SHA256 string `json:"sha256"` // of these bytes, in hexadecimal
}

// packer compresses what is written between Reset and Close to one gzip member
// or zstd frame.
type packer interface {
	io.WriteCloser
	Reset(io.Writer)
}

// stream is one of the files that grow.
type stream struct {
	sys     filesystem.System
	name    string // for messages: the path as the caller spelled it
	target  string // the same with symbolic links followed
	partial string
	old     fs.FileInfo       // of the file at target that is to be replaced; nil if there is none
	handle  filesystem.Handle // nil before open and after close
	buf     *bufio.Writer
	packer  packer // nil for plain text
	packing bool   // a member or frame has begun
	sum     hash.Hash
	offset  int64
	lines   int64
	synced  int64 // offset of the last sync
}

// newStream gives the stream of the file at name.
func newStream(sys filesystem.System, name string, compressed bool) (*stream, error) {
	s := &stream{sys: sys, name: name, sum: sha256.New()}
	var err error
	if s.target, err = filesystem.FollowLinks(name); err != nil {
		return nil, filesystem.Fail(name, "create", err)
	}
	s.partial = s.target + ".partial"
	ext := filepath.Ext(name)
	switch {
	case compressed && ext == ".gz":
		s.packer = gzip.NewWriter(s)
	case compressed && ext == ".zst":
		// An empty output is an empty frame, which is read as such, and not an
		// empty file, which is not.
		s.packer, err = zstd.NewWriter(s, zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

// size is how many bytes the partial file has; 0 if there is none.
func (s *stream) size() (int64, error) {
	info, err := filesystem.Writable(s.sys, s.partial, s.partial, true)
	if err != nil || info == nil {
		return 0, err
	}
	return info.Size(), nil
}

// sums gives, for each offset that the file at path reaches, the hash of the
// bytes before it.
func sums(sys filesystem.System, path string, offsets []int64) (map[int64]hash.Hash, error) {
	offsets = slices.Compact(slices.Sorted(slices.Values(offsets)))
	all := map[int64]hash.Hash{0: sha256.New()}
	file, err := sys.Open(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := sha256.New()
	at := int64(0)
	for _, offset := range offsets {
		n, err := io.CopyN(sum, file, offset-at)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		at += n
		clone, err := sum.(hash.Cloner).Clone()
		if err != nil {
			return nil, err
		}
		all[offset] = clone
	}
	return all, nil
}

// holds says whether one of these sums is the one of the mark.
func (m Mark) holds(sums map[int64]hash.Hash) bool {
	sum := sums[m.Offset]
	return sum != nil && digest(sum) == m.SHA256
}

func digest(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil)) }

// start opens the partial file anew.
func (s *stream) start() error {
	// It may be a second name of a finished file.
	if err := s.sys.Remove(s.partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fail("create", err)
	}
	return s.open(os.O_WRONLY | os.O_CREATE | os.O_EXCL)
}

// resume opens the partial file and cuts it at the mark, before which it has
// the hash sum.
func (s *stream) resume(m Mark, sum hash.Hash) error {
	if err := s.open(os.O_WRONLY | os.O_CREATE); err != nil {
		return err
	}
	if err := s.handle.Truncate(m.Offset); err != nil {
		return s.fail("truncate", err)
	}
	if _, err := s.handle.Seek(m.Offset, io.SeekStart); err != nil {
		return s.fail("truncate", err)
	}
	s.sum, s.offset, s.lines, s.synced = sum, m.Offset, m.Lines, m.Offset
	return nil
}

func (s *stream) open(flag int) (err error) {
	if s.handle, err = s.sys.Open(s.partial, flag); err != nil {
		s.handle = nil
		return s.fail("create", err)
	}
	s.buf = bufio.NewWriterSize(s.handle, bufferSize)
	if s.old == nil {
		return nil
	}
	// What replaces a private file is private from the start.
	if err := s.sys.Chmod(s.partial, s.old.Mode().Perm()|0o600); err != nil {
		return s.fail("create", err)
	}
	return nil
}

// Write takes bytes of the file, which the packer makes.
func (s *stream) Write(p []byte) (int, error) {
	n, err := s.buf.Write(p)
	s.sum.Write(p[:n])
	s.offset += int64(n)
	return n, err
}

// line adds a line.
func (s *stream) line(line []byte) error {
	var w io.Writer = s
	if s.packer != nil {
		w = s.packer
		if !s.packing {
			s.packer.Reset(s)
			s.packing = true
		}
	}
	if _, err := w.Write(line); err != nil {
		return s.fail("write", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return s.fail("write", err)
	}
	s.lines++
	return nil
}

// end ends the member or frame that has begun.
func (s *stream) end() error {
	if !s.packing {
		return nil
	}
	s.packing = false
	if err := s.packer.Close(); err != nil {
		return s.fail("write", err)
	}
	return nil
}

// mark says how far the stream has come.
func (s *stream) mark() Mark { return Mark{s.offset, s.lines, digest(s.sum)} }

func (s *stream) flush() error {
	if err := s.buf.Flush(); err != nil {
		return s.fail("write", err)
	}
	return nil
}

// sync makes the first bytes durable, which were flushed before.
func (s *stream) sync(offset int64) error {
	if s.synced >= offset {
		return nil
	}
	if err := s.handle.Sync(); err != nil {
		return s.fail("sync", err)
	}
	s.synced = offset
	return nil
}

func (s *stream) close() error {
	if s.handle == nil {
		return nil
	}
	err := s.handle.Close()
	s.handle = nil
	if err != nil {
		return s.fail("close", err)
	}
	return nil
}

func (s *stream) fail(op string, err error) error { return filesystem.Fail(s.name, op, err) }
