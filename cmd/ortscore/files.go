package main

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"
)

// fileFlags say what is read and written, and what is shown of it.
type fileFlags struct {
	in            []string
	out, saveName string
	onError       string
	force         bool
	limit         int
	dryRun        bool
	quiet, json   bool
	dropScores    bool
	stats         bool

	kind         string // of the scores, in an output's name: scored or ranked
	keepsRejects bool   // rows can be rejected with --on-error stop as well
}

// filePair is an input with its output; - stands for the standard streams.
type filePair struct {
	in, out string

	dataset bool // of --dataset-path: the output's folder is made
}

// add adds the flags. kind is that of the scores, and onError are the words that
// --on-error takes, the default first.
func (f *fileFlags) add(fs *pflag.FlagSet, kind string, onError ...string) {
	f.kind, f.onError = kind, onError[0]
	fs.StringArrayVar(&f.in, "in", nil, "an input `file`, as well as those in the arguments; - for standard input (seed name: --eval_data)")
	fs.StringVar(&f.out, "out", "", "the output `file` (default {stem}."+kind+".{save-name}{ext} beside the input)")
	fs.StringVar(&f.saveName, "save-name", "", "the model's `name` in the output's name (default that of its folder or of its repository, with .first{limit} behind it)")
	fs.Var(word[string]{&f.onError, oneOf(onError...)}, "on-error", "at a bad row: stop, or skip it into {out}.rejected.jsonl")
	fs.BoolVar(&f.force, "force", false, "replace an output that exists")
	fs.BoolVar(&f.dropScores, "drop-scores", false, "remove the score fields that a row has of another kind of run")
	fs.Var(atLeast{&f.limit, 0}, "limit", "score only the first `n` rows of each file")
	fs.BoolVar(&f.dryRun, "dry-run", false, "show the first row's text and an estimate of the work, and score nothing")
	fs.BoolVar(&f.quiet, "quiet", false, "no progress and no summary")
	fs.BoolVar(&f.stats, "stats", false, "say in the summary how busy the model was, and what memory it took")
	fs.BoolVar(&f.json, "json", false, "write the summary as JSON to standard output")
}

// begin settles what is shown, and lists the inputs.
func (f *fileFlags) begin(ui *ui, args []string) ([]string, error) {
	ui.quiet = f.quiet
	if f.dryRun && f.json {
		return nil, fmt.Errorf("--json: want a run that scores, got --dry-run")
	}
	return append(slices.Clone(f.in), args...), nil
}

// rejects says whether an output may have a file of rejected rows.
func (f *fileFlags) rejects() bool { return f.keepsRejects || f.onError != "stop" }
