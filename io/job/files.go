package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/durable"
	"github.com/ortscore/ortscore/io/manifest"
	"github.com/ortscore/ortscore/io/shard"
)

// Files runs a scorer over files, each into an output of its own, which goes on after
// every ending where it is started again.
type Files[R, A any, S Total[S]] struct {
	Check   func(*dataset.Row) (Work, error) // of the scorer
	Summary func() S                         // makes an empty one
	// Start opens the model, once all inputs are checked. page is Options.Page.
	Start func(ctx context.Context) (scorer Scorer[R, A, S], page int, err error)
	// Origin tells what the outputs depend on; it is asked once.
	Origin func(ctx context.Context) (*Origin, error)
	// Machine is what else the model runs on, once it is open.
	Machine func() []manifest.Fact

	Options  Options
	Shard    shard.Shard
	Force    bool // replace finished outputs
	Resume   durable.Resume
	Rejects  bool // there is a place for rejected rows, but for standard output
	PassOver bool // inputs that are broken are named and left out

	Stdout io.Writer
	User   User

	Result
	Total  S
	origin *Origin
}

// Total is a summary that others of its kind are added to.
type Total[S any] interface {
	Summary
	Add(S)
}

// User is told of a run.
type User interface {
	// Note is what a person should know though nothing failed.
	Note(text string)
	// Fail is an error after which the run goes on.
	Fail(err error)
	// Opened is called with each output, for a process that ends without closing it.
	Opened(out *durable.Output)
	// Begin is called before a file is scored, with the units of work that are left;
	// the function that it returns, after that.
	Begin(pair Pair, units int) (end func())
}

// Result is what a run leaves behind.
type Result struct {
	Outputs       []string `json:"outputs"`
	RejectedFiles []string `json:"rejected_files"`
	Finished      []string `json:"finished_before"` // outputs that were there already
	Broken        int      `json:"broken_datasets"` // inputs that were passed over
	Seconds       float64  `json:"-"`               // of scoring, the model's loading left out
}

// input is one of the files of a run.
type input struct {
	Pair
	Selection
	out      sink
	undo     func() // takes folders away that were made for nothing
	count    Count
	file     manifest.File
	identity []manifest.Fact
}

// errFinished says that the output of an input is there already.
var errFinished = errors.New("finished before")

// Run checks all inputs, then scores one after another. Where PassOver is set, an input
// with a bad row is named and passed over; what else goes wrong would do so in the next
// as well.
func (f *Files[R, A, S]) Run(ctx context.Context, pairs []Pair) error {
	var inputs []*input
	defer func() {
		for _, in := range inputs {
			_ = in.out.Close()
			in.undo()
		}
	}()
	f.Total, f.Result = f.Summary(), Result{Outputs: []string{}, RejectedFiles: []string{}, Finished: []string{}}
	for _, pair := range pairs {
		in, err := f.open(ctx, pair)
		switch {
		case err == nil:
			inputs = append(inputs, in)
		case errors.Is(err, errFinished):
			f.User.Note(pair.Out + ": finished before, by the same command; --force makes it anew")
			f.Finished = append(f.Finished, pair.Out)
		case !f.passOver(ctx, err, len(pairs)):
			return err
		}
	}
	if len(inputs) > 0 {
		if err := f.scoreAll(ctx, inputs, len(pairs)); err != nil {
			return err
		}
	}
	return f.allBroken(len(f.Outputs) + len(f.Finished))
}

// allBroken is the error of inputs of which so many are good.
func (f *Files[R, A, S]) allBroken(good int) error {
	if f.Broken > 0 && good == 0 {
		return fmt.Errorf("want an input that can be scored, got %d broken ones", f.Broken)
	}
	return nil
}

func (f *Files[R, A, S]) scoreAll(ctx context.Context, inputs []*input, all int) error {
	scorer, page, err := f.Start(ctx)
	if err != nil {
		return err
	}
	f.Options.Page = page
	start := time.Now()
	defer func() { f.Seconds = time.Since(start).Seconds() }()
	for _, in := range inputs {
		sum, err := f.score(ctx, scorer, in)
		switch {
		case err == nil:
			f.Total.Add(sum)
			f.done(in, sum.Count())
		case !ofInput(err) || !f.passOver(ctx, err, all):
			for _, path := range f.Outputs {
				f.User.Note("wrote " + path + ", before the error")
			}
			return err
		}
	}
	return nil
}

// ofInput says whether an error is of the input alone.
func ofInput(err error) bool {
	var bad *dataset.Error
	return errors.As(err, &bad) || errors.Is(err, dataset.ErrChanged) || errors.Is(err, ErrChanged)
}

// passOver says whether a run goes on after an error: with the next of several inputs,
// but not once it was stopped.
func (f *Files[R, A, S]) passOver(ctx context.Context, err error, files int) bool {
	if !f.PassOver || files == 1 || ctx.Err() != nil {
		return false
	}
	f.User.Fail(err)
	f.Broken++
	return true
}

// open opens an input's output, and checks the input once the output is this run's.
func (f *Files[R, A, S]) open(ctx context.Context, pair Pair) (in *input, err error) {
	in = &input{Pair: pair, Selection: f.Options.Selection, undo: func() {}, file: manifest.File{Role: manifest.Input, Path: pair.In}}
	if pair.Out == dataset.Stdin {
		in.out = newStream(f.Stdout)
		return in, f.identify(ctx, in)
	}
	if err := f.finished(ctx, in); err != nil {
		return nil, err
	}
	if in.undo, err = pair.makeFolder(); err != nil {
		return nil, err
	}
	sides := []string{manifest.RejectedSuffix}
	if f.Options.Told {
		sides = append(sides, manifest.AnswersSuffix)
	}
	out, err := durable.Open(durable.Options{Path: pair.Out, Force: f.Force, Resume: f.Resume, Sides: sides,
		Identify: func(done int) ([]manifest.Fact, error) {
			in.Done = done
			err := f.identify(ctx, in)
			// The shards of an output have one identity, and are not each other's.
			return append(slices.Clip(in.identity), manifest.Fact{Name: "shard", Value: f.Shard.String()}), err
		}})
	if errors.Is(err, durable.ErrFinished) {
		err = errFinished
	}
	if err != nil {
		in.undo()
		return nil, err
	}
	f.User.Opened(out)
	in.out, in.Done = &file{out, f.Rejects}, 0
	if last := out.Last(); last != nil {
		in.Done = last.Rows
	}
	return in, nil
}

// score scores one file.
func (f *Files[R, A, S]) score(ctx context.Context, scorer Scorer[R, A, S], in *input) (sum S, err error) {
	sum = f.Summary()
	reader, err := Open(ctx, in.In)
	if err != nil {
		return sum, err
	}
	defer reader.Close()
	for _, note := range in.out.Notes() {
		f.User.Note(note)
	}
	opts, resume, began := f.Options, Resume{Answers: in.out.Kept()}, clock{Started: time.Now()}
	opts.Selection = in.Selection
	if in.In == dataset.Stdin && in.Out == dataset.Stdin {
		opts.Page = 0 // whoever writes a block waits for its scores
	}
	if last := in.out.Last(); last != nil {
		resume.State = last.State
		if err := json.Unmarshal(last.State, &began); err != nil {
			return sum, fmt.Errorf("the journal's state: %w", err)
		}
	}
	start, end := time.Now(), f.User.Begin(in.Pair, in.count.Units)
	err = Run(ctx, scorer, reader, in.out, opts, resume, sum)
	end()
	if err == nil && in.In != dataset.Stdin {
		err = reader.Changed(in.count.Scored)
	}
	if err != nil {
		return sum, err
	}
	began.Seconds += time.Since(start).Seconds()
	return sum, in.out.Finish(func(files []durable.File) ([]byte, error) { return f.manifest(ctx, in, sum, files, began) })
}

// done takes note of a finished file.
func (f *Files[R, A, S]) done(in *input, count *Counts) {
	f.Outputs = append(f.Outputs, in.Out)
	if in.In == dataset.Stdin {
		f.noteStale(in.In, count.Stale)
	}
	if count.Rejected > 0 {
		f.RejectedFiles = append(f.RejectedFiles, manifest.RejectedPath(in.Out))
	}
	if count.Rows+count.Rejected == 0 {
		f.User.Note(in.In + ": want rows, got none")
	}
}
