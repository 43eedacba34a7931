package nll

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// DefaultPage is how many sequences are sorted and packed together where a Job
// does not say: enough that batches hold rows of like length, few enough that
// memory stays flat whatever the file's size.
const DefaultPage = 1024

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
	job      *Job
	in       *dataset.Reader
	rows     chan *tokenised // in the input's order
	pages    chan *page
	reading  atomic.Bool  // in.Next is under way
	building atomic.Int32 // rows that are being tokenised
}

// tokenised is a row on its way to a page.
type tokenised struct {
	ready   chan struct{} // closed once the rest is set
	size    int           // bytes of the line
	example *Example
	built   *Built
	err     error
}

// newPager tokenises as many rows at once as there are cores.
func newPager(j *Job, in *dataset.Reader) *pager {
	return &pager{job: j, in: in, rows: make(chan *tokenised, runtime.GOMAXPROCS(0)), pages: make(chan *page)}
}

// run sends pages until the input ends or ctx does.
func (g *pager) run(ctx context.Context) {
	go g.read(ctx)
	defer close(g.pages)
	defer func() {
		for row := range g.rows {
			<-row.ready
		}
	}()
	for {
		p := g.page(ctx)
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

// read reads rows and has them tokenised, until an error that page ends with.
func (g *pager) read(ctx context.Context) {
	defer close(g.rows)
	for n := 0; ctx.Err() == nil; n++ {
		row := &tokenised{ready: make(chan struct{}), err: io.EOF}
		var raw *dataset.Row
		if g.job.Limit == 0 || n < g.job.Limit {
			g.reading.Store(true)
			raw, row.err = g.in.Next()
			g.reading.Store(false)
		}
		if ctx.Err() != nil { // no one may be there any more
			return
		}
		final := row.err != nil && !g.job.skips(row.err)
		g.building.Add(1)
		go func() {
			defer g.building.Add(-1)
			defer close(row.ready)
			if row.err == nil {
				row.size = len(raw.Raw)
				row.example, row.built, row.err = g.job.build(raw)
			}
		}()
		select {
		case g.rows <- row:
		case <-ctx.Done():
			<-row.ready
			return
		}
		if final {
			return
		}
	}
}

// skips says whether the run goes on after an error.
func (j *Job) skips(err error) bool {
	var bad *dataset.Error
	return j.Rejects != nil && errors.As(err, &bad)
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
			if g.reading.Load() && g.building.Load() == 0 {
				return
			}
		}
	}
}

// page gathers rows until the page is full.
func (g *pager) page(ctx context.Context) *page {
	p := &page{}
	most := g.job.Page
	if most == 0 {
		most = DefaultPage
	}
	for len(p.seqs) < most && len(p.rows) < most && p.size < pageBytes {
		row := <-g.rows
		if row == nil { // the run has been stopped
			p.err = ctx.Err()
			return p
		}
		<-row.ready
		if row.err != nil && !g.job.skips(row.err) {
			p.err = row.err
			return p
		}
		p.add(row)
	}
	return p
}

// add puts a row and its sequences on the page.
func (p *page) add(row *tokenised) {
	var bad *dataset.Error
	if errors.As(row.err, &bad) {
		p.rows = append(p.rows, pageRow{bad: bad})
		p.size += len(bad.Raw)
		return
	}
	p.rows = append(p.rows, pageRow{example: row.example, from: len(p.seqs), to: len(p.seqs) + len(row.built.Sequences),
		cuts: row.built.Cuts, differs: row.built.SpanDiffers})
	p.seqs = append(p.seqs, row.built.Sequences...)
	p.size += row.size
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
