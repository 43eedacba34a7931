package rank

import (
	"context"
	"errors"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// Job ranks the passages of files.
type Job struct {
	Teacher   Teacher
	Fitter    Fitter
	Tokenizer model.Tokenizer // counts the tokens of a passage

	PassageMaxLength int // tokens of a passage; the rest is cut
	Order            OrderChoice
	Seed             uint64 // of the order shown
	Permutations     int    // rankings of a row, each of its passages in another order
	Aggregate        Method
	Window, Step     int // passages of a prompt, and how far the next one moves
	Passes           int // through all windows
	Scores           Kind
	Relabel          bool // the first passage becomes pos, the others neg
	DropScores       bool // remove the score fields of ortscore nll
	EqualScores      bool // for rows without a ranking, which keep their labels; else they are rejected
	SkipBad          bool // reject bad rows; else they end the run
	Limit            int  // rows of a file that are ranked; 0 for all
	Page             int  // rows that are ranked together; 0 for DefaultPage

	// Rejects takes rows without scores. Without it the first of them ends the run.
	Rejects *dataset.Rejects
}

// Output is where ranked lines go.
type Output interface{ Write(line []byte) error }

// Run ranks the rows of in and writes them to out, in order: page by page, the
// next window of every row is ranked, until no row has one left. While a page is
// with the teacher, the next is read and tokenised and the one before written.
func (j *Job) Run(ctx context.Context, in *dataset.Reader, out Output) (*Summary, error) {
	sum, pages, ranked := &Summary{}, make(chan *page), make(chan *page, 1)
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return j.pages(inner, in, pages) })
	group.Go(func() error { return j.rankPages(inner, pages, ranked) })
	group.Go(func() error {
		for p := range ranked {
			for _, r := range p.rows {
				if err := j.write(r, out, sum); err != nil {
					return err
				}
			}
		}
		return nil
	})
	err := group.Wait()
	if ctx.Err() != nil {
		return sum, ctx.Err()
	}
	return sum, err
}

// rankPages ranks page by page. What was ranked before an error is written all
// the same.
func (j *Job) rankPages(ctx context.Context, pages <-chan *page, ranked chan<- *page) error {
	defer close(ranked)
	for p := range pages {
		if p.err != nil && p.err != io.EOF {
			return p.err
		}
		if err := j.rank(ctx, p.rows); err != nil {
			return err
		}
		select {
		case ranked <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// row is one row on its way.
type row struct {
	example  *Example
	prepared *Prepared
	rankings []*ranking   // [Permutations]
	cut      map[int]bool // distinct passages that were not shown whole
	bad      *dataset.Error
}

// ranking is one of a row's rankings.
type ranking struct {
	row     *row
	shown   []int // distinct passages, in the order of the first prompt
	sort    *Sort
	next    *List     // the prompt of the next window, once it is made
	read    []Reading // of its windows
	failure string    // why it has no ranking; "" while it has
}

// rank ranks all rows, one window of each ranking in a round.
func (j *Job) rank(ctx context.Context, rows []*row) error {
	for {
		round, lists, err := j.round(rows)
		if err != nil || len(lists) == 0 {
			return err
		}
		readings, err := j.Teacher.Rank(ctx, lists)
		if err != nil {
			return err
		}
		for i, reading := range readings {
			round[i].apply(reading)
		}
	}
}

// round gathers the prompts of the next windows. Those of the first are there
// since the row was read.
func (j *Job) round(rows []*row) (round []*ranking, lists []List, err error) {
	group := errgroup.Group{}
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, r := range rows {
		group.Go(func() error { return j.fit(r) })
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		for _, k := range r.rankings {
			if r.bad == nil && k.next != nil {
				round, lists = append(round, k), append(lists, *k.next)
				k.next = nil
			}
		}
	}
	return round, lists, nil
}

// fit makes the prompts of a row's next windows, where they are not made yet.
func (j *Job) fit(r *row) error {
	for _, k := range r.rankings {
		if r.bad != nil || k.failure != "" || k.next != nil || k.sort.Window() == nil {
			continue
		}
		prompt, err := j.Fitter.Fit(r.prepared, k.sort.Window())
		if errors.As(err, &r.bad) && j.SkipBad {
			return nil
		}
		if err != nil {
			return err
		}
		for _, i := range prompt.Cut {
			r.cut[i] = true
		}
		k.next = &List{prompt.Text, prompt.Tokens, len(k.sort.Window())}
	}
	return nil
}

// apply takes what the teacher made of the ranking's window. One window without a
// ranking leaves the whole without: the order shown is not the teacher's.
func (k *ranking) apply(r Reading) {
	k.read = append(k.read, r)
	if k.failure = r.failure(); k.failure == "" {
		k.sort.Apply(r.Order, r.Confidence)
	}
}
