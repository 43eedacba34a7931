package main

import (
	"os"
	"slices"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/durable"
	"github.com/ortscore/ortscore/io/shard"
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

	resume      durable.Resume
	restart     bool
	shard       shard.Shard
	shardNote   string // where it was taken from
	keepAnswers bool
	flags       *pflag.FlagSet
	args        []string // the inputs that stand in the arguments
	templates   []string // files of templates that were given
	passOver    bool     // broken inputs, and go on with the next

	kind         string // of the scores, in an output's name: scored or ranked
	keepsRejects bool   // rows can be rejected with --on-error stop as well
}

// add adds the flags. kind is that of the scores, and onError are the words that
// --on-error takes, the default first.
func (f *fileFlags) add(fs *pflag.FlagSet, kind string, onError ...string) {
	f.kind, f.onError = kind, onError[0]
	fs.StringArrayVar(&f.in, "in", nil, "an input `file`, as well as those in the arguments; - for standard input (seed name: --eval_data)")
	fs.StringVar(&f.out, "out", "", "the output `file` (default {stem}."+kind+".{save-name}{ext} beside the input)")
	fs.StringVar(&f.saveName, "save-name", "", "the model's `name` in the output's name (default that of its folder or of its repository, with .first{limit} behind it)")
	fs.Var(word[string]{&f.onError, oneOf(onError...)}, "on-error", "at a bad row: stop, or skip it into {out}.rejected.jsonl")
	f.flags, f.resume = fs, durable.Auto
	fs.Var(word[durable.Resume]{&f.resume, oneOf(durable.Auto, durable.Never)}, "resume", "an unfinished output of the same command: auto goes on with it, never refuses it")
	fs.BoolVar(&f.restart, "restart", false, "throw an unfinished output away and begin anew")
	fs.Var(&shardFlag{f}, "shard", "score one of n shards of the input: `i/n` with i from 0, or auto/n in an array of Slurm or an indexed job of Kubernetes")
	fs.BoolVar(&f.force, "force", false, "replace an output that exists")
	fs.BoolVar(&f.dropScores, "drop-scores", false, "remove the score fields that a row has of another kind of run")
	fs.Var(atLeast{&f.limit, 0}, "limit", "score only the first `n` rows of each file")
	fs.BoolVar(&f.dryRun, "dry-run", false, "show the first row's text, the bad rows, and an estimate of the work and its time; score nothing")
	fs.BoolVar(&f.quiet, "quiet", false, "no progress and no summary")
	fs.BoolVar(&f.stats, "stats", false, "say in the summary how busy the model was, and what memory it took")
	fs.BoolVar(&f.json, "json", false, "write the summary as JSON to standard output")
}

// begin settles what is shown, and lists the inputs.
func (f *fileFlags) begin(ui *ui, args []string) ([]string, error) {
	ui.quiet = f.quiet
	if f.shardNote != "" {
		ui.notes([]string{f.shardNote})
	}
	f.args = args
	return append(slices.Clone(f.in), args...), nil
}

// rejects says whether an output may have a file of rejected rows.
func (f *fileFlags) rejects() bool { return f.keepsRejects || f.onError != "stop" }

// shardFlag is the value of --shard.
type shardFlag struct{ to *fileFlags }

func (v *shardFlag) String() string {
	if v.to == nil || v.to.shard.Of == 0 {
		return ""
	}
	return v.to.shard.String()
}
func (v *shardFlag) Type() string { return "i/n" }
func (v *shardFlag) Set(text string) (err error) {
	v.to.shard, v.to.shardNote, err = shard.Parse(text, os.Getenv)
	return err
}
