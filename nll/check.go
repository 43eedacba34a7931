package nll

import (
	"context"
	"errors"
	"io"

	"github.com/ortscore/ortscore/io/dataset"
)

// Count tells how much work a file is.
type Count struct {
	Rows      int // good rows
	Bad       int // bad rows, where they are skipped
	Passages  int
	Sequences int // passages times scored answers
	Stale     int // rows that will keep scores of another run
}

// Check reads a whole file as Run would, short of tokenising, and counts it. A
// bad row in the last line is then found in the first minute, not after days;
// with skipBad it is counted and passed over.
func (j *Job) Check(ctx context.Context, in *dataset.Reader, skipBad bool) (Count, error) {
	var c Count
	for left := j.Limit; j.Limit == 0 || left > 0; left-- {
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		raw, err := in.Next()
		var ex *Example
		if err == nil {
			ex, err = j.read(raw)
		}
		var bad *dataset.Error
		switch {
		case err == io.EOF:
			return c, nil
		case errors.As(err, &bad) && skipBad:
			c.Bad++
		case err != nil:
			return c, err
		default:
			c.Rows++
			if j.stale(ex) {
				c.Stale++
			}
			c.Passages += ex.count()
			c.Sequences += ex.count() * max(1, len(ex.Answers))
		}
	}
	return c, nil
}
