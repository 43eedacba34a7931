package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/ortscore/ortscore/io/dataset"
)

// pair gives every input its output and refuses, before any work, what would
// overwrite something or cannot be written.
func (f *fileFlags) pair(inputs []string, modelName string) ([]filePair, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf("want an input file, got none")
	}
	if f.out != "" && len(inputs) > 1 {
		return nil, fmt.Errorf("--out: want one input file, got %d", len(inputs))
	}
	if f.saveName != "" && f.saveName != filepath.Base(f.saveName) {
		return nil, fmt.Errorf("--save-name: want a name, got a path: %q", f.saveName)
	}
	var pairs []filePair
	for _, in := range inputs {
		if err := checkInput(in); err != nil {
			return nil, err
		}
		out := f.out
		if out == "" && in == dataset.Stdin {
			out = dataset.Stdin
		} else if out == "" {
			out = dataset.OutPath(in, f.kind, cmp.Or(f.saveName, modelName+f.firstRows()))
		}
		pairs = append(pairs, filePair{in: in, out: out})
	}
	if err := f.checkClashes(pairs); err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if err := f.checkOutput(p); err != nil {
			return nil, err
		}
	}
	return pairs, nil
}

// firstRows marks the name of an output that --limit cuts short, so that it is not
// taken for a whole one, nor stands in its way.
func (f *fileFlags) firstRows() string {
	if f.limit == 0 {
		return ""
	}
	return fmt.Sprintf(".first%d", f.limit)
}

// checkClashes refuses an output that is an input, its own or another's, and an
// output that two inputs share.
func (f *fileFlags) checkClashes(pairs []filePair) error {
	inputs, outputs := map[string]bool{}, map[string]bool{}
	for _, p := range pairs {
		inputs[realPath(p.in)] = true
	}
	for _, p := range pairs {
		if p.out != dataset.Stdin && inputs[realPath(p.out)] || dataset.SameFile(p.in, p.out) {
			return fmt.Errorf("%s: want an output other than the input, got the same file", p.out)
		}
		if outputs[realPath(p.out)] {
			return fmt.Errorf("want an output for each input, got %q twice", p.out)
		}
		outputs[realPath(p.out)] = true
		// With force true this touches no file.
		if rejects, _ := dataset.NewRejects(p.out, true); f.rejects() && inputs[realPath(rejects.Path())] {
			return fmt.Errorf("%s: want a file for rejected rows other than the input, got the same file", rejects.Path())
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

// checkOutput tries, by making it and throwing it away, whether an output can be
// written: better now than hours later.
func (f *fileFlags) checkOutput(p filePair) error {
	if p.out == dataset.Stdin {
		switch {
		case f.json:
			return fmt.Errorf("--json: want --out, since the scored rows go to standard output, got none")
		case f.onError != "stop":
			return fmt.Errorf("--on-error %s: want --out, to put the rejected rows beside it, got none", f.onError)
		}
		return nil
	}
	if f.dryRun {
		return nil
	}
	undo, err := p.makeFolder()
	if err != nil {
		return err
	}
	defer undo()
	w, err := dataset.Create(p.out, f.force)
	if err == nil {
		err = w.Abort()
	}
	if err == nil && f.rejects() {
		_, err = dataset.NewRejects(p.out, f.force)
	}
	if errors.Is(err, fs.ErrExist) {
		return withHint(err, "--force replaces it")
	}
	return err
}

// sink is an output with its rejected rows, which appear together or not at all.
type sink struct {
	*dataset.Writer
	rejects *dataset.Rejects
}

// create opens the output of one file, and its file of rejected rows where it
// has a place.
func (f *fileFlags) create(ui *ui, p filePair) (output, *dataset.Rejects, error) {
	if p.out == dataset.Stdin {
		return ui.lines(), nil, nil
	}
	w, err := dataset.Create(p.out, f.force)
	if err != nil {
		return nil, nil, err
	}
	out := &sink{Writer: w}
	if f.rejects() {
		if out.rejects, err = dataset.NewRejects(p.out, f.force); err != nil {
			_ = w.Abort()
			return nil, nil, err
		}
	}
	return out, out.rejects, nil
}

// output is a file or standard output.
type output interface {
	Write(line []byte) error
	Commit() error
	Abort() error
}

// Commit puts the rejected rows in place first: scores without the list of what
// is missing would look whole.
func (s *sink) Commit() error {
	if s.rejects != nil {
		if err := s.rejects.Commit(); err != nil {
			return err
		}
	}
	return s.Writer.Commit()
}

func (s *sink) Abort() error {
	if s.rejects != nil {
		return errors.Join(s.rejects.Abort(), s.Writer.Abort())
	}
	return s.Writer.Abort()
}
