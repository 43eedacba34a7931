package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
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
func (f *datasetFlags) datasets(files *fileFlags, inputs []string) ([]job.Pair, error) {
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
	var pairs []job.Pair
	for _, name := range names {
		out := strings.Replace(trainFile, ".", files.firstRows()+".", 1)
		pairs = append(pairs, job.Pair{In: filepath.Join(f.path, name, trainFile), Out: files.shardPath(filepath.Join(f.output, name, out)), Folder: true})
	}
	if err := job.CheckPairs(pairs); err != nil {
		return nil, withHint(err, "--output-dir must name another folder than that of the datasets")
	}
	return pairs, nil
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
	return dataset.Folders(f.path, trainFile)
}
