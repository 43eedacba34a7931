package nll

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// pageSequences is how many sequences are sorted and packed together: enough
// that batches hold rows of like length, few enough that memory stays flat
// whatever the file's size.
const pageSequences = 1024

// pageBytes bounds a page's lines as well: a line may be of 64 MiB.
const pageBytes = 64 << 20

// page is a run of rows that are scored together and written in order.
type page struct {
	rows []pageRow
	seqs []model.Sequence // of all rows, one after another
	size int              // bytes of the rows' lines
	err  error            // why reading ended after these rows; io.EOF at the end
}

// pageRow is one row of a page: an example with its part of the page's
// sequences, or the reason it has none.
type pageRow struct {
	example  *Example
	from, to int // seqs[from:to]
	cuts     int
	differs  bool
	bad      *dataset.Error
}

// pager reads and tokenises pages beside the model, one page ahead of it.
type pager struct {
	job     *Job
	in      *dataset.Reader
	pages   chan *page
	reading atomic.Bool // in.Next is under way
}

// run sends pages until the input ends or ctx does.
func (g *pager) run(ctx context.Context) {
	defer close(g.pages)
	for left := g.job.Limit; ; {
		p := g.page(ctx, &left)
		select {
		case g.pages <- p:
		case <-ctx.Done():
			return
		}
		if p.err != nil {
			return
		}
	}
}

// stopWait is how long a stop waits for a read that is under way.
const stopWait = time.Second

// drain waits until run has ended, once its context has: what it reads from and
// tokenises with may be closed after that. A read from a terminal or a pipe can
// block for ever; such a one is left behind, and touches nothing when it ends.
func (g *pager) drain() {
	wait := time.NewTicker(stopWait)
	defer wait.Stop()
	for {
		select {
		case _, open := <-g.pages:
			if !open {
				return
			}
		case <-wait.C:
			if g.reading.Load() {
				return
			}
		}
	}
}

// page reads rows until the page is full. left counts the rows that may still
// be read, where Limit bounds them.
func (g *pager) page(ctx context.Context, left *int) *page {
	p := &page{}
	for len(p.seqs) < pageSequences && len(p.rows) < pageSequences && p.size < pageBytes {
		if ctx.Err() != nil || g.job.Limit > 0 && *left == 0 {
			p.err = io.EOF
			return p
		}
		*left--
		row, err := g.row(ctx, p)
		var bad *dataset.Error
		switch {
		case errors.As(err, &bad) && g.job.Rejects != nil:
			row = pageRow{bad: bad}
			p.size += len(bad.Raw)
		case err != nil:
			p.err = err
			return p
		}
		p.rows = append(p.rows, row)
	}
	return p
}

// row reads the next row and puts its sequences on the page.
func (g *pager) row(ctx context.Context, p *page) (pageRow, error) {
	g.reading.Store(true)
	raw, err := g.in.Next()
	g.reading.Store(false)
	if ctx.Err() != nil {
		return pageRow{}, ctx.Err()
	}
	if err != nil {
		return pageRow{}, err
	}
	ex, built, err := g.job.build(raw)
	if err != nil {
		return pageRow{}, err
	}
	row := pageRow{example: ex, from: len(p.seqs), to: len(p.seqs) + len(built.Sequences),
		cuts: built.Cuts, differs: built.SpanDiffers}
	p.seqs = append(p.seqs, built.Sequences...)
	p.size += len(raw.Raw)
	return row, nil
}

// read understands a row and checks it against what is to be written.
func (j *Job) read(raw *dataset.Row) (*Example, error) {
	ex, err := ReadExample(raw, j.Task, j.Answers, j.Seed)
	if err != nil {
		return nil, err
	}
	if ex.History && j.Fields != TeacherFields {
		return nil, raw.Errorf("history", "want pos and neg for pos_scores and neg_scores, got history")
	}
	return ex, nil
}

// Next reads one row and tokenises it, as Run does; io.EOF at the end.
func (j *Job) Next(in *dataset.Reader) (*Example, *Built, error) {
	raw, err := in.Next()
	if err != nil {
		return nil, nil, err
	}
	return j.build(raw)
}

// build understands and tokenises a row.
func (j *Job) build(raw *dataset.Row) (*Example, *Built, error) {
	ex, err := j.read(raw)
	if err != nil {
		return nil, nil, err
	}
	built, err := j.Builder.Build(ex)
	return ex, built, err
}
