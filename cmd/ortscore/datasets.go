package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// datasetFlags name datasets in the layout of FlagEmbedding's Reinforced-IR: a
// folder for each, with a train.jsonl.
type datasetFlags struct {
	path, output string
	names        []string
}

func (f *datasetFlags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.path, "dataset-path", "", "a `folder` of datasets, NAME/train.jsonl, in place of input files")
	fs.StringVar(&f.output, "output-dir", "", "the `folder` that NAME/train.jsonl is written to, which must not be --dataset-path; a dataset that is finished there is passed over")
	fs.StringSliceVar(&f.names, "dataset-name", nil, "the datasets (default all in --dataset-path)")
}

// given says whether datasets are meant, and not files.
func (f *datasetFlags) given() bool { return f.path != "" || f.output != "" || len(f.names) > 0 }

const trainFile = "train.jsonl"

// datasets gives every dataset its output, and refuses one that is a dataset's own file.
func (f *datasetFlags) datasets(files *fileFlags, inputs []string) ([]filePair, error) {
	switch {
	case f.path == "":
		return nil, fmt.Errorf("--dataset-path: want a folder for --output-dir and --dataset-name, got none")
	case f.output == "":
		return nil, fmt.Errorf("--output-dir: want a folder for --dataset-path, got none")
	case len(inputs) > 0 || files.out != "":
		return nil, fmt.Errorf("--dataset-path: want datasets or files, got both")
	}
	if info, err := os.Stat(f.output); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%s: want a folder, got a file", f.output)
	}
	names, err := f.list()
	if err != nil {
		return nil, err
	}
	var pairs []filePair
	for _, name := range names {
		out := strings.Replace(trainFile, ".", files.firstRows()+".", 1)
		pairs = append(pairs, filePair{in: filepath.Join(f.path, name, trainFile), out: filepath.Join(f.output, name, out), dataset: true})
	}
	if err := files.checkClashes(pairs); err != nil {
		return nil, withHint(err, "--output-dir must name another folder than that of the datasets")
	}
	return pairs, nil
}

// unfinished leaves out the datasets that an earlier run has finished, and says so.
func (f *fileFlags) unfinished(ui *ui, pairs []filePair) []filePair {
	return slices.DeleteFunc(pairs, func(p filePair) bool {
		if f.force || !finished(p) {
			return false
		}
		ui.notes([]string{p.out + ": finished before, and passed over; --force makes it anew"})
		return true
	})
}

// finished says whether a dataset's output is whole.
func finished(p filePair) bool {
	info, err := os.Stat(p.out)
	return err == nil && info.Mode().IsRegular()
}

// list returns the names that were given, or those of all folders with a
// train.jsonl, in order.
func (f *datasetFlags) list() ([]string, error) {
	if len(f.names) > 0 {
		for i, name := range f.names {
			if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
				return nil, fmt.Errorf("--dataset-name: want a name, got %q", name)
			}
			if slices.Contains(f.names[:i], name) {
				return nil, fmt.Errorf("--dataset-name: want each name once, got %q twice", name)
			}
		}
		return f.names, nil
	}
	found, err := os.ReadDir(f.path)
	var bad *fs.PathError
	if errors.As(err, &bad) {
		return nil, fmt.Errorf("%s: want a folder, got %w", f.path, bad.Err)
	} else if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range found {
		if _, err := os.Stat(filepath.Join(f.path, entry.Name(), trainFile)); err == nil {
			names = append(names, entry.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: want folders with a %s, got none", f.path, trainFile)
	}
	return names, nil
}

// makeFolder makes the folders of a dataset's output, and returns what takes them
// away again as far as they are empty.
func (p filePair) makeFolder() (undo func(), err error) {
	var made []string // the innermost first
	undo = func() {
		for _, dir := range made {
			_ = os.Remove(dir)
		}
	}
	if !p.dataset {
		return undo, nil
	}
	inner := filepath.Dir(p.out)
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
