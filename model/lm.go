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

	// OnBatch, if set, is called after each batch, on the caller's goroutine.
	OnBatch func(BatchStats)

	batch Batch
}

// BatchStats tells what one batch was.
type BatchStats struct {
	Sequences int
	Tokens    int // real tokens
	Padding   int // pads among the B*T
}

// LogLikelihood returns, for each sequence in the order given, the mean
// log-likelihood of its answer tokens in nats: the sum of ln P(token | all
// before it) over the answer, divided by the answer's length. A value that is
// not finite stays in the result and is reported as a *NonFiniteError, the
// first of them, after all sequences have run.
func (lm *LM) LogLikelihood(ctx context.Context, seqs []Sequence) ([]float32, error) {
	lens := make([]int, len(seqs))
	for i, s := range seqs {
		if s.Answer.From < 1 || s.Answer.To <= s.Answer.From || s.Answer.To > len(s.Tokens) {
			return nil, fmt.Errorf("sequence %d: want an answer within 1..%d, got %d..%d",
				i, len(s.Tokens), s.Answer.From, s.Answer.To)
		}
		lens[i] = len(s.Tokens)
	}
	scores := make([]float32, len(seqs))
	for _, indices := range pack(lens, lm.Limits) {
		lm.batch.fill(seqs, indices)
		logits, err := lm.Forwarder.Forward(ctx, &lm.batch)
		if err != nil {
			return nil, err
		}
		eachRow(len(indices), logits.Vocab, func(r int, scratch []float32) {
			scores[indices[r]] = float32(meanLogProb(logits, r, seqs[indices[r]], scratch))
		})
		lm.report(&lm.batch)
	}
	return scores, firstNonFinite(scores)
}

func (lm *LM) report(b *Batch) {
	if lm.OnBatch == nil {
		return
	}
	stats := BatchStats{Sequences: b.Rows, Padding: b.Rows * b.Width}
	for _, n := range b.Lens {
		stats.Tokens += n
	}
	stats.Padding -= stats.Tokens
	lm.OnBatch(stats)
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
// scratch of vocab numbers, and waits for all.
func eachRow(n, vocab int, work func(r int, scratch []float32)) {
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			scratch := make([]float32, vocab)
			for r := next.Add(1) - 1; int(r) < n; r = next.Add(1) - 1 {
				work(int(r), scratch)
			}
		})
	}
	wg.Wait()
}
