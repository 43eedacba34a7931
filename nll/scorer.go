// Package nll scores passages by the likelihood of a known answer: for each
// query and passage, the mean log-likelihood of the answer's tokens under a
// language model that has read passage and question. It re-creates the LM score
// of FlagEmbedding's LLM-Embedder (research/llm_embedder/run_lm_score.py).
package nll

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
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

// Scorer makes the scores of rows. It implements job.Scorer and is not changed once it
// is used.
type Scorer struct {
	LM      *model.LM // for Ask alone
	Builder Builder   // for Read

	Task       Task // for every row; "" for each row's own
	Answers    AnswerChoice
	Seed       uint64 // of Random answers
	Fields     FieldChoice
	DropScores bool // remove the score fields that this run does not write
	KeepInputs bool // keep the token ids of lrlm rows in the output
}

// The types of a run.
type (
	Row   = job.Row[*Example, Answer]
	Block = job.Block[*Example, Answer]
)

// Check implements job.Scorer: it understands a row and holds it against what is to be
// written.
func (s *Scorer) Check(line *dataset.Row) (job.Work, error) {
	ex, err := s.understand(line)
	if err != nil {
		return job.Work{}, err
	}
	return s.work(ex), nil
}

func (s *Scorer) understand(line *dataset.Row) (*Example, error) {
	ex, err := ReadExample(line, s.Task, s.Answers, s.Seed)
	if err == nil && ex.History && s.Fields != TeacherFields {
		err = line.Errorf("history", "want pos and neg for pos_scores and neg_scores, got history")
	}
	return ex, err
}

func (s *Scorer) work(ex *Example) job.Work {
	return job.Work{Passages: ex.count(), Units: ex.count() * max(1, len(ex.Answers)), Stale: s.stale(ex)}
}

// Read implements job.Scorer: it understands a row and makes its sequences.
func (s *Scorer) Read(line *dataset.Row) (*Example, job.Work, error) {
	ex, err := s.understand(line)
	if err == nil {
		err = s.Builder.Build(ex)
	}
	if err != nil {
		return nil, job.Work{}, err
	}
	work := s.work(ex)
	work.Cut = ex.Cuts
	for _, seq := range ex.Sequences {
		work.Tokens += len(seq.Tokens)
	}
	return ex, work, nil
}

// Ask implements job.Scorer. An answer is the likelihoods of some of a row's sequences:
// all that are left, or those that ran until the row had waited for keepAfter.
func (s *Scorer) Ask(ctx context.Context, page []Block, keep func(*Row, Answer) error) error {
	blocks := make([]model.Block, len(page))
	open := make([][]*openRow, len(page)) // by a block's sequences
	for b, rows := range page {
		for _, row := range rows {
			o := &openRow{row: row, first: len(open[b]), since: time.Now()}
			known := o.known()
			for i, seq := range row.Read.Sequences {
				blocks[b].Sequences, blocks[b].Known = append(blocks[b].Sequences, seq), append(blocks[b].Known, known[i])
				open[b] = append(open[b], o)
			}
		}
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err := s.LM.LogProbs(ctx, blocks, func(block, i int, logProbs []float32) {
		o := open[block][i]
		o.add(i-o.first, LogLikelihood(logProbs))
		if o.left > 0 && time.Since(o.since) < keepAfter {
			return
		}
		if err := keep(o.row, o.take()); err != nil {
			stop(err)
		}
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// keepAfter is how long a row waits for the rest of its sequences until those that have
// run are kept: a second's work of a fast model is soon done again.
const keepAfter = time.Second

// openRow is a row of which some sequences have no likelihood yet.
type openRow struct {
	row   *Row
	first int // of its sequences in the block
	left  int // sequences
	ran   Answer
	since time.Time // of the last answer
}

// known tells which sequences have a likelihood of a run before.
func (o *openRow) known() []bool {
	known := make([]bool, len(o.row.Read.Sequences))
	o.left = len(known)
	for _, answer := range o.row.Answers {
		for _, i := range answer.At {
			known[i] = true
			o.left--
		}
	}
	return known
}

func (o *openRow) add(i int, value float32) {
	o.ran.At, o.ran.Values = append(o.ran.At, i), append(o.ran.Values, value)
	o.left--
}

// take returns the likelihoods that were added since the last time.
func (o *openRow) take() Answer {
	ran := o.ran
	o.ran, o.since = Answer{}, time.Now()
	return ran
}

// Scores implements job.Scorer.
func (s *Scorer) Scores(ex *Example, answers []Answer, sum *Summary) (*job.Scores, error) {
	all := make(Likelihoods, len(ex.Sequences))
	for _, answer := range answers {
		for k, i := range answer.At {
			all[i] = answer.Values[k]
		}
	}
	if err := all.check(ex); err != nil {
		return nil, err
	}
	scores := s.combine(ex, all)
	sum.add(ex, scores, s.stale(ex))
	out := &job.Scores{Row: ex.Row}
	if s.Fields != PosNegFields {
		out.Lists = append(out.Lists, job.List{Name: "teacher_scores", Values: scores})
	}
	if s.Fields != TeacherFields {
		out.Lists = append(out.Lists, job.List{Name: "pos_scores", Values: scores[:ex.Pos]}, job.List{Name: "neg_scores", Values: scores[ex.Pos:]})
	}
	if ex.Tokens != nil && !s.KeepInputs {
		out.Drop = append(out.Drop, tokenFields...)
	}
	if s.DropScores {
		out.Drop = append(out.Drop, s.foreignScores()...)
	}
	return out, nil
}

// combine folds a row's likelihoods to one score a passage.
func (s *Scorer) combine(ex *Example, all Likelihoods) []float32 {
	out := make([]float32, ex.count())
	answers := len(all) / len(out)
	for i := range out {
		out[i] = s.Answers.combine(all[i*answers : (i+1)*answers])
	}
	return out
}

// foreignScores are the score fields that this run does not write.
func (s *Scorer) foreignScores() []string {
	switch s.Fields {
	case TeacherFields:
		return []string{"pos_scores", "neg_scores"}
	case PosNegFields:
		return []string{"teacher_scores"}
	}
	return nil
}

// stale says whether a row has such a field, which stays beside the new ones as if
// they were of one run.
func (s *Scorer) stale(ex *Example) bool {
	return !s.DropScores && slices.ContainsFunc(s.foreignScores(), ex.Row.Has)
}
