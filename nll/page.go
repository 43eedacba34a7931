package nll

import (
	"context"
	"errors"
	"io"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// pageSequences is how many sequences are sorted and packed together: enough
// that batches hold rows of like length, few enough that memory stays flat
// whatever the file's size.
const pageSequences = 2048

// page is a run of rows that are scored together and written in order.
type page struct {
	rows []pageRow
	seqs []model.Sequence // of all rows, one after another
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

// pages reads, tokenises and sends pages until the input ends or ctx does. It
// runs beside the model, one page ahead of it.
func (j *Job) pages(ctx context.Context, in *dataset.Reader) <-chan *page {
	out := make(chan *page, 1)
	go func() {
		defer close(out)
		for left := j.Limit; ; {
			p := j.readPage(ctx, in, &left)
			select {
			case out <- p:
			case <-ctx.Done():
				return
			}
			if p.err != nil {
				return
			}
		}
	}()
	return out
}

// readPage reads rows until the page is full. left counts the rows that may
// still be read, where j.Limit bounds them.
func (j *Job) readPage(ctx context.Context, in *dataset.Reader, left *int) *page {
	p := &page{}
	for len(p.seqs) < pageSequences && len(p.rows) < pageSequences {
		if ctx.Err() != nil || j.Limit > 0 && *left == 0 {
			p.err = io.EOF
			return p
		}
		*left--
		row, err := j.readRow(in, p)
		var bad *dataset.Error
		switch {
		case errors.As(err, &bad) && j.Rejects != nil:
			row = pageRow{bad: bad}
		case err != nil:
			p.err = err
			return p
		}
		p.rows = append(p.rows, row)
	}
	return p
}

// readRow reads the next row and puts its sequences on the page.
func (j *Job) readRow(in *dataset.Reader, p *page) (pageRow, error) {
	ex, built, err := j.Next(in)
	if err != nil {
		return pageRow{}, err
	}
	row := pageRow{example: ex, from: len(p.seqs), to: len(p.seqs) + len(built.Sequences),
		cuts: built.Cuts, differs: built.SpanDiffers}
	p.seqs = append(p.seqs, built.Sequences...)
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
	ex, err := j.read(raw)
	if err != nil {
		return nil, nil, err
	}
	built, err := j.Builder.Build(ex)
	return ex, built, err
}
