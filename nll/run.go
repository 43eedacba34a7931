// Package nll scores passages by the likelihood of a known answer: for each
// query and passage, the mean log-likelihood of the answer's tokens under a
// language model that has read passage and question. It re-creates the LM score
// of FlagEmbedding's LLM-Embedder (research/llm_embedder/run_lm_score.py).
package nll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// FieldChoice says which score fields are written.
type FieldChoice string

// The choices: teacher_scores for LLM-Embedder; pos_scores and neg_scores for
// FlagEmbedding's own fine-tuning; or all three.
const (
	TeacherFields FieldChoice = "teacher"
	PosNegFields  FieldChoice = "pos-neg"
	BothFields    FieldChoice = "both"
)

// ParseFieldChoice checks the name of a choice.
func ParseFieldChoice(name string) (FieldChoice, error) {
	switch c := FieldChoice(name); c {
	case TeacherFields, PosNegFields, BothFields:
		return c, nil
	}
	return "", fmt.Errorf("want teacher, pos-neg or both, got %q", name)
}

// Job scores files.
type Job struct {
	LM      *model.LM
	Builder Builder

	Task       Task // for every row; "" for each row's own
	Answers    AnswerChoice
	Seed       uint64 // of Random answers
	Fields     FieldChoice
	DropScores bool // remove the score fields that this run does not write
	KeepInputs bool // keep the token ids of lrlm rows in the output
	Limit      int  // rows of a file that are scored; 0 for all
	Page       int  // sequences that are sorted and packed together; 0 for DefaultPage

	// Rejects takes bad rows, which are then left out; nil to stop at the first.
	Rejects *dataset.Rejects
}

// Output is where scored lines go.
type Output interface{ Write(line []byte) error }

// Run scores the rows of in and writes them to out, in order: page by page,
// rows become sequences, sequences become scores, scores go back to their rows.
// While a page is with the model, the next is read and the one before written.
func (j *Job) Run(ctx context.Context, in *dataset.Reader, out Output) (*Summary, error) {
	sum, pages, scored := &Summary{}, make(chan *page), make(chan scoredPage, 1)
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return j.pages(inner, in, pages) })
	group.Go(func() error { return j.scorePages(inner, pages, scored) })
	group.Go(func() error { return j.writePages(scored, out, sum) })
	err := group.Wait()
	if ctx.Err() != nil {
		return sum, ctx.Err()
	}
	return sum, err
}

// scoredPage is a page with the score of each of its sequences.
type scoredPage struct {
	*page
	scores []float32
}

// scorePages scores page by page.
func (j *Job) scorePages(ctx context.Context, pages <-chan *page, scored chan<- scoredPage) error {
	defer close(scored)
	for p := range pages {
		scores := make([]float32, len(p.seqs))
		err := j.LM.LogProbs(ctx, []model.Block{{Sequences: p.seqs}}, func(_, i int, logProbs []float32) {
			scores[i] = LogLikelihood(logProbs)
		})
		if err != nil {
			return err
		}
		select {
		case scored <- scoredPage{p, scores}:
		case <-ctx.Done():
			return ctx.Err()
		}
		if p.err != nil && p.err != io.EOF {
			return p.err
		}
	}
	return nil
}

// writePages writes the rows of pages as they come. What was scored before an
// error elsewhere is written all the same.
func (j *Job) writePages(scored <-chan scoredPage, out Output, sum *Summary) error {
	for p := range scored {
		for _, row := range p.rows {
			if err := j.writeRow(row, p.scores, out, sum); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeRow writes one row with its scores, or hands it to Rejects.
func (j *Job) writeRow(row pageRow, scores []float32, out Output, sum *Summary) error {
	if row.bad == nil {
		scores := scores[row.from:row.to]
		if row.bad = nonFinite(row.example, scores); row.bad == nil {
			passages := j.combine(row, scores)
			line, err := j.line(row.example, passages)
			if err != nil {
				return err
			}
			if j.stale(row.example) {
				sum.Stale++
			}
			sum.add(row, passages)
			return out.Write(line)
		}
	}
	if j.Rejects == nil {
		return row.bad
	}
	sum.Rejected++
	return j.Rejects.Add(row.bad)
}

// combine folds a row's scores to one a passage.
func (j *Job) combine(row pageRow, scores []float32) []float32 {
	n := row.example.count()
	answers := len(scores) / n
	out := make([]float32, n)
	for i := range out {
		out[i] = j.Answers.combine(scores[i*answers : (i+1)*answers])
	}
	return out
}

// nonFinite returns the error of the first of a row's scores that is not finite.
// One such answer spoils its passage, even where another is better or the mean
// of all is asked.
func nonFinite(ex *Example, scores []float32) *dataset.Error {
	answers := len(scores) / ex.count()
	for i, s := range scores {
		if v := float64(s); math.IsNaN(v) || math.IsInf(v, 0) {
			return ex.Row.Errorf(ex.passageField(i/answers), "want a finite score, got %v: the model's logits are not finite", v)
		}
	}
	return nil
}

// line is the row with its score fields set and, for lrlm, its token ids gone.
func (j *Job) line(ex *Example, scores []float32) ([]byte, error) {
	var fields []dataset.Field
	add := func(name string, scores []float32) error {
		value, err := dataset.Floats(scores)
		fields = append(fields, dataset.Field{Name: name, Value: value})
		return err
	}
	var errs []error
	if j.Fields != PosNegFields {
		errs = append(errs, add("teacher_scores", scores))
	}
	if j.Fields != TeacherFields {
		errs = append(errs, add("pos_scores", scores[:ex.Pos]), add("neg_scores", scores[ex.Pos:]))
	}
	var drop []string
	if ex.Tokens != nil && !j.KeepInputs {
		drop = append(drop, tokenFields...)
	}
	if j.DropScores {
		drop = append(drop, j.foreignScores()...)
	}
	return ex.Row.Splice(fields, drop), errors.Join(errs...)
}

// foreignScores are the score fields that this run does not write.
func (j *Job) foreignScores() []string {
	switch j.Fields {
	case TeacherFields:
		return []string{"pos_scores", "neg_scores"}
	case PosNegFields:
		return []string{"teacher_scores"}
	}
	return nil
}

// stale says whether a row has such a field, which stays beside the new ones as if
// they were of one run.
func (j *Job) stale(ex *Example) bool {
	return !j.DropScores && slices.ContainsFunc(j.foreignScores(), ex.Row.Has)
}
