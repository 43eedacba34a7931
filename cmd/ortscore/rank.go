package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/rank"
)

// rankFlags are the flags of ortscore rank.
type rankFlags struct {
	teacherFlags
	fileFlags
	datasetFlags
	decodeFlags
	endpointFlags
	modelType                   modelType
	promptTemplate              string
	date                        date
	firstID                     int
	passageMaxLength, maxLength int
	scores                      rank.Kind
	relabel                     bool
	order                       rank.OrderChoice
	permutations                int
	aggregate                   rank.Method
	window, step, passes        int
	maxFailures                 int
	seed                        uint64
}

// modelType says what the teacher is, and so how it is asked.
type modelType string

const (
	baseModel   modelType = "llm"          // goes on from a text
	instructed  modelType = "llm_instruct" // answers in its own chat template
	remoteModel modelType = "gpt"          // answers behind an endpoint
)

func rankCommand() (*pflag.FlagSet, func(context.Context, *ui, []string) error) {
	f := &rankFlags{modelType: instructed, date: defaultDate, passageMaxLength: 512, scores: rank.Reciprocal,
		order: rank.ShuffledOrder, permutations: 1, aggregate: rank.Borda, window: 20, step: 10, passes: 1, maxFailures: 50}
	f.keepsRejects = true
	fs := newFlags("rank")
	f.teacherFlags.add(fs)
	fs.Var(word[modelType]{&f.modelType, oneOf(baseModel, instructed, remoteModel)}, "model-type", "llm: a base model; llm_instruct: by its chat template; gpt: behind an endpoint")
	f.fileFlags.add(fs, "ranked", "stop", "skip", "equal")
	fs.Lookup("on-error").Usage = "at a bad row: stop, or skip it into {out}.rejected.jsonl, where rows without a ranking go in any case; equal gives those equal scores"
	fs.Var(atLeast{&f.maxFailures, 0}, "max-failures", "`n` lists in a row without a ranking end the run, as does half of the first 4n; 0 never ends it")
	fs.BoolVar(&f.keepAnswers, "keep-answers", false, "write what the teacher answered about each list into {out}.answers.jsonl")
	f.datasetFlags.add(fs)
	fs.StringVar(&f.promptTemplate, "prompt-template", "", "a `file` with a prompt of your own, with {query} and {passages}, also {n}, {first}, {last}, {example}")
	fs.Var(&f.date, "date", "the `day` that a chat template sees as today")
	fs.Var(atLeast{&f.firstID, 0}, "first-id", "the first passage's identifier: 0 or 1")
	fs.Var(atLeast{&f.passageMaxLength, 1}, "passage-max-length", "tokens of a passage; the rest is cut")
	fs.Var(atLeast{&f.maxLength, 0}, "max-length", "tokens of prompt and answer; all passages are cut evenly to fit (default the model's context)")
	fs.Var(word[rank.Kind]{&f.scores, rank.ParseKind}, "scores", "reciprocal, linear, dcg, confidence or reference")
	fs.BoolVar(&f.relabel, "relabel", false, "make the first passage pos and the others neg, in the order of their ranks")
	fs.Var(word[rank.OrderChoice]{&f.order, rank.ParseOrderChoice}, "order", "in which passages are shown: shuffle or input")
	fs.Var(atLeast{&f.permutations, 1}, "permutations", "rankings of each row, its passages shuffled anew for each")
	fs.Var(word[rank.Method]{&f.aggregate, rank.ParseMethod}, "aggregate", fmt.Sprintf("how permutations become one ranking: borda or kemeny (to %d passages)", rank.MaxKemeny))
	fs.Var(atLeast{&f.window, 2}, "window", "passages of one prompt; a longer list is ranked window by window, from its end")
	fs.Var(atLeast{&f.step, 1}, "step", "passages from one window to the next")
	fs.Var(atLeast{&f.passes, 1}, "passes", "how often a list is gone through")
	fs.Uint64Var(&f.seed, "seed", 42, "seed of the order shown and of sampling")
	f.decodeFlags.add(fs)
	f.endpointFlags.add(fs)
	return fs, f.run
}

func (f *rankFlags) run(ctx context.Context, ui *ui, args []string) error {
	inputs, err := f.begin(ui, args)
	if err != nil {
		return err
	}
	if err := f.checkUsed(); err != nil {
		return err
	}
	scorer, err := f.scorer()
	if err != nil {
		return err
	}
	stats := &decodeStats{}
	t, err := f.teacher(ui, stats, scorer)
	if err != nil {
		return err
	}
	defer t.close()
	pairs, err := f.pairs(inputs, t.name())
	if err != nil {
		return err
	}
	files := newFiles[*rank.Example, rank.Answer, *rank.Summary]("rank", &f.fileFlags, ui, t, "lists", stats)
	files.Check, files.Summary, files.Options.Apart = scorer.Check, func() *rank.Summary { return &rank.Summary{} }, true
	files.Start = func(ctx context.Context) (job.Scorer[*rank.Example, rank.Answer, *rank.Summary], int, error) {
		teacher, page, err := t.start(ctx)
		ready := *scorer
		ready.Teacher = teacher
		return &ready, page, err
	}
	if f.dryRun {
		return runDry(ctx, ui, f.json, files, pairs, rankDryRun(ui, t, scorer, stats))
	}
	if err := files.Run(ctx, pairs); err != nil {
		return err
	}
	ui.rankSummary(f.json, f.report(ui, t, files.Total, stats, files.Result), f.fileFlags.stats)
	if files.Total.NoRanking > 0 {
		return errPartial
	}
	return leavesOut(files.Result, files.Total.Count())
}

// pairs are the files of the run, with their outputs.
func (f *rankFlags) pairs(inputs []string, name string) ([]job.Pair, error) {
	if f.passOver = f.datasetFlags.given(); f.passOver {
		return f.datasets(&f.fileFlags, inputs)
	}
	return f.pair(inputs, name)
}
