package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ortscore/ortscore/io/dataset"
)

// pair gives every input its output and refuses, before any work, what would
// overwrite something.
func (f *nllFlags) pair(inputs []string, modelName string) ([]filePair, error) {
	if len(inputs) == 0 {
		return nil, usagef("want an input file, got none")
	}
	if f.out != "" && len(inputs) > 1 {
		return nil, usagef("--out: want one input file, got %d", len(inputs))
	}
	name := f.saveName
	if name == "" {
		name = modelName
	}
	if name != filepath.Base(name) {
		return nil, usagef("--save-name: want a name, got a path: %q", name)
	}
	var pairs []filePair
	seen := map[string]bool{}
	for _, in := range inputs {
		p := filePair{in: in, out: f.out}
		switch {
		case p.out == "" && in == dataset.Stdin:
			p.out = dataset.Stdin
		case p.out == "":
			p.out = dataset.OutPath(in, name)
		}
		if seen[p.out] {
			return nil, usagef("want an output for each input, got %q twice", p.out)
		}
		seen[p.out] = true
		if err := f.checkPair(p); err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	return pairs, nil
}

func (f *nllFlags) checkPair(p filePair) error {
	if p.in != dataset.Stdin {
		if _, err := os.Stat(p.in); err != nil {
			return err
		}
	}
	if p.out == dataset.Stdin {
		switch {
		case f.json:
			return usagef("--json: want --out, since the scored rows go to standard output, got none")
		case f.onError == "skip":
			return usagef("--on-error skip: want --out, to put the rejected rows beside it, got none")
		}
		return nil
	}
	if p.in != dataset.Stdin && dataset.SameFile(p.in, p.out) {
		return usagef("%s: want an output other than the input, got the same file", p.out)
	}
	if _, err := os.Lstat(p.out); err == nil && !f.force && !f.dryRun {
		return withHint(usagef("%s: want a new file, got one that exists", p.out), "--force replaces it")
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sink is an output with its rejected rows, which appear together or not at all.
type sink struct {
	*dataset.Writer
	rejects *dataset.Rejects
}

// create opens the output of one file, and its file of rejected rows where bad
// rows are skipped.
func (s *scoring) create(p filePair) (output, error) {
	s.job.Rejects = nil
	if p.out == dataset.Stdin {
		return s.ui.lines(), nil
	}
	w, err := dataset.Create(p.out, s.flags.force)
	if err != nil {
		return nil, err
	}
	out := &sink{Writer: w}
	if s.flags.onError == "skip" {
		if out.rejects, err = dataset.NewRejects(p.out, s.flags.force); err != nil {
			_ = w.Abort()
			return nil, err
		}
		s.job.Rejects = out.rejects
	}
	return out, nil
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
