package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/ortscore/ortscore/io/dataset"
)

// Selection says which rows of an input are scored.
type Selection struct {
	Limit int // the first rows of the input; 0 for all
	// From and To are the rows of a shard, [From, To); To is 0 for all.
	From, To int
	Total    int // rows of the input that are shared out; 0 where they are not counted
	Done     int // rows of the input up to which all that are selected are scored
}

// first is the first row that is scored.
func (s Selection) first() int { return max(s.From, s.Done) }

// end is the row before which it ends; 0 for none.
func (s Selection) end() int {
	if s.To > 0 && (s.Limit == 0 || s.To < s.Limit) {
		return s.To
	}
	return s.Limit
}

// Count tells how much work an input is.
type Count struct {
	Rows     int `json:"rows"`     // good rows that are to be scored
	Bad      int `json:"bad_rows"` // bad rows, where they are skipped
	Passages int `json:"passages"`
	Units    int `json:"units"`
	Stale    int `json:"stale_scores"` // rows that keep scores of another run

	// Problems are the first of the bad rows.
	Problems []*dataset.Error `json:"-"`

	Input  dataset.Content `json:"-"` // up to the limit
	Scored dataset.Content `json:"-"` // up to the last row that is scored
}

// mostProblems is how many bad rows are remembered.
const mostProblems = 10

// Check reads a whole input as Run would, short of tokenising, and counts the rows that
// are selected. A bad row in the last line is then found in the first minute, not after
// days; with skipBad it is counted and passed over.
func Check(ctx context.Context, check func(*dataset.Row) (Work, error), in *dataset.Reader, sel Selection, skipBad bool) (c Count, err error) {
	for err == nil {
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		if in.Rows() == sel.end() {
			c.Scored = in.Content()
		}
		switch {
		case sel.Limit > 0 && in.Rows() >= sel.Limit:
			err = io.EOF
		case in.Rows() < sel.first() || sel.end() > 0 && in.Rows() >= sel.end():
			err = in.Skip()
		default:
			err = c.add(check, in, skipBad)
		}
	}
	c.Input = in.Content()
	if sel.end() == 0 || in.Rows() < sel.end() {
		c.Scored = c.Input
	}
	if err == io.EOF {
		err = nil
	}
	return c, err
}

// add counts the next row.
func (c *Count) add(check func(*dataset.Row) (Work, error), in *dataset.Reader, skipBad bool) error {
	row, err := in.Next()
	var work Work
	if err == nil {
		work, err = check(row)
	}
	var bad *dataset.Error
	switch {
	case errors.As(err, &bad) && skipBad:
		c.Bad++
		if len(c.Problems) < mostProblems {
			c.Problems = append(c.Problems, bad)
		}
		return nil
	case err != nil:
		return err
	}
	c.Rows++
	c.Passages += work.Passages
	c.Units += work.Units
	if work.Stale {
		c.Stale++
	}
	return nil
}

// CheckFile is Check for the file at path, which must be one that can be read twice:
// first to check it and then to score it.
func CheckFile(ctx context.Context, check func(*dataset.Row) (Work, error), path string, sel Selection, skipBad bool) (Count, error) {
	if err := CheckInput(path); err != nil {
		return Count{}, err
	}
	in, err := dataset.Open(path)
	if err != nil {
		return Count{}, err
	}
	defer in.Close()
	return Check(ctx, check, in, sel, skipBad)
}

// CheckInput refuses what cannot be read twice, first to check it and then to
// score it.
func CheckInput(path string) error {
	if path == dataset.Stdin {
		return nil
	}
	info, err := os.Stat(path)
	var bad *fs.PathError
	if errors.As(err, &bad) {
		return fmt.Errorf("%s: want a file, got %w", path, bad.Err)
	} else if err != nil {
		return err
	}
	if mode := info.Mode(); !mode.IsRegular() && !mode.IsDir() {
		return fmt.Errorf("%s: want a regular file, or - for standard input, got a pipe or device", path)
	}
	in, err := dataset.Open(path)
	if err != nil {
		return err
	}
	return in.Close()
}
