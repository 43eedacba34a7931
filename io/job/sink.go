package job

import (
	"bufio"
	"encoding/json"
	"io"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/durable"
)

// sink is the output of a file: a file of its own, or standard output.
type sink interface {
	Output
	Last() *durable.Commit
	Kept() map[int][]json.RawMessage
	Notes() []string
	Finish(manifest func([]durable.File) ([]byte, error)) error
	Close() error
}

// file is an output file with its rejected rows, which appear together or not at all.
type file struct {
	*durable.Output
	rejects bool
}

func (f *file) Reject(bad *dataset.Error) error {
	if !f.rejects {
		return bad
	}
	return f.WriteSide(0, dataset.RejectLine(bad))
}

// Tell writes to the second of the files beside it.
func (f *file) Tell(line []byte) error { return f.WriteSide(1, line) }

// stream is standard output, where nothing can be gone on with.
type stream struct{ w *bufio.Writer }

func newStream(w io.Writer) *stream { return &stream{bufio.NewWriter(w)} }

func (s *stream) Last() *durable.Commit                             { return nil }
func (s *stream) Kept() map[int][]json.RawMessage                   { return nil }
func (s *stream) Notes() []string                                   { return nil }
func (s *stream) Keep(int, any) error                               { return nil }
func (s *stream) Tell([]byte) error                                 { return nil }
func (s *stream) Reject(bad *dataset.Error) error                   { return bad }
func (s *stream) EndBlock(int, any) error                           { return s.w.Flush() }
func (s *stream) Close() error                                      { return s.w.Flush() } // what was scored, in whole lines
func (s *stream) Finish(func([]durable.File) ([]byte, error)) error { return s.w.Flush() }

func (s *stream) Write(line []byte) error {
	if len(line) >= s.w.Available() {
		_ = s.w.Flush() // so that whole lines are written, wherever the process ends
	}
	_, _ = s.w.Write(line)
	return s.w.WriteByte('\n') // bufio keeps the first error
}
