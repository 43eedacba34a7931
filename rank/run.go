package rank

import (
	"context"
	"errors"
	"io"

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
	EqualScores      bool // for rows without a ranking, which keep their labels; else they are rejected
	SkipBad          bool // reject bad rows; else they end the run
	Limit            int  // rows of a file that are ranked; 0 for all

	// Rejects takes rows without scores. Without it the first of them ends the run.
	Rejects *dataset.Rejects
}

// Output is where ranked lines go.
type Output interface{ Write(line []byte) error }

// pageRows and pageBytes bound the rows that are ranked together: many, so that
// the decoder's rows stay full until near the end of the page.
const (
	pageRows  = 512
	pageBytes = 64 << 20
)

// Run ranks the rows of in and writes them to out, in order: page by page, the
// next window of every row is ranked, until no row has one left.
func (j *Job) Run(ctx context.Context, in *dataset.Reader, out Output) (*Summary, error) {
	sum := &Summary{}
	for left := j.Limit; ; {
		rows, end := j.page(ctx, in, &left)
		if end != nil && end != io.EOF {
			return sum, end
		}
		if err := j.rank(ctx, rows); err != nil {
			return sum, err
		}
		for _, r := range rows {
			if err := j.write(r, out, sum); err != nil {
				return sum, err
			}
		}
		if end == io.EOF {
			return sum, ctx.Err()
		}
	}
}

// row is one row on its way.
type row struct {
	example  *Example
	prepared *Prepared
	rankings []*ranking   // [Permutations]
	cut      map[int]bool // passages that were not shown whole
	bad      *dataset.Error
}

// ranking is one of a row's rankings.
type ranking struct {
	row     *row
	shown   []int
	sort    *Sort
	read    []Reading // of its windows
	failure string    // why it has no ranking; "" while it has
}

// page reads rows. left counts those that may still be read, where Limit bounds
// them. The error says why there are no more: io.EOF at the end.
func (j *Job) page(ctx context.Context, in *dataset.Reader, left *int) ([]*row, error) {
	var rows []*row
	for size := 0; len(rows) < pageRows && size < pageBytes; {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if j.Limit > 0 && *left == 0 {
			return rows, io.EOF
		}
		*left--
		raw, err := in.Next()
		var r *row
		if err == nil {
			size += len(raw.Raw)
			r, err = j.begin(raw)
		}
		var bad *dataset.Error
		switch {
		case errors.As(err, &bad) && j.SkipBad:
			r = &row{bad: bad}
		case err != nil:
			return rows, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// begin understands a row and lays its rankings out.
func (j *Job) begin(raw *dataset.Row) (*row, error) {
	ex, err := ReadExample(raw)
	if err != nil {
		return nil, err
	}
	r := &row{example: ex, cut: map[int]bool{}}
	if r.prepared, err = Prepare(j.Tokenizer, ex, j.PassageMaxLength); err != nil {
		return nil, err
	}
	for k := range j.Permutations {
		shown := j.Order.Order(ex, j.Seed, k)
		r.rankings = append(r.rankings, &ranking{row: r, shown: shown, sort: NewSort(shown, j.Window, j.Step, j.Passes)})
	}
	return r, nil
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

// round makes the prompts of the next windows.
func (j *Job) round(rows []*row) (round []*ranking, lists []List, err error) {
	for _, r := range rows {
		for _, k := range r.rankings {
			if r.bad != nil || k.failure != "" || k.sort.Window() == nil {
				continue
			}
			prompt, err := j.Fitter.Fit(r.prepared, k.sort.Window())
			if errors.As(err, &r.bad) && j.SkipBad {
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			for _, i := range prompt.Cut {
				r.cut[i] = true
			}
			round, lists = append(round, k), append(lists, List{prompt.Text, len(k.sort.Window())})
		}
	}
	return round, lists, nil
}

// apply takes what the teacher made of the ranking's window. One window without a
// ranking leaves the whole without: the order shown is not the teacher's.
func (k *ranking) apply(r Reading) {
	k.read = append(k.read, r)
	switch {
	case r.Err != nil:
		k.failure = r.Err.Error()
	case r.Repairs.Refusal > 0:
		k.failure = "want a ranking, got " + abridged(r.Text)
	default:
		k.sort.Apply(r.Order, r.Confidence)
	}
}
