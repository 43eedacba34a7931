package model_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// scoreAlone scores the sequences one by one.
func scoreAlone(t *testing.T, seqs []model.Sequence) (scores []float32) {
	t.Helper()
	for i := range seqs {
		one, err := modeltest.LogLikelihoods(t.Context(), &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab})}, seqs[i:i+1])
		require.NoError(t, err)
		scores = append(scores, one...)
	}
	return scores
}

func TestIdenticalSequencesRunOnce(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(31, 32)), 40)
	seqs = append(seqs, seqs[3], seqs[20], seqs[3])
	// The same tokens with another answer are another sequence.
	other := model.Answer(seqs[0].Tokens, model.Span{From: 1, To: 2})
	if slices.Equal(seqs[0].Asks, other.Asks) {
		other = model.Answer(seqs[0].Tokens, model.Span{From: 1, To: len(seqs[0].Tokens)})
	}
	seqs = append(seqs, other)
	toy := &modeltest.LM{Vocab: vocab}
	var sum model.BatchStats
	lm := &model.LM{Scorers: over(toy), Limits: model.Limits{Tokens: 100}, OnBatch: func(b model.BatchStats) {
		sum.Sequences += b.Sequences
		sum.Copies += b.Copies
		sum.Work += b.Work
	}}
	got, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.NoError(t, err)
	require.Equal(t, scoreAlone(t, seqs), got)
	rows := 0
	for _, b := range toy.Batches {
		rows += b.Rows
	}
	require.Equal(t, 41, rows)
	require.Equal(t, 44, sum.Sequences)
	require.Equal(t, 3, sum.Copies)
	require.InDelta(t, 44, sum.Work, 1e-9)
}

// A score that is not finite is so for every copy.
func TestIdenticalSequencesNonFinite(t *testing.T) {
	seq := model.Answer([]int32{1, 2, 3}, model.Span{From: 1, To: 3})
	toy := &modeltest.LM{Vocab: vocab, After: func(b *model.Batch, l *model.Logits) { clear(l.F32); l.F32[0] = float32(0) / l.F32[1] }}
	got, err := modeltest.LogLikelihoods(t.Context(), &model.LM{Scorers: over(toy)}, []model.Sequence{seq, seq})
	require.NoError(t, err)
	for _, v := range got {
		require.True(t, math.IsNaN(float64(v)))
	}
}

// Several copies of a model work side by side and change nothing.
func TestSeveralScorers(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(33, 34)), 300)
	want := scoreAlone(t, seqs)
	const copies = 3
	all := make(chan struct{})
	var begun sync.WaitGroup
	begun.Add(copies)
	go func() { begun.Wait(); close(all) }()
	lm := &model.LM{Limits: model.Limits{Tokens: 120}}
	var toys []*modeltest.LM
	for range copies {
		toy := &modeltest.LM{Vocab: vocab}
		toy.Before = func(*model.Batch) error {
			if len(toy.Batches) > 1 {
				return nil
			}
			begun.Done()
			select {
			case <-all:
				return nil
			case <-time.After(time.Minute):
				return errors.New("the others did not begin")
			}
		}
		toys = append(toys, toy)
		lm.Scorers = append(lm.Scorers, over(toy)...)
	}
	sequences := 0 // unguarded: OnBatch is called by one at a time
	lm.OnBatch = func(b model.BatchStats) { sequences += b.Sequences }
	got, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, len(seqs), sequences)

	broken, failed := errors.New("broken"), make(chan bool)
	wait := func(*model.Batch) error { <-failed; return nil }
	toys[0].Before, toys[2].Before = wait, wait
	toys[1].Before = func(*model.Batch) error { close(failed); return broken }
	_, err = modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.ErrorIs(t, err, broken, "one failure ends the call")
}

// small is a model with memory for batches of so many tokens. Once it has run out
// of it, it is broken until it is made anew.
type small struct {
	modeltest.LM
	most, reopened int
	broken         bool
}

func (s *small) Forward(ctx context.Context, b *model.Batch) (*model.Logits, error) {
	if s.broken = s.broken || b.Rows*b.Width > s.most; s.broken {
		return nil, fmt.Errorf("a forward of %d rows: %w", b.Rows, model.ErrOutOfMemory)
	}
	return s.LM.Forward(ctx, b)
}

func (s *small) Reopen(context.Context) error {
	s.reopened++
	s.broken = false
	return nil
}

func TestOutOfMemoryHalvesTheBatch(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(35, 36)), 200)
	want := scoreAlone(t, seqs)
	s := &small{LM: modeltest.LM{Vocab: vocab}, most: 150}
	var allowed []int
	lm := &model.LM{Scorers: []model.Scorer{model.FullLogits{Forwarder: s, Words: vocab}}, Limits: model.Limits{Tokens: 1000},
		OnShrink: func(tokens int, err error) {
			require.ErrorIs(t, err, model.ErrOutOfMemory)
			allowed = append(allowed, tokens)
		}}
	for range 2 {
		got, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, s.reopened, len(allowed))
	require.IsDecreasing(t, allowed)
	require.LessOrEqual(t, lm.Limits.Tokens, 150, "what was learnt stays")
	require.Less(t, len(allowed), 6, "and is not learnt again")

	s.most = 30 // less than the longest alone
	_, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.ErrorIs(t, err, model.ErrOutOfMemory)
}

// The tuner's budget is kept within what the memory allows.
func TestOutOfMemoryBoundsTheTuner(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(37, 38)), 2000)
	s := &small{LM: modeltest.LM{Vocab: vocab}, most: 700}
	shrunk := 0
	lm := &model.LM{Scorers: []model.Scorer{model.FullLogits{Forwarder: s, Words: vocab}}, Tuner: &model.Tuner{Least: 1000},
		OnShrink: func(int, error) { shrunk++ }}
	_, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.NoError(t, err)
	require.Equal(t, 1, shrunk)
	require.LessOrEqual(t, lm.Limits.Tokens, 500)
}
