package nll

import (
	"context"
	"errors"

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
	repeats  bool // some passages are the same to the model
	bad      *dataset.Error
}

// tokenised is a row on its way to a page.
type tokenised struct {
	size    int // bytes of the line
	example *Example
	built   *Built
}

// pages sends pages until the input ends or ctx does: rows are read and tokenised
// beside the model, one page ahead of it.
func (j *Job) pages(ctx context.Context, in *dataset.Reader, out chan<- *page) error {
	rows := dataset.NewAhead(ctx, in, j.Limit, j.Rejects != nil, j.tokenise)
	return dataset.Pages(rows, out, func(rows *dataset.Ahead[tokenised]) (*page, bool) {
		p := j.page(rows)
		return p, p.err != nil // who scores the page reports it
	})
}

// page gathers rows until the page is full.
func (j *Job) page(rows *dataset.Ahead[tokenised]) *page {
	p := &page{}
	most := j.Page
	if most == 0 {
		most = DefaultPage
	}
	for len(p.seqs) < most && len(p.rows) < most && p.size < pageBytes {
		row, err := rows.Next()
		var bad *dataset.Error
		switch {
		case errors.As(err, &bad) && j.Rejects != nil:
			p.rows = append(p.rows, pageRow{bad: bad})
			p.size += len(bad.Raw)
		case err != nil:
			p.err = err
			return p
		default:
			p.add(row)
		}
	}
	return p
}

// add puts a row and its sequences on the page.
func (p *page) add(row tokenised) {
	p.rows = append(p.rows, pageRow{example: row.example, from: len(p.seqs), to: len(p.seqs) + len(row.built.Sequences),
		cuts: row.built.Cuts, differs: row.built.SpanDiffers, repeats: row.built.repeats(row.example.count())})
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

func (j *Job) tokenise(raw *dataset.Row) (tokenised, error) {
	ex, built, err := j.build(raw)
	return tokenised{len(raw.Raw), ex, built}, err
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
