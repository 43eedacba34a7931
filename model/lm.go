package model

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// LM scores sequences with a language model.
type LM struct {
	Forwarder Forwarder
	Limits    Limits

	// Scorer, if set, is asked in place of the Forwarder.
	Scorer Scorer

	// LogitsMemory bounds the bytes of the fp32 logits [n, V] in one run of the
	// Scorer, whose log-softmax takes as much once or twice again; 0 for no bound.
	// Batches are cut to it. A sequence whose own answer takes more runs once for
	// each part of it.
	LogitsMemory int

	// OnBatch, if set, is called after each batch, on the caller's goroutine.
	OnBatch func(BatchStats)

	batch Batch
}

// BatchStats tells what one batch was.
type BatchStats struct {
	Sequences int
	Tokens    int // real tokens
	Padding   int // pads among the B*T

	// Work is the batch's share of the call, by real tokens, in sequences: over a
	// call it adds up to the number of sequences. The longest go first, so
	// sequences alone would make a slow start look like a long job.
	Work float64
}

// LogLikelihood returns, for each sequence in the order given, the mean
// log-likelihood of its answer tokens in nats: the sum of ln P(token | all
// before it) over the answer, divided by the answer's length. A value that is
// not finite stays in the result and is reported as a *NonFiniteError, the
// first of them, after all sequences have run.
func (lm *LM) LogLikelihood(ctx context.Context, seqs []Sequence) ([]float32, error) {
	lens, total := make([]int, len(seqs)), 0
	for i, s := range seqs {
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("sequence %d: %w", i, err)
		}
		lens[i] = len(s.Tokens)
		total += len(s.Tokens)
	}
	scores := make([]float32, len(seqs))
	batches := pack(lens, lm.Limits)
	if most := lm.mostPositions(); most > 0 {
		batches = cutBatches(batches, most, func(i int) int { return seqs[i].Answer.Len() })
	}
	for _, indices := range batches {
		if err := lm.score(ctx, seqs, indices, scores); err != nil {
			return nil, err
		}
		if lm.OnBatch != nil {
			lm.OnBatch(lm.batch.stats(float64(len(seqs)) / float64(total)))
		}
	}
	return scores, firstNonFinite(scores)
}

// score runs one batch and sets the scores of its sequences.
func (lm *LM) score(ctx context.Context, seqs []Sequence, indices []int, scores []float32) error {
	b := &lm.batch
	b.fill(seqs, indices)
	if lm.Scorer != nil {
		return lm.scoreInside(ctx, seqs, indices, scores)
	}
	logits, err := lm.Forwarder.Forward(ctx, b)
	if err != nil {
		return err
	}
	if err := logits.check(b); err != nil {
		return err
	}
	for _, i := range indices {
		if err := seqs[i].checkAnswer(logits.Vocab); err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
	}
	eachRow(b.Rows, logits.scratch(), func(r int, scratch []float32) {
		scores[indices[r]] = float32(meanLogProb(logits, r, seqs[indices[r]], scratch))
	})
	return nil
}

// mostPositions is how many positions a run of the Scorer may ask for, 0 for no
// bound.
func (lm *LM) mostPositions() int {
	if lm.Scorer == nil || lm.LogitsMemory <= 0 {
		return 0
	}
	return max(1, lm.LogitsMemory/(4*max(1, lm.Scorer.Vocab())))
}

// scoreInside scores a batch by the log-probabilities of the answers' tokens.
func (lm *LM) scoreInside(ctx context.Context, seqs []Sequence, indices []int, scores []float32) error {
	var at []Position
	for r, i := range indices {
		seq := seqs[i]
		if err := seq.checkAnswer(lm.Scorer.Vocab()); err != nil {
			return fmt.Errorf("sequence %d: %w", i, err)
		}
		for t := seq.Answer.From; t < seq.Answer.To; t++ {
			at = append(at, Position{Row: r, At: t - 1, Target: seq.Tokens[t]})
		}
	}
	most := lm.mostPositions()
	if most == 0 {
		most = len(at)
	}
	logProbs := make([]float32, len(at))
	for from := 0; from < len(at); from += most {
		to := min(from+most, len(at))
		if err := lm.Scorer.LogProbs(ctx, &lm.batch, at[from:to], logProbs[from:to]); err != nil {
			return err
		}
	}
	for _, i := range indices {
		n := seqs[i].Answer.Len()
		scores[i] = float32(mean(logProbs[:n]))
		logProbs = logProbs[n:]
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

// check refuses what no model could score.
func (s Sequence) check() error {
	if s.Answer.From < 1 || s.Answer.To <= s.Answer.From || s.Answer.To > len(s.Tokens) {
		return fmt.Errorf("want an answer within 1..%d, got %d..%d", len(s.Tokens), s.Answer.From, s.Answer.To)
	}
	for _, id := range s.Tokens {
		if id < 0 {
			return fmt.Errorf("want token ids of 0 and above, got %d", id)
		}
	}
	return nil
}

// checkAnswer refuses an answer with a token that has no logit. Tokens before
// the answer are the model's own affair: some embed more words than they score.
func (s Sequence) checkAnswer(vocab int) error {
	for _, id := range s.Tokens[s.Answer.From:s.Answer.To] {
		if int(id) >= vocab {
			return fmt.Errorf("want answer tokens below the model's vocabulary of %d, got %d", vocab, id)
		}
	}
	return nil
}

// stats describes the batch; a token of it is worth sequencesPerToken of work.
func (b *Batch) stats(sequencesPerToken float64) BatchStats {
	s := BatchStats{Sequences: b.Rows}
	for _, n := range b.Lens {
		s.Tokens += n
	}
	s.Padding = b.Rows*b.Width - s.Tokens
	s.Work = float64(s.Tokens) * sequencesPerToken
	return s
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
