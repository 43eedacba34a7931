// Package verify holds an output of scores against its manifest: the bytes of its
// files, the files that it was made from, and, of some of its rows, the scores that are
// made of them again.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/manifest"
)

// Finding is what is known of a file.
type Finding struct {
	Path   string
	Role   string // "output", "beside it", or that of the manifest
	Bad    error  // why it is not what the manifest says; nil where it is
	Absent bool   // it was read for the output, and is not there any more
}

// Files looks at all files of a manifest, reading them from the first byte to the last:
// those of the output at out, and those that it was made from. The error is not about
// what they hold.
func Files(ctx context.Context, out string, m *manifest.Manifest) ([]Finding, error) {
	var all []Finding
	for _, w := range m.Written(out) {
		f := Finding{Path: w.Path, Role: "output", Bad: checkWritten(ctx, w.Path, w.Written)}
		if w.Path != out {
			f.Role = "beside it"
		}
		all = append(all, f)
	}
	for _, file := range m.Files {
		want := manifest.Written{Bytes: file.Bytes, SHA256: file.SHA256}
		bad := checkBytes(ctx, file.Path, want)
		absent := errors.Is(bad, fs.ErrNotExist)
		if absent {
			bad = nil
		}
		all = append(all, Finding{Path: file.Path, Role: file.Role, Bad: bad, Absent: absent})
	}
	return all, ctx.Err()
}

func checkBytes(ctx context.Context, path string, want manifest.Written) error {
	bytes, sum, err := manifest.Hash(ctx, path)
	if err != nil {
		return err
	}
	return want.Compare(path, bytes, sum)
}

// checkWritten also counts the lines, each of which must be a row.
func checkWritten(ctx context.Context, path string, want manifest.Written) error {
	if err := checkBytes(ctx, path, want); err != nil {
		return err
	}
	lines := int64(0)
	for row, err := range rows(path) {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		lines = int64(row.Line)
	}
	if lines != want.Lines {
		return fmt.Errorf("%s: want %d lines, as its manifest says, got %d", path, want.Lines, lines)
	}
	return nil
}

// rows goes over the rows of a file. After an error there is none.
func rows(path string) func(yield func(*dataset.Row, error) bool) {
	return func(yield func(*dataset.Row, error) bool) {
		in, err := dataset.Open(path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer in.Close()
		for {
			row, err := in.Next()
			if err == io.EOF || !yield(row, err) || err != nil {
				return
			}
		}
	}
}
