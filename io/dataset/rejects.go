package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"unicode/utf8"

	"github.com/ortscore/ortscore/io/atomicfile"
)

// Rejects writes the bad rows of a run, with their reasons, beside its output.
// The file is there only if there were any. It is not safe for concurrent use.
type Rejects struct {
	path  string
	force bool
	w     *Writer // nil before the first bad row
}

// NewRejects prepares {out}.rejected.jsonl without writing anything. Without
// force, such a file of an earlier run is an error for which errors.Is(err,
// fs.ErrExist) holds: it is better to hear of it now than at the first bad row,
// which may be hours away.
func NewRejects(out string, force bool) (*Rejects, error) {
	r := &Rejects{path: out + ".rejected.jsonl", force: force}
	if !force {
		// Opening and dropping it also tells of a folder that cannot be written.
		probe, err := atomicfile.Create(r.path, false)
		if err != nil {
			return nil, err
		}
		if err := probe.Abort(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Path is where the bad rows go.
func (r *Rejects) Path() string { return r.path }

// Add writes one bad row.
func (r *Rejects) Add(bad *Error) error {
	if r.w == nil {
		w, err := Create(r.path, r.force)
		if err != nil {
			return err
		}
		r.w = w
	}
	return r.w.Write(RejectLine(bad))
}

// Commit puts the file in place. If there were no bad rows it removes the file
// of an earlier run that this one replaces, which would mislead.
func (r *Rejects) Commit() error {
	if r.w != nil {
		return r.w.Commit()
	}
	if !r.force {
		return nil
	}
	if err := os.Remove(r.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Abort throws the file away and leaves an earlier one. After Commit it does
// nothing, so that it can be deferred.
func (r *Rejects) Abort() error {
	if r.w == nil {
		return nil
	}
	return r.w.Abort()
}

// RejectLine is the line of a bad row, without its line end: {"file", "line",
// "error", "row"}. The row is the JSON as it stood in its file, so that the mended
// ones can be scored later; a string of the line, with U+FFFD for bytes that are
// not UTF-8, if it was not valid JSON; null if it was too long to keep.
func RejectLine(bad *Error) []byte {
	row := []byte("null")
	if bad.Raw != nil {
		row = bytes.TrimSpace(bad.Raw)
		if !utf8.Valid(row) || !json.Valid(row) {
			row = quote(string(bad.Raw))
		}
	}
	reason := bad.reason()
	if bad.Column > 0 {
		reason = fmt.Sprintf("column %d: %s", bad.Column, reason)
	}
	return fmt.Appendf(nil, `{"file": %s, "line": %d, "error": %s, "row": %s}`,
		quote(bad.File), bad.Line, quote(reason), row)
}

// quote writes a JSON string that stays readable: no \u003c for "<".
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string in memory: nothing can fail
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
