// Package job runs a scorer over the rows of a file: it selects rows, reads and
// tokenises them ahead of the model, asks the model about them page by page, and
// writes them with their scores in the input's order. Whatever the model answers
// goes into a journal as it comes, and is replayed where a run goes on after it was
// cut short, so that it ends in the same bytes as one that was not.
//
// It knows files and rows, and no language model.
package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ortscore/ortscore/io/dataset"
)

// Scorer makes the scores of rows. R is a row that was understood, A is an answer of
// the model, and S is a summary of scored rows. A and S survive encoding/json.
type Scorer[R, A any, S Summary] interface {
	// Check understands a row and tokenises nothing. Bad data is a *dataset.Error,
	// here and in the other methods.
	Check(row *dataset.Row) (Work, error)

	// Read understands a row and tokenises it. Several goroutines may call it at once.
	Read(row *dataset.Row) (R, Work, error)

	// Ask asks the model about all rows of a page that their Answers leave open, and
	// gives each answer to keep as it comes. Rows that are computed together, in a way
	// that changes a bit of an answer, are rows of one block, and all its rows decide
	// on that, those with answers included.
	Ask(ctx context.Context, page []Block[R, A], keep func(row *Row[R, A], answer A) error) error

	// Scores makes the scores of a row out of its answers, in the order they came,
	// and adds the row to the summary.
	Scores(row R, answers []A, sum S) (*Scores, error)
}

// Work is how much work a row is.
type Work struct {
	Passages int  // that get a score
	Units    int  // what the model is asked: sequences, lists
	Stale    bool // the row keeps a score field that the run does not write

	// Of a row that was tokenised, about so many tokens, and the passages that were cut.
	Tokens, Cut int
}

// Row is a row on its way from its line to its scores.
type Row[R, A any] struct {
	Read    R
	Answers []A // of the model

	index   int // from 0, among the rows of the input
	work    Work
	size    int             // bytes of the line
	source  dataset.Content // of the input, up to and with the row
	bad     *dataset.Error  // why it has no scores; Read is not set then
	journal bool            // its answers go into the journal
}

// Block is the rows of a block that could be read.
type Block[R, A any] []*Row[R, A]

// Output is where rows go. Keep may be called beside the other methods.
type Output interface {
	// Keep puts an answer of the model into the journal.
	Keep(row int, answer any) error
	// Write writes a row with its scores.
	Write(line []byte) error
	// Reject writes a row without scores. Where there is no place for those it returns
	// bad, which then ends the run.
	Reject(bad *dataset.Error) error
	// Tell writes what a Teller tells.
	Tell(line []byte) error
	// EndBlock is called where everything up to a number of rows of the input was
	// written; state is what a run needs to go on from there.
	EndBlock(rows int, state any) error
}

// Options say how a file is run.
type Options struct {
	Selection
	SkipBad bool // bad rows are rejected; else the first of them ends the run
	Page    int  // units that the model is asked about at once; a block at least

	// Apart says that answers do not depend on the other rows of their block. They are
	// then kept of a block as well that could not be read to its end.
	Apart bool
	// Told says that what the scorer tells of a row is written; it is a Teller then.
	Told bool
}

// Resume is what an output holds of a run before, which ended early.
type Resume struct {
	State   json.RawMessage           // of its last EndBlock; nil without one
	Answers map[int][]json.RawMessage // of rows after that
}

// state is what EndBlock is given.
type state struct {
	Input   string `json:"input"` // SHA-256 of the input so far
	Summary any    `json:"summary"`
	clock
}

// clock is the time that a file has taken.
type clock struct {
	Started time.Time `json:"started"` // for the first time
	Seconds float64   `json:"seconds"` // of all starts
}

// Passing is an answer that may not be one: where Passing reports true, it is not put
// into the journal, so that the model is asked again after the run was cut short.
type Passing interface{ Passing() bool }

// Opener is a Scorer whose Ask may leave rows open: it cannot tell whether the model has
// nothing for these, or is away for all. They are not written before they are asked
// about again, together with the next page.
type Opener[R any] interface {
	Open(row R) bool
	// GiveUp is called at the end of the input with the rows that are open after they
	// were asked about once more. The error ends the run; without one, they have no
	// scores.
	GiveUp(rows []R) error
}

// Teller is a Scorer that tells what the model answered about a row, in lines of JSON;
// Scores was called with the row before, and may have rejected it.
type Teller[R any] interface {
	Tell(row R) ([][]byte, error)
}

// noScores is a row that is good, and for which the model has no scores.
type noScores struct{ bad *dataset.Error }

func (e noScores) Error() string { return e.bad.Error() }
func (e noScores) Unwrap() error { return e.bad }

// NoScores makes the error of Scores that rejects a good row, for which the model has
// nothing, whether bad rows end the run or not.
func NoScores(reason *dataset.Error) error { return noScores{reason} }

// ErrChanged is in the chain of the error where the input is not the one that the
// rows were read from that are there already.
var ErrChanged = errors.New("the rows that were scored before have changed")

// run is one run over a file.
type run[R, A any, S Summary] struct {
	Options
	scorer Scorer[R, A, S]
	in     *dataset.Reader
	out    Output
	sum    S
	kept   map[int][]json.RawMessage
	before state        // of the rows that are done
	begun  *block[R, A] // that is being read
	start  time.Time

	mu sync.Mutex // of rows' answers
}

// Run scores the selected rows of in and writes them to out, in order. While the
// model is asked about a page, the next is read and tokenised, and the one before
// written. What was read before a bad row is written before Run returns its error.
// sum is made whole by what resume knows of the rows that are done.
func Run[R, A any, S Summary](ctx context.Context, scorer Scorer[R, A, S], in *dataset.Reader, out Output, opts Options, resume Resume, sum S) error {
	r := &run[R, A, S]{Options: opts, scorer: scorer, in: in, out: out, sum: sum, kept: resume.Answers, start: time.Now()}
	r.before = state{Summary: sum, clock: clock{Started: r.start}}
	if resume.State != nil {
		if err := json.Unmarshal(resume.State, &r.before); err != nil {
			return fmt.Errorf("the journal's state: %w", err)
		}
	}
	pages, answered := make(chan *page[R, A]), make(chan *page[R, A], 1)
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return r.read(inner, pages) })
	group.Go(func() error { return r.ask(inner, pages, answered) })
	group.Go(func() error { return r.write(answered) })
	err := group.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// ask asks about page after page. What was read before an error is asked and handed
// on all the same.
func (r *run[R, A, S]) ask(ctx context.Context, pages <-chan *page[R, A], answered chan<- *page[R, A]) error {
	defer close(answered)
	var held []*block[R, A]
	for p := range pages {
		p.blocks, held = append(held, p.blocks...), nil
		open, err := r.askPage(ctx, p)
		if err != nil {
			return err
		}
		if open && !p.last {
			held = p.blocks
			continue
		}
		select {
		case answered <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

// askPage asks about a page, about the last one's open rows once more. It says whether
// there are open ones.
func (r *run[R, A, S]) askPage(ctx context.Context, p *page[R, A]) (open bool, err error) {
	opener, _ := r.scorer.(Opener[R])
	for tries := 0; ; tries++ {
		if err := r.scorer.Ask(ctx, p.readable(), r.keep); err != nil || opener == nil {
			return false, err
		}
		var rows []R
		for _, b := range p.readable() {
			for _, row := range b {
				if opener.Open(row.Read) {
					rows = append(rows, row.Read)
				}
			}
		}
		switch {
		case len(rows) == 0 || !p.last:
			return len(rows) > 0, nil
		case tries > 0:
			return false, opener.GiveUp(rows)
		}
	}
}

func (r *run[R, A, S]) keep(row *Row[R, A], answer A) error {
	r.mu.Lock()
	row.Answers = append(row.Answers, answer)
	r.mu.Unlock()
	if passing, ok := any(answer).(Passing); !row.journal || ok && passing.Passing() {
		return nil
	}
	return r.out.Keep(row.index, kept[A]{row.digest(), answer})
}

// kept is an answer in the journal, with what was read before it was asked for: an
// input that is read only once cannot be checked before it is gone on with.
type kept[A any] struct {
	Input  string `json:"input"`
	Answer A      `json:"answer"`
}

// digest tells of the input up to and with the row.
func (r *Row[R, A]) digest() string { return r.source.SHA256()[:16] }

// write writes the rows of pages as they come.
func (r *run[R, A, S]) write(answered <-chan *page[R, A]) error {
	for p := range answered {
		for _, b := range p.blocks {
			for _, row := range b.rows {
				if err := r.writeRow(row); err != nil {
					return err
				}
			}
			if !b.whole {
				continue
			}
			last := b.rows[len(b.rows)-1]
			now := state{last.source.SHA256(), r.sum, clock{r.before.Started, r.before.Seconds + time.Since(r.start).Seconds()}}
			if err := r.out.EndBlock(last.index+1, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeRow writes a row with its scores, or rejects it.
func (r *run[R, A, S]) writeRow(row *Row[R, A]) error {
	err := error(row.bad)
	if row.bad == nil {
		var scores *Scores
		scores, err = r.scorer.Scores(row.Read, row.Answers, r.sum)
		if err := r.tell(row.Read); err != nil {
			return err
		}
		if err == nil {
			return r.writeScores(scores)
		}
	}
	var bad *dataset.Error
	var none noScores
	switch {
	case errors.As(err, &none):
		bad = none.bad
	case !errors.As(err, &bad) || !r.SkipBad:
		return err
	}
	r.sum.Count().Rejected++
	return r.out.Reject(bad)
}

// tell writes what the model answered about a row, where that is wanted.
func (r *run[R, A, S]) tell(row R) error {
	teller, ok := r.scorer.(Teller[R])
	if !r.Told || !ok {
		return nil
	}
	lines, err := teller.Tell(row)
	for _, line := range lines {
		if err == nil {
			err = r.out.Tell(line)
		}
	}
	return err
}

func (r *run[R, A, S]) writeScores(scores *Scores) error {
	line, err := scores.line()
	if err != nil {
		return err
	}
	return r.out.Write(line)
}
