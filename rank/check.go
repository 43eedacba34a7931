package rank

import (
	"context"
	"errors"
	"io"

	"github.com/ortscore/ortscore/io/dataset"
)

// Count tells how much work a file is.
type Count struct {
	Rows     int // good rows
	Bad      int // bad rows, where they are skipped
	Passages int
	Lists    int // prompts: windows, passes and permutations
	Stale    int // rows that will keep scores of another run
}

// Check reads a whole file as Run would, short of tokenising, and counts it.
func (j *Job) Check(ctx context.Context, in *dataset.Reader) (Count, error) {
	var c Count
	for left := j.Limit; j.Limit == 0 || left > 0; left-- {
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		raw, err := in.Next()
		var ex *Example
		if err == nil {
			ex, err = ReadExample(raw)
		}
		var bad *dataset.Error
		switch {
		case err == io.EOF:
			return c, nil
		case errors.As(err, &bad) && j.SkipBad:
			c.Bad++
		case err != nil:
			return c, err
		default:
			n := ex.distinct()
			if j.stale(ex) && !j.Relabel {
				c.Stale++
			}
			c.Rows++
			c.Passages += len(ex.Passages)
			if n > 1 {
				c.Lists += j.Permutations * j.Passes * len(windows(n, j.Window, j.Step))
			}
		}
	}
	return c, nil
}

// First makes the first prompt of a file as Run would, and tells its row's line;
// nil for a file that needs none.
func (j *Job) First(in *dataset.Reader) (*List, int, error) {
	for {
		raw, err := in.Next()
		var r *row
		if err == nil {
			r, err = j.begin(raw)
		}
		var bad *dataset.Error
		switch {
		case err == io.EOF:
			return nil, 0, nil
		case errors.As(err, &bad) && j.SkipBad:
			continue
		case err != nil:
			return nil, 0, err
		}
		_, lists, err := j.round([]*row{r})
		if err != nil {
			return nil, 0, err
		}
		if len(lists) > 0 {
			return &lists[0], raw.Line, nil
		}
	}
}
