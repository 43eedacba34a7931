package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/dataset"
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

// ranking is a run of ortscore rank: the teacher, the job, and the files.
type ranking struct {
	flags   *rankFlags
	ui      *ui
	teacher rankTeacher
	job     *rank.Job
	files   []filePair

	contents []dataset.Content // of the files when they were checked
	rejected []string          // files of rejected rows that were written
	broken   int               // datasets that were passed over
	stats    decodeStats
}

func (f *rankFlags) run(ctx context.Context, ui *ui, args []string) error {
	r := &ranking{flags: f, ui: ui}
	inputs, err := f.begin(ui, args)
	if err != nil {
		return err
	}
	if err := f.checkUsed(); err != nil {
		return err
	}
	if r.job, err = f.job(); err != nil {
		return err
	}
	if r.teacher, err = f.teacher(r); err != nil {
		return err
	}
	defer r.teacher.close()
	if f.datasetFlags.given() {
		r.files, err = f.datasets(&f.fileFlags, inputs)
		r.files = f.unfinished(ui, r.files)
	} else {
		r.files, err = f.pair(inputs, r.teacher.name())
	}
	if err != nil {
		return err
	}
	if len(r.files) == 0 {
		return r.nothingLeft()
	}
	if f.dryRun {
		return r.dryRun(ctx)
	}
	return r.rank(ctx)
}

// failures bounds what fails over the run.
func (r *ranking) failures() *rank.Failures { return &rank.Failures{Most: r.flags.maxFailures} }

// job makes the job from the flags that need no model.
func (f *rankFlags) job() (*rank.Job, error) {
	if f.firstID > 1 {
		return nil, fmt.Errorf("--first-id: want 0 or 1, got %d", f.firstID)
	}
	if err := rank.CheckWindow(f.window, f.step); err != nil {
		return nil, fmt.Errorf("--window, --step: %w", err)
	}
	if f.scores == rank.Confidence && (f.decode == freeDecoding || f.modelType == remoteModel) {
		return nil, fmt.Errorf("--scores confidence: want constrained decoding with a model of your own, which alone knows the probabilities, got another")
	}
	if slices.Contains(f.stop, "") {
		return nil, fmt.Errorf("--stop: want a text, got an empty one")
	}
	template, err := f.readTemplate()
	if err != nil {
		return nil, err
	}
	return &rank.Job{
		Fitter:           rank.Fitter{Template: template, First: f.firstID},
		PassageMaxLength: f.passageMaxLength,
		Order:            f.order, Seed: f.seed, Permutations: f.permutations, Aggregate: f.aggregate,
		Window: f.window, Step: f.step, Passes: f.passes,
		Scores: f.scores, Relabel: f.relabel, DropScores: f.dropScores, Limit: f.limit,
		EqualScores: f.onError == "equal", SkipBad: f.onError != "stop",
	}, nil
}

func (f *rankFlags) readTemplate() (*rank.Template, error) {
	if f.promptTemplate == "" {
		return rank.DefaultTemplate(), nil
	}
	text, err := readText(f.promptTemplate)
	if err != nil {
		return nil, err
	}
	t, err := rank.ParseTemplate(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.promptTemplate, err)
	}
	return t, nil
}

// rank checks all files, then ranks one after another. A dataset with a bad row is
// named and passed over; what else goes wrong would do so in the next as well.
func (r *ranking) rank(ctx context.Context) error {
	counts, err := r.check(ctx)
	if err != nil {
		return err
	}
	if err := r.teacher.start(ctx, r.ui); err != nil {
		return err
	}
	total := &rank.Summary{}
	start := time.Now()
	var done []filePair
	for i, pair := range r.files {
		sum, err := r.rankFile(ctx, pair, counts[i], r.contents[i])
		var bad *dataset.Error
		switch {
		case err == nil:
			total.Add(sum)
			done = append(done, pair)
		case !(errors.As(err, &bad) || errors.Is(err, dataset.ErrChanged)) || !r.passOver(ctx, err):
			r.ui.noteWritten(done)
			return err
		}
	}
	if len(done) == 0 {
		return r.allBroken()
	}
	r.stats.Seconds = time.Since(start).Seconds()
	r.stats.usage = newUsage(r.teacher, r.stats.busy, r.stats.Seconds)
	r.ui.rankSummary(r.flags.json, r.report(total, done), r.flags.fileFlags.stats)
	if total.NoRanking > 0 || total.Rejected > 0 || r.broken > 0 {
		return errPartial
	}
	return nil
}

// passOver says whether a run goes on after an error: with the next of several
// datasets, but not once it was stopped.
func (r *ranking) passOver(ctx context.Context, err error) bool {
	if !r.flags.datasetFlags.given() || len(r.files) == 1 || ctx.Err() != nil {
		return false
	}
	r.ui.fail(err)
	r.broken++
	return true
}

// nothingLeft ends a run whose datasets were all finished before.
func (r *ranking) nothingLeft() error {
	if r.flags.json {
		r.stats.usage = newUsage(r.teacher, 0, 0)
		r.ui.rankSummary(true, r.report(&rank.Summary{}, nil), false)
	}
	return nil
}

func (r *ranking) allBroken() error {
	return fmt.Errorf("--dataset-path: want a dataset that can be ranked, got %s", count(r.broken, "broken one"))
}

// check reads every file once before any work is done, and leaves out the
// datasets that are broken. Standard input, which can be read only once, is not
// read.
func (r *ranking) check(ctx context.Context) ([]rank.Count, error) {
	var counts []rank.Count
	var good []filePair
	for _, pair := range r.files {
		count, content, err := r.checkPair(ctx, pair)
		switch {
		case err == nil:
			counts, good = append(counts, count), append(good, pair)
			r.contents = append(r.contents, content)
		case !r.passOver(ctx, err):
			return nil, err
		}
	}
	if len(good) == 0 {
		return nil, r.allBroken()
	}
	r.files = good
	return counts, nil
}

// checkPair counts an input and, for a dataset, looks at what pair has looked at
// for other files.
func (r *ranking) checkPair(ctx context.Context, pair filePair) (count rank.Count, content dataset.Content, err error) {
	if pair.in == dataset.Stdin {
		return count, content, nil
	}
	if pair.dataset {
		if err := checkInput(pair.in); err != nil {
			return count, content, err
		}
		if err := r.flags.checkOutput(pair); err != nil {
			return count, content, err
		}
	}
	in, err := dataset.Open(pair.in)
	if err != nil {
		return count, content, err
	}
	defer in.Close()
	count, err = r.job.Check(ctx, in)
	r.ui.noteStale(pair.in, count.Stale)
	return count, in.Content(), err
}

// rankFile ranks one file. Its output appears under its name only when it is
// whole.
func (r *ranking) rankFile(ctx context.Context, pair filePair, count rank.Count, content dataset.Content) (sum *rank.Summary, err error) {
	in, err := openInput(ctx, pair.in)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	undo, err := pair.makeFolder()
	if err != nil {
		return nil, err
	}
	defer undo()
	var out output
	if out, r.job.Rejects, err = r.flags.create(r.ui, pair); err != nil {
		return nil, err
	}
	defer out.Abort()
	bar := r.ui.progress(pair.in, "lists", count.Lists, 0)
	r.stats.bar = bar
	sum, err = r.job.Run(ctx, in, out)
	bar.done()
	if errors.Is(err, rank.ErrNoRankings) {
		err = withHint(err, "--dry-run shows the first prompt; --max-failures allows more of them")
	}
	if err == nil {
		err = checkUnchanged(in, pair, content)
	}
	if err != nil {
		return nil, err
	}
	if pair.in == dataset.Stdin {
		r.ui.noteStale(pair.in, sum.Stale)
	}
	if sum.Rejected > 0 {
		r.rejected = append(r.rejected, r.job.Rejects.Path())
	}
	if sum.Rows+sum.Rejected == 0 {
		r.ui.notes([]string{pair.in + ": want rows to rank, got none"})
	}
	return sum, out.Commit()
}
