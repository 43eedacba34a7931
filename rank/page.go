package rank

import (
	"context"
	"errors"

	"github.com/ortscore/ortscore/io/dataset"
)

// DefaultPage is how many rows are ranked together where a Job does not say: so
// many that the decoder's rows stay full until near the end of the page.
const DefaultPage = 512

// pageBytes bounds a page's lines as well: a line may be of 64 MiB.
const pageBytes = 64 << 20

// page is a number of rows that are ranked together and written in order.
type page struct {
	rows []*row
	err  error // why reading ended after these rows; io.EOF at the end
}

// pages sends pages until the input ends or ctx does: rows are read and tokenised
// beside the teacher, one page ahead of it.
func (j *Job) pages(ctx context.Context, in *dataset.Reader, out chan<- *page) error {
	rows := dataset.NewAhead(ctx, in, j.Limit, j.SkipBad, j.begin)
	return dataset.Pages(rows, out, func(rows *dataset.Ahead[*row]) (*page, bool) {
		p := j.page(rows)
		return p, p.err != nil // who ranks the page reports it
	})
}

// page gathers rows until the page is full.
func (j *Job) page(rows *dataset.Ahead[*row]) *page {
	p := &page{}
	most := j.Page
	if most == 0 {
		most = DefaultPage
	}
	for size := 0; len(p.rows) < most && size < pageBytes; {
		r, err := rows.Next()
		var bad *dataset.Error
		switch {
		case errors.As(err, &bad) && j.SkipBad:
			r = &row{bad: bad}
			size += len(bad.Raw)
		case err != nil:
			p.err = err
			return p
		default:
			size += len(r.example.Row.Raw)
		}
		p.rows = append(p.rows, r)
	}
	return p
}

// begin understands a row, lays its rankings out and makes their first prompts.
func (j *Job) begin(raw *dataset.Row) (*row, error) {
	ex, err := ReadExample(raw)
	if err != nil {
		return nil, err
	}
	r := &row{example: ex, cut: map[int]bool{}}
	if r.prepared, err = Prepare(j.Tokenizer, ex, j.PassageMaxLength); err != nil {
		return nil, err
	}
	if err := j.Fitter.checkQuery(j.Tokenizer, r.prepared); err != nil {
		return nil, err
	}
	for k := range j.Permutations {
		shown := r.prepared.distinct(j.Order.Order(ex, j.Seed, k))
		r.rankings = append(r.rankings, &ranking{row: r, shown: shown, sort: NewSort(shown, j.Window, j.Step, j.Passes)})
	}
	return r, j.fit(r)
}
