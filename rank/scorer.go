package rank

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/openai"
)

// Scorer ranks the passages of rows. It implements job.Scorer and job.Opener, and its
// settings are not changed once it is used.
type Scorer struct {
	Teacher   Teacher // for Ask alone
	Fitter    Fitter
	Tokenizer model.Tokenizer // counts the tokens of a passage

	PassageMaxLength int // tokens of a passage; the rest is cut
	Order            OrderChoice
	Seed             uint64 // of the order shown
	Permutations     int    // rankings of a row, each of its passages in another order
	Aggregate        Method
	Window, Step     int  // passages of a prompt, and how far the next one moves
	Passes           int  // through all windows
	Kind             Kind // of scores
	Relabel          bool // the first passage becomes pos, the others neg
	DropScores       bool // remove the score fields of ortscore nll
	EqualScores      bool // for rows without a ranking, which keep their labels; else they are rejected

	// AskAgain, if set, is how many lists are asked about at once. One that the endpoint
	// did not answer has no ranking once so many others had answers after it: the last
	// of these was asked for later. Before, it may be that the endpoint is away.
	AskAgain int

	answered bool // the teacher has answered a list
}

// The types of a run.
type (
	Row   = job.Row[*Example, Answer]
	Block = job.Block[*Example, Answer]
)

// Answer is the teacher's ranking of one list of a row.
type Answer struct {
	Permutation int `json:"permutation"` // of the row
	Reading
}

// Check implements job.Scorer.
func (s *Scorer) Check(line *dataset.Row) (job.Work, error) {
	ex, err := ReadExample(line)
	if err != nil {
		return job.Work{}, err
	}
	return s.work(ex), nil
}

// work counts the lists of a row: windows, passes and permutations.
func (s *Scorer) work(ex *Example) job.Work {
	w := job.Work{Passages: len(ex.Passages), Stale: s.stale(ex) && !s.Relabel}
	if n := ex.distinct(); n > 1 {
		w.Units = s.Permutations * s.Passes * len(windows(n, s.Window, s.Step))
	}
	return w
}

// Read implements job.Scorer: it understands a row, lays its permutations out and makes
// their first prompts.
func (s *Scorer) Read(line *dataset.Row) (*Example, job.Work, error) {
	ex, err := ReadExample(line)
	if err != nil {
		return nil, job.Work{}, err
	}
	ex.cut = map[int]bool{}
	if ex.prepared, err = Prepare(s.Tokenizer, ex, s.PassageMaxLength); err != nil {
		return nil, job.Work{}, err
	}
	if err := s.Fitter.checkQuery(s.Tokenizer, ex.prepared); err != nil {
		return nil, job.Work{}, err
	}
	for k := range s.Permutations {
		shown := ex.prepared.distinct(s.Order.Order(ex, s.Seed, k))
		ex.permutations = append(ex.permutations, &permutation{shown: shown, sort: NewSort(shown, s.Window, s.Step, s.Passes)})
	}
	if err := s.fit(ex); err != nil {
		return nil, job.Work{}, err
	}
	return ex, s.prompts(ex), nil
}

// prompts is the work of a row whose first prompts are made. Those of later windows are
// taken for as long. Words are not counted as tokens.
func (s *Scorer) prompts(ex *Example) job.Work {
	work, tokens, made := s.work(ex), 0, 0
	for _, p := range ex.permutations {
		if p.next != nil {
			tokens += len(p.next.Tokens)
			made++
		}
	}
	if _, words := s.Tokenizer.(Words); made > 0 && !words {
		work.Tokens = tokens * work.Units / made
	}
	work.Cut = ex.cutPassages()
	return work
}

// Ask implements job.Scorer: it has the next window of every row ranked, round by
// round, until no row has one left.
func (s *Scorer) Ask(ctx context.Context, page []Block, keep func(*Row, Answer) error) error {
	var rows []*Row
	for _, block := range page {
		rows = append(rows, block...)
	}
	for _, row := range rows {
		if err := s.replay(row); err != nil {
			return err
		}
	}
	var missed []miss
	for {
		round, err := s.round(rows)
		if err != nil || len(round) == 0 {
			return err
		}
		lists := make([]List, len(round))
		for i, n := range round {
			lists[i] = *n.permutation.next
		}
		err = s.Teacher.Rank(ctx, lists, func(i int, r Reading) error {
			n := round[i]
			if s.AskAgain > 0 && r.Passing() {
				n.permutation.missed = &r
				missed = append(missed, miss{next: n})
				return nil
			}
			s.answered = true
			if missed, err = s.settle(missed, keep); err != nil {
				return err
			}
			return n.take(r, keep)
		})
		if err != nil {
			return err
		}
	}
}

// miss is a list that the endpoint did not answer.
type miss struct {
	next
	since int // answers to others
}

// settle counts an answer after lists that had none. It returns those that may still have
// one.
func (s *Scorer) settle(missed []miss, keep func(*Row, Answer) error) (open []miss, err error) {
	for _, m := range missed {
		if m.since++; m.since < s.AskAgain {
			open = append(open, m)
		} else if err := m.take(*m.permutation.missed, keep); err != nil {
			return nil, err
		}
	}
	return open, nil
}

// take applies an answer and keeps it.
func (n next) take(r Reading, keep func(*Row, Answer) error) error {
	n.permutation.apply(r)
	n.row.Read.applied++
	return keep(n.row, Answer{n.index, r})
}

// Open implements job.Opener: a row is open while it has a list of which nobody knows
// whether the endpoint has no answer for it, or was away.
func (s *Scorer) Open(ex *Example) bool {
	return slices.ContainsFunc(ex.permutations, func(p *permutation) bool { return p.missed != nil })
}

// GiveUp implements job.Opener. Where others had an answer, and the endpoint says itself
// that it has none for a single list, that is the list's fault; else the endpoint's.
func (s *Scorer) GiveUp(rows []*Example) error {
	var missed []*permutation
	for _, ex := range rows {
		for _, p := range ex.permutations {
			if p.missed != nil {
				missed = append(missed, p)
			}
		}
	}
	last := missed[len(missed)-1]
	var failed *openai.Error
	if len(missed) > 1 || !s.answered || errors.As(last.missed.Unanswered, &failed) && failed.Status == 0 {
		return fmt.Errorf("%w: no answer for the last %d lists, for the last of them: %w", ErrNoRankings, len(missed), last.missed.Unanswered)
	}
	last.apply(*last.missed)
	return nil
}

// permutation is one of a row's rankings.
type permutation struct {
	shown   []int // distinct passages, in the order of the first prompt
	sort    *Sort
	next    *List     // the prompt of the next window, once it is made
	missed  *Reading  // what came of it where the endpoint did not answer
	read    []Reading // of its windows
	failure string    // why it has no ranking; "" while it has
}

// next is a list to be ranked.
type next struct {
	row         *Row
	index       int // of the permutation
	permutation *permutation
}

// replay applies the answers that a row has from a run before, and makes its lists
// without an answer due again.
func (s *Scorer) replay(row *Row) error {
	for _, p := range row.Read.permutations {
		p.missed = nil
	}
	for _, answer := range row.Answers[row.Read.applied:] {
		row.Read.applied++
		// A prompt that does not fit rejects the row, as it did then.
		if err := s.fit(row.Read); err != nil && !errors.As(err, &row.Read.bad) {
			return err
		}
		row.Read.permutations[answer.Permutation].apply(answer.Reading)
	}
	return nil
}

// round gathers the next windows of all rows. The prompts of the first are there since
// the row was read.
func (s *Scorer) round(rows []*Row) (round []next, err error) {
	group := errgroup.Group{}
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, row := range rows {
		group.Go(func() error {
			if err := s.fit(row.Read); !errors.As(err, &row.Read.bad) {
				return err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for _, row := range rows {
		for k, p := range row.Read.permutations {
			if row.Read.bad == nil && p.next != nil && p.missed == nil {
				round = append(round, next{row, k, p})
			}
		}
	}
	return round, nil
}

// fit makes the prompts of a row's next windows, where they are not made yet.
func (s *Scorer) fit(ex *Example) error {
	for _, p := range ex.permutations {
		if ex.bad != nil || p.failure != "" || p.next != nil || p.sort.Window() == nil {
			continue
		}
		prompt, err := s.Fitter.Fit(ex.prepared, p.sort.Window())
		if err != nil {
			return err
		}
		for _, i := range prompt.Cut {
			ex.cut[i] = true
		}
		p.next = &List{prompt.Text, prompt.Tokens, len(p.sort.Window())}
	}
	return nil
}

// apply takes what the teacher made of the permutation's window. One window without a
// ranking leaves the whole without: the order shown is not the teacher's.
func (p *permutation) apply(r Reading) {
	p.next, p.missed = nil, nil
	p.read = append(p.read, r)
	if p.failure = r.failure(); p.failure == "" {
		p.sort.Apply(r.Order, r.Confidence)
	}
}

// First returns the first prompt of a row that was read; nil where it needs none.
func (ex *Example) First() *List {
	for _, p := range ex.permutations {
		if p.next != nil {
			return p.next
		}
	}
	return nil
}
