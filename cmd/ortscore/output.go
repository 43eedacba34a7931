package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
)

// pair gives every input its output and refuses, before any work, what would
// overwrite something or cannot be written.
func (f *fileFlags) pair(inputs []string, modelName string) ([]job.Pair, error) {
	if len(inputs) == 0 {
		return nil, fmt.Errorf("want an input file, got none")
	}
	if f.out != "" && len(inputs) > 1 {
		return nil, fmt.Errorf("--out: want one input file, got %d", len(inputs))
	}
	if f.saveName != "" && f.saveName != filepath.Base(f.saveName) {
		return nil, fmt.Errorf("--save-name: want a name, got a path: %q", f.saveName)
	}
	var pairs []job.Pair
	for _, in := range inputs {
		if err := job.CheckInput(in); err != nil {
			return nil, err
		}
		if in == dataset.Stdin && f.shard.Of > 0 {
			return nil, withHint(errors.New("--shard: want a file, got standard input, whose rows cannot be counted first"), "give each process its rows, without --shard")
		}
		out := f.out
		if out == "" && in == dataset.Stdin {
			out = dataset.Stdin
		} else if out == "" {
			out = dataset.OutPath(in, f.kind, cmp.Or(f.saveName, modelName+f.firstRows()))
		}
		pairs = append(pairs, job.Pair{In: in, Out: f.shardPath(out)})
	}
	if err := job.CheckPairs(pairs); err != nil {
		return nil, err
	}
	for _, p := range pairs {
		if err := f.checkStreams(p); err != nil {
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

// shardPath is where the shard of an output lies.
func (f *fileFlags) shardPath(out string) string {
	if out == dataset.Stdin {
		return out
	}
	return f.shard.Path(out)
}
