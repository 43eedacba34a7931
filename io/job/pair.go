package job

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/manifest"
)

// Pair is an input with its output; - stands for the standard streams.
type Pair struct {
	In, Out string
	Folder  bool // the output's folder is made
}

// makeFolder makes the folders of the output, and returns what takes them away again as
// far as they are empty.
func (p Pair) makeFolder() (undo func(), err error) {
	var made []string // the innermost first
	undo = func() {
		for _, dir := range made {
			_ = os.Remove(dir)
		}
	}
	if !p.Folder {
		return undo, nil
	}
	inner := filepath.Dir(p.Out)
	for dir := inner; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, dir)
	}
	if err := os.MkdirAll(inner, 0o777); err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// CheckPairs refuses an output that is an input, its own or another's, and an output
// that two inputs share; also an input where files lie beside an output, since those of
// an older output are removed with it.
func CheckPairs(pairs []Pair) error {
	inputs, outputs := map[string]bool{}, map[string]bool{}
	for _, p := range pairs {
		inputs[realPath(p.In)] = true
	}
	for _, p := range pairs {
		if p.Out != dataset.Stdin && inputs[realPath(p.Out)] || dataset.SameFile(p.In, p.Out) {
			return fmt.Errorf("%s: want an output other than the input, got the same file", p.Out)
		}
		if outputs[realPath(p.Out)] {
			return fmt.Errorf("want an output for each input, got %q twice", p.Out)
		}
		outputs[realPath(p.Out)] = true
		for _, beside := range []string{manifest.RejectedPath(p.Out), p.Out + manifest.AnswersSuffix, manifest.Path(p.Out)} {
			if inputs[realPath(beside)] {
				return fmt.Errorf("%s: want a file beside the output other than the input, got the same file", beside)
			}
		}
	}
	return nil
}

// realPath is one spelling for all paths that lead to a file, be it there or not.
func realPath(path string) string {
	if path == dataset.Stdin {
		return path
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		if err != nil {
			dir = filepath.Dir(path)
		}
		real = filepath.Join(dir, filepath.Base(path))
	}
	if abs, err := filepath.Abs(real); err == nil {
		return abs
	}
	return real
}
