package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/manifest"
	"github.com/ortscore/ortscore/io/shard"
	"github.com/ortscore/ortscore/nll"
	"github.com/ortscore/ortscore/rank"
)

// mergeFlags are the flags of ortscore merge.
type mergeFlags struct {
	out   string
	force bool
}

func mergeCommand() (*pflag.FlagSet, func(context.Context, *ui, []string) error) {
	f := &mergeFlags{}
	fs := newFlags("merge")
	fs.StringVar(&f.out, "out", "", "the output `file` (default the shards' name without their numbers)")
	fs.BoolVar(&f.force, "force", false, "replace an output that exists")
	return fs, f.run
}

func (f *mergeFlags) run(ctx context.Context, ui *ui, args []string) error {
	out, shards, err := f.files(args)
	if err != nil {
		return err
	}
	m, err := manifest.Merge(ctx, out, f.force, shards, addSummaries, func(text string) { ui.notes([]string{text}) })
	switch {
	case errors.Is(err, manifest.ErrUnfinished):
		return withHint(err, "run the command of each again: it goes on from where it was cut")
	case errors.Is(err, fs.ErrExist):
		return withHint(err, "--force replaces it")
	case err != nil:
		return err
	}
	ui.merged(out, m)
	if m.Counts.Rejected > 0 {
		return errPartial
	}
	return nil
}

// files settles the output and the shards: those that are named, or, for a single name
// that is no shard's, those that lie beside it.
func (f *mergeFlags) files(args []string) (out string, shards []string, err error) {
	if len(args) == 0 {
		return "", nil, withHint(errors.New("want the shards of an output, got none"), "ortscore merge out.jsonl joins out.?????-of-?????.jsonl")
	}
	if _, _, isShard := shard.Split(args[0]); len(args) == 1 && !isShard {
		out, shards = args[0], nil
		if shards, err = findShards(args[0]); err != nil {
			return "", nil, err
		}
	} else {
		shards = args
		for i, path := range args {
			name, _, ok := shard.Split(path)
			if f.out == "" && (!ok || i > 0 && name != out) {
				return "", nil, fmt.Errorf("--out: want a name for the output of shards that have no name in common, got none")
			}
			out = name
		}
	}
	if f.out != "" {
		out = f.out
	}
	return out, shards, nil
}

// findShards lists the shards of an output that lie beside it, those that are missing or
// unfinished too.
func findShards(out string) (shards []string, err error) {
	dir := filepath.Dir(out)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var first shard.Shard
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), ".partial"), ".journal")
		of, s, ok := shard.Split(name)
		switch {
		case !ok || of != filepath.Base(out):
		case first.Of == 0:
			first = s
		case s.Of != first.Of:
			return nil, withHint(fmt.Errorf("%s: want shards of one run beside it, got %s and %s", out, first.Path(of), s.Path(of)), "name those that are meant")
		}
	}
	if first.Of == 0 {
		return nil, fmt.Errorf("%s: want shards such as %s beside it, got none", out, shard.Shard{Index: 0, Of: 8}.Path(filepath.Base(out)))
	}
	for i := range first.Of {
		shards = append(shards, shard.Shard{Index: i, Of: first.Of}.Path(out))
	}
	return shards, nil
}

// addSummaries adds up what the shards of a command say of their work.
func addSummaries(command string, all []json.RawMessage) (json.RawMessage, error) {
	switch command {
	case "nll":
		return addAll[nll.Summary](all)
	case "rank":
		return addAll[rank.Summary](all)
	}
	return nil, fmt.Errorf("want shards of nll or rank, got shards of %s", command)
}

func addAll[S any, P interface {
	*S
	Add(*S)
}](all []json.RawMessage) (json.RawMessage, error) {
	total := new(S)
	for _, text := range all {
		one := new(S)
		if err := json.Unmarshal(text, one); err != nil {
			return nil, fmt.Errorf("a shard's summary: %w", err)
		}
		P(total).Add(one)
	}
	return json.Marshal(total)
}
