package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/ortscore/ortscore/io/dataset"
)

// A block is a run of rows of the input, bad ones included. It begins at a multiple of
// BlockRows or where the block before was full, so that a block is the same whichever
// rows were selected before it: what is computed together is decided by the block
// alone.
const (
	BlockRows  = 128
	blockUnits = 1024
	blockBytes = 64 << 20 // of lines, which may be of 64 MiB each
)

type block[R, A any] struct {
	rows  []*Row[R, A]
	units int
	size  int  // bytes of its lines
	whole bool // it was read to its end
}

// page is blocks that the model is asked about together.
type page[R, A any] struct {
	blocks []*block[R, A]
	err    error // why reading ended after these; nil at the end of the input as well
	last   bool
}

// readable are the rows of each block that could be read.
func (p *page[R, A]) readable() []Block[R, A] {
	var out []Block[R, A]
	for _, b := range p.blocks {
		var rows Block[R, A]
		for _, row := range b.rows {
			if row.bad == nil {
				rows = append(rows, row)
			}
		}
		if len(rows) > 0 {
			out = append(out, rows)
		}
	}
	return out
}

// read sends pages until the selection or the input ends, one page ahead of the model.
func (r *run[R, A, S]) read(ctx context.Context, out chan<- *page[R, A]) error {
	defer close(out)
	if err := r.skipDone(); err != nil {
		return err
	}
	rows := newAhead(ctx, r.in, r.end(), r.SkipBad, r.prepare)
	defer rows.Close()
	index := r.first()
	for {
		p := r.page(rows, &index)
		select {
		case out <- p:
		case <-ctx.Done():
			return ctx.Err()
		}
		if p.last {
			return nil
		}
	}
}

// skipDone passes over the rows before the selected ones, and over those that are done,
// which must be those that were read when they were scored.
func (r *run[R, A, S]) skipDone() error {
	for r.in.Rows() < r.first() {
		if err := r.in.Skip(); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
	}
	if r.before.Input != "" && (r.in.Rows() != r.Done || r.in.Content().SHA256() != r.before.Input) {
		return fmt.Errorf("%s: %w", r.in.Name(), ErrChanged)
	}
	return nil
}

// page gathers blocks until there is enough to ask, or no more rows come: whoever feeds
// a pipe may wait for what is made of those that were written.
func (r *run[R, A, S]) page(rows *ahead[*Row[R, A]], index *int) *page[R, A] {
	p := &page[R, A]{}
	for units := 0; !p.last && (units == 0 || units < r.Page); {
		b, err := r.block(rows, index, units > 0)
		if b == nil {
			break
		}
		if len(b.rows) > 0 {
			p.blocks = append(p.blocks, b)
		}
		units += max(b.units, 1)
		if p.last = err != nil; err != io.EOF {
			p.err = err
		}
	}
	return p
}

// block gathers rows until a block is full. Where it may leave off, it does so when no
// row comes soon: it returns nil then, and goes on when it is called again.
func (r *run[R, A, S]) block(rows *ahead[*Row[R, A]], index *int, mayLeave bool) (*block[R, A], error) {
	if r.begun == nil {
		r.begun = &block[R, A]{}
	}
	b := r.begun
	for {
		if mayLeave && !rows.Soon() {
			return nil, nil
		}
		row, err := rows.Next()
		if err == nil {
			row.index = *index
			err = r.recall(row)
		}
		if err != nil {
			b.whole = err == io.EOF && len(b.rows) > 0
			b.journal(b.whole || r.Apart)
			return b, err
		}
		b.rows = append(b.rows, row)
		*index++
		b.units, b.size = b.units+row.work.Units, b.size+row.size
		if *index%BlockRows == 0 || b.units >= blockUnits || b.size >= blockBytes {
			b.whole, r.begun = true, nil
			b.journal(true)
			return b, nil
		}
	}
}

func (b *block[R, A]) journal(on bool) {
	for _, row := range b.rows {
		row.journal = on
	}
}

// prepare reads a row. A bad one goes on as such where it does not end the run.
func (r *run[R, A, S]) prepare(line *dataset.Row, err error, at dataset.Content) (*Row[R, A], error) {
	row := &Row[R, A]{source: at}
	if err == nil {
		row.size = len(line.Raw)
		row.Read, row.work, err = r.scorer.Read(line)
	}
	if errors.As(err, &row.bad) && r.SkipBad {
		row.size, row.work = len(row.bad.Raw), Work{}
		return row, nil
	}
	return row, err
}

// recall gives a row the answers that were kept of it.
func (r *run[R, A, S]) recall(row *Row[R, A]) error {
	for _, text := range r.kept[row.index] {
		var k kept[A]
		if err := json.Unmarshal(text, &k); err != nil {
			return fmt.Errorf("the journal's answers of row %d: %w", row.index+1, err)
		}
		if k.Input != row.digest() {
			return fmt.Errorf("%s: %w", r.in.Name(), ErrChanged)
		}
		row.Answers = append(row.Answers, k.Answer)
	}
	delete(r.kept, row.index)
	return nil
}
