package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// Origin is what outputs are made by.
type Origin struct {
	Version   string
	Command   string
	Arguments []string // without secrets
	Identity  []manifest.Fact
	Files     []manifest.File // that were read, but for the input
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

// identify checks an input and makes the identity of its output. Standard input, which
// can be read only once, is not checked.
func (f *Files[R, A, S]) identify(ctx context.Context, in *input) (err error) {
	if in.In != dataset.Stdin {
		if err := f.share(ctx, in); err != nil {
			return err
		}
		if in.count, err = CheckFile(ctx, f.Check, in.In, in.Selection, f.Options.SkipBad); err != nil {
			return err
		}
		f.noteStale(in.In, in.count.Stale)
		in.identity = []manifest.Fact{{Name: "input", Value: "sha256 " + in.count.Input.SHA256()}}
	}
	if in.Out == dataset.Stdin {
		return nil
	}
	origin, err := f.origins(ctx)
	if err == nil {
		in.identity = append(in.identity, origin.Identity...)
	}
	return err
}

// noteStale says how many rows of an input keep scores that the run has not made.
func (f *Files[R, A, S]) noteStale(path string, rows int) {
	noun := "rows"
	if rows == 1 {
		noun = "row"
	}
	if rows > 0 {
		f.User.Note(fmt.Sprintf("%s: %d %s with score fields of another kind of run, which stay beside the new ones; --drop-scores removes them", path, rows, noun))
	}
}

func (f *Files[R, A, S]) origins(ctx context.Context) (*Origin, error) {
	if f.origin == nil {
		origin, err := f.Origin(ctx)
		if err != nil {
			return nil, err
		}
		f.origin = origin
	}
	return f.origin, nil
}

// share settles the rows of the shard, which are blocks of all rows of the input.
func (f *Files[R, A, S]) share(ctx context.Context, in *input) error {
	if f.Shard.Of == 0 {
		return nil
	}
	reader, err := dataset.Open(in.In)
	if err != nil {
		return err
	}
	defer reader.Close()
	for ; err == nil && (in.Limit == 0 || reader.Rows() < in.Limit); err = reader.Skip() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err != nil && err != io.EOF {
		return err
	}
	in.Total = reader.Rows()
	in.From, in.To = f.Shard.Rows(in.Total, BlockRows)
	return nil
}

// finished returns errFinished where the output is there already, of the same command
// and input, and says what differs where it is of others. The sum of a large input is
// known from the run that wrote it, so that this takes no time.
func (f *Files[R, A, S]) finished(ctx context.Context, in *input) error {
	info, err := os.Stat(in.Out)
	if err != nil || f.Force || in.In == dataset.Stdin || durable.Unfinished(in.Out) {
		return nil
	}
	m, err := manifest.Read(manifest.Path(in.Out))
	if err != nil || info.Size() != m.Output.Bytes { // which is refused where it is opened
		return nil
	}
	origin, err := f.origins(ctx)
	if err != nil {
		return err
	}
	if err := in.file.Hash(ctx, manifest.UserCache()); err != nil {
		return err
	}
	then := slices.DeleteFunc(slices.Clone(m.Identity), func(f manifest.Fact) bool { return f.Name == "input" })
	changes := durable.Changes(then, origin.Identity)
	if k := slices.IndexFunc(m.Files, func(f manifest.File) bool { return f.Role == manifest.Input }); k < 0 {
		changes = append(changes, "its input is not known")
	} else if m.Files[k].SHA256 != in.file.SHA256 {
		changes = append(changes, "the input has changed")
	}
	if len(changes) == 0 {
		return errFinished
	}
	return &existsError{in.Out, changes}
}

// existsError says that a finished output of other settings is in the way.
type existsError struct {
	path    string
	changes []string
}

func (e *existsError) Error() string {
	return fmt.Sprintf("%s: want a new file, got one that was made with other settings: %s", e.path, strings.Join(e.changes, "; "))
}

// Is makes the error one of the fs.ErrExist family.
func (e *existsError) Is(target error) bool { return target == fs.ErrExist }

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

// manifest writes down how an output was made.
func (f *Files[R, A, S]) manifest(ctx context.Context, in *input, sum S, files []durable.File, began clock) ([]byte, error) {
	summary, err := json.Marshal(sum)
	if err != nil {
		return nil, err
	}
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	c := sum.Count()
	m := &manifest.Manifest{Version: f.origin.Version, Command: f.origin.Command, Arguments: f.origin.Arguments, Folder: folder,
		Identity: in.identity, Machine: f.Machine(), Files: slices.Clone(f.origin.Files), Summary: summary,
		Shard:   manifest.Shard{Index: f.Shard.Index, Of: f.Shard.Of, From: in.From, To: in.To, Total: in.Total, Block: BlockRows},
		Counts:  manifest.Counts{Rows: c.Rows, Rejected: c.Rejected, Passages: c.Passages},
		Started: began.Started, Finished: time.Now(), Seconds: began.Seconds}
	if f.Shard.Of == 0 {
		m.Shard.To, m.Shard.Total = c.Rows+c.Rejected, c.Rows+c.Rejected
	}
	if in.In != dataset.Stdin {
		if in.file.SHA256 == "" {
			if err := in.file.Hash(ctx, manifest.UserCache()); err != nil {
				return nil, err
			}
		}
		m.Files = append(m.Files, in.file)
	}
	for _, file := range files {
		w := manifest.Written{Name: filepath.Base(file.Path), Bytes: file.Bytes, Lines: int64(file.Lines), SHA256: file.SHA256}
		switch file.Path {
		case in.Out:
			m.Output = w
		case manifest.RejectedPath(in.Out):
			m.Rejected = &w
		default:
			m.Answers = &w
		}
	}
	return manifest.Marshal(m)
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
