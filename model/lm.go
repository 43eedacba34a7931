package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// LM scores sequences with a language model.
type LM struct {
	// Scorers run the model: one for each device or copy of it, all alike. Each is
	// used by one goroutine at a time.
	Scorers []Scorer

	// Limits bounds a batch. Where one runs out of memory, Limits.Tokens becomes half
	// of what it had, for good.
	Limits Limits
	// Tuner, if set, chooses the tokens of a batch, within Limits.Tokens.
	Tuner *Tuner

	// Widest, if set, rounds the widths of batches up, where that costs little, to so
	// many tokens at most: for a device that prepares for each new shape.
	Widest int

	// LogitsMemory bounds the bytes of the fp32 logits [n, V] in one run of a
	// Scorer, whose log-softmax takes as much once or twice again; 0 for no bound.
	// Batches are cut to it. A sequence whose own answer takes more runs once for
	// each part of it.
	LogitsMemory int

	// OnBatch, if set, is called after each batch, by one goroutine at a time.
	OnBatch func(BatchStats)
	// OnShrink, if set, is called likewise where a batch ran out of memory, with the
	// tokens that are allowed from then on.
	OnShrink func(tokens int, err error)
}

// BatchStats tells what one batch was.
type BatchStats struct {
	Rows      int           // B
	Sequences int           // those that were given their score, identical ones each
	Copies    int           // of these, the ones that did not run, since an identical one did
	Tokens    int           // real tokens that ran
	Shared    int           // tokens that did not, since another sequence of their row begins with them
	Padding   int           // pads among the B*T
	Duration  time.Duration // of the model's run

	// Work is the batch's share of the call, by real tokens, in sequences: over a
	// call it adds up to the number of sequences. The longest go first, so
	// sequences alone would make a slow start look like a long job.
	Work float64
}

// LogLikelihood returns, for each sequence in the order given, the mean
// log-likelihood of its answer tokens in nats: the sum of ln P(token | all
// before it) over the answer, divided by the answer's length. Identical sequences
// run once. A value that is not finite stays in the result and is reported as a
// *NonFiniteError, the first of them, after all sequences have run.
func (lm *LM) LogLikelihood(ctx context.Context, seqs []Sequence) ([]float32, error) {
	vocab := lm.vocab()
	for i, s := range seqs {
		if err := s.check(vocab); err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	run := &scoring{LM: lm, seqs: seqs, scores: make([]float32, len(seqs)), copies: identical(seqs)}
	run.queue = newQueue(seqs, run.copies, lm.trees(), lm.mixing(), lm.mostTokens(), lm.mostPositions())
	if lm.mixing().Any() { // else a width may mean something
		run.queue.widest = lm.Widest
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range lm.Scorers {
		group.Go(func() error { return run.work(ctx, s) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, as := range run.copies {
		run.scores[i] = run.scores[as]
	}
	return run.scores, firstNonFinite(run.scores)
}

// vocab is the number of words that every scorer can score.
func (lm *LM) vocab() int {
	words := math.MaxInt32
	for _, s := range lm.Scorers {
		words = min(words, s.Vocab())
	}
	return words
}

// mixing is what holds for every scorer: they are all alike but for what was found
// out when they were opened.
func (lm *LM) mixing() Mixing {
	all := lm.Scorers[0].Mixing()
	for _, s := range lm.Scorers[1:] {
		all = all.and(s.Mixing())
	}
	return all
}

// trees is what every scorer takes. A row of several sequences is as long as none of
// them: where lengths matter, each has a row of its own.
func (lm *LM) trees() Trees {
	if !lm.mixing().Any() {
		return Trees{}
	}
	all := lm.Scorers[0].Trees()
	for _, s := range lm.Scorers[1:] {
		one := s.Trees()
		all = Trees{min(all.Tokens, one.Tokens), min(all.Pairs, one.Pairs)}
	}
	return all
}

// mostTokens bounds a row that could be shorter.
func (lm *LM) mostTokens() int {
	switch {
	case lm.Limits.Tokens > 0:
		return lm.Limits.Tokens
	case lm.Tuner != nil && lm.Tuner.Most > 0:
		return lm.Tuner.Most
	}
	return math.MaxInt
}

// mostPositions is how many positions a run of a Scorer may ask for.
func (lm *LM) mostPositions() int {
	if lm.LogitsMemory <= 0 {
		return math.MaxInt
	}
	return max(1, lm.LogitsMemory/(4*max(1, lm.vocab())))
}

// scoring is one call of LogLikelihood.
type scoring struct {
	*LM
	seqs   []Sequence
	copies map[int]int // sequences that are the same as an earlier one, which runs for them
	queue  *queue
	scores []float32

	mu sync.Mutex // of what is told, and of Limits and Tuner
}

// work runs batches on one Scorer until none is left.
func (r *scoring) work(ctx context.Context, s Scorer) error {
	var b Batch // its memory serves every batch
	for {
		r.mu.Lock()
		budget := r.budget(r.queue.longest())
		rows := r.queue.next(Limits{budget, r.Limits.Rows})
		r.mu.Unlock()
		if len(rows) == 0 {
			return nil
		}
		b.fillTo(r.queue.width(rows[0].tokens), r.seqs, rows)
		start := time.Now()
		err := r.score(ctx, s, &b, rows)
		switch {
		case errors.Is(err, ErrOutOfMemory) && (len(rows) > 1 || len(rows[0].branches) > 1):
			err = r.shrink(ctx, s, &b, rows, err)
		case err == nil:
			r.done(&b, rows, budget, time.Since(start))
		}
		if err != nil {
			return err
		}
	}
}

// Budget is the tokens that a batch may hold now. It is not to be called while
// LogLikelihood runs.
func (lm *LM) Budget() int { return lm.budget(0) }

// budget is the tokens of a batch whose longest sequence has so many.
func (lm *LM) budget(longest int) int {
	if lm.Tuner == nil {
		return lm.Limits.Tokens
	}
	budget := lm.Tuner.Tokens(longest)
	if lm.Limits.Tokens > 0 {
		budget = min(budget, lm.Limits.Tokens)
	}
	return budget
}

// shrink takes back a batch that was too large for the memory. Some sessions stay
// broken after it, so the scorer is made anew.
func (r *scoring) shrink(ctx context.Context, s Scorer, b *Batch, rows []tree, cause error) error {
	if again, ok := s.(Reopener); ok {
		if err := again.Reopen(ctx); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	half := b.Rows * b.Width / 2
	if r.Limits.Tokens <= 0 || half < r.Limits.Tokens {
		r.Limits.Tokens = half
	}
	if r.Tuner != nil {
		r.Tuner.bound(r.Limits.Tokens)
	}
	r.queue.putBack(rows, r.Limits.Tokens)
	if r.OnShrink != nil {
		r.OnShrink(r.Limits.Tokens, cause)
	}
	return nil
}

// done tells of a batch that ran.
func (r *scoring) done(b *Batch, rows []tree, budget int, took time.Duration) {
	stats := BatchStats{Rows: b.Rows, Duration: took}
	for _, row := range rows {
		stats.Sequences += len(row.branches)
		stats.Tokens += row.tokens
		for _, br := range row.branches {
			stats.Shared += br.shared
		}
	}
	stats.Padding = b.Rows*b.Width - stats.Tokens
	r.mu.Lock()
	defer r.mu.Unlock()
	stats.Copies = r.queue.copiesOf(rows)
	stats.Sequences += stats.Copies
	stats.Work = float64(stats.Tokens) * r.queue.perToken
	if r.Tuner != nil {
		r.Tuner.Ran(budget, stats.Tokens+stats.Padding, stats.Tokens, took)
	}
	if r.OnBatch != nil {
		r.OnBatch(stats)
	}
}

// score runs one batch and sets the scores of its sequences. The token at position
// t is predicted at t-1:
//
//	position   0    1    2    3    4
//	token      Q    Q    A    A    A     Answer = [2, 5)
//	logits     .   A2   A3   A4    .     positions 1, 2, 3 predict 2, 3, 4
func (r *scoring) score(ctx context.Context, s Scorer, b *Batch, rows []tree) error {
	var at []Position
	for n, row := range rows {
		for k, br := range row.branches {
			seq := r.seqs[br.seq]
			for t := seq.Answer.From; t < seq.Answer.To; t++ {
				at = append(at, Position{Row: n, At: row.place(k, t-1), Target: seq.Tokens[t]})
			}
		}
	}
	logProbs := make([]float32, len(at))
	for from := 0; from < len(at); {
		to := from + min(len(at)-from, r.mostPositions())
		if err := s.LogProbs(ctx, b, at[from:to], logProbs[from:to]); err != nil {
			return err
		}
		from = to
	}
	for _, row := range rows {
		for _, br := range row.branches {
			n := r.seqs[br.seq].Answer.Len()
			r.scores[br.seq] = float32(mean(logProbs[:n]))
			logProbs = logProbs[n:]
		}
	}
	return nil
}

func mean(values []float32) float64 {
	var sum float64
	for _, v := range values {
		sum += float64(v)
	}
	return sum / float64(len(values))
}

// check refuses what no model could score. An answer's token needs a logit; tokens
// before the answer are the model's own affair: some embed more words than they
// score.
func (s Sequence) check(vocab int) error {
	if s.Answer.From < 1 || s.Answer.To <= s.Answer.From || s.Answer.To > len(s.Tokens) {
		return fmt.Errorf("want an answer within 1..%d, got %d..%d", len(s.Tokens), s.Answer.From, s.Answer.To)
	}
	for _, id := range s.Tokens {
		if id < 0 {
			return fmt.Errorf("want token ids of 0 and above, got %d", id)
		}
	}
	for _, id := range s.Tokens[s.Answer.From:s.Answer.To] {
		if int(id) >= vocab {
			return fmt.Errorf("want answer tokens below the model's vocabulary of %d, got %d", vocab, id)
		}
	}
	return nil
}

func firstNonFinite(scores []float32) error {
	for i, s := range scores {
		if v := float64(s); math.IsNaN(v) || math.IsInf(v, 0) {
			return &NonFiniteError{Index: i, Value: v}
		}
	}
	return nil
}

// eachRow calls work for rows 0..n-1 from several goroutines, each with its own
// scratch of the given size, and waits for all.
func eachRow(n, size int, work func(r int, scratch []float32)) {
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			scratch := make([]float32, size)
			for r := next.Add(1) - 1; int(r) < n; r = next.Add(1) - 1 {
				work(int(r), scratch)
			}
		})
	}
	wg.Wait()
}
