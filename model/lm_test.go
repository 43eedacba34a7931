package model_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

const vocab = 37

// randomSequences makes n sequences of 2 to 40 tokens with an answer anywhere.
func randomSequences(rng *rand.Rand, n int) []model.Sequence {
	seqs := make([]model.Sequence, n)
	for i := range seqs {
		tokens := make([]int32, 2+rng.IntN(39))
		for t := range tokens {
			tokens[t] = rng.Int32N(vocab)
		}
		from := 1 + rng.IntN(len(tokens)-1)
		seqs[i] = model.Sequence{Tokens: tokens, Answer: model.Span{From: from, To: from + 1 + rng.IntN(len(tokens)-from)}}
	}
	return seqs
}

// over is a toy model that gives full logits.
func over(toy *modeltest.LM) []model.Scorer {
	return []model.Scorer{model.FullLogits{Forwarder: toy, Words: toy.Vocab}}
}

func TestLogLikelihood(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(7, 8)), 300)
	for _, format := range []modeltest.Format{modeltest.F32, modeltest.F16, modeltest.BF16} {
		toy := &modeltest.LM{Vocab: vocab, Format: format}
		lm := &model.LM{Scorers: over(toy), Limits: model.Limits{Tokens: 200}}
		scores, err := lm.LogLikelihood(t.Context(), seqs)
		require.NoError(t, err)
		require.Len(t, scores, len(seqs))
		for i, seq := range seqs {
			require.InDelta(t, toy.LogLikelihood(seq), float64(scores[i]), 2e-6, "sequence %d", i)
		}
		require.Greater(t, len(toy.Batches), 20)
	}
}

// A score is the sequence's own: batch size, order and neighbours change not
// one bit of it.
func TestLogLikelihoodInvariant(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	seqs := randomSequences(rng, 120)
	alone := make([]float32, len(seqs))
	for i := range seqs {
		lm := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab})}
		one, err := lm.LogLikelihood(t.Context(), seqs[i:i+1])
		require.NoError(t, err)
		alone[i] = one[0]
	}
	for _, limits := range []model.Limits{{}, {Tokens: 1}, {Tokens: 64}, {Tokens: 1 << 20}, {Tokens: 1 << 20, Rows: 1}, {Tokens: 1 << 20, Rows: 7}} {
		order := rng.Perm(len(seqs))
		shuffled := make([]model.Sequence, len(seqs))
		want := make([]float32, len(seqs))
		for to, from := range order {
			shuffled[to], want[to] = seqs[from], alone[from]
		}
		lm := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab}), Limits: limits}
		for range 2 { // the second call finds the memory of the first
			got, err := lm.LogLikelihood(t.Context(), shuffled)
			require.NoError(t, err)
			require.Equal(t, want, got, "%+v", limits)
		}
	}
}

func TestLogLikelihoodBatches(t *testing.T) {
	toy := &modeltest.LM{Vocab: vocab}
	lm := &model.LM{Scorers: over(toy), Limits: model.Limits{Tokens: 8}}
	answer := model.Span{From: 1, To: 2}
	_, err := lm.LogLikelihood(t.Context(), []model.Sequence{
		{Tokens: []int32{1, 2}, Answer: answer}, {Tokens: []int32{3, 4, 5, 6}, Answer: answer}, {Tokens: []int32{7, 8, 9}, Answer: answer}})
	require.NoError(t, err)
	require.Equal(t, []model.Batch{
		{Rows: 2, Width: 4, Lens: []int{4, 3}, TokenIDs: []int64{3, 4, 5, 6, 7, 8, 9, model.PadID}},
		{Rows: 1, Width: 2, Lens: []int{2}, TokenIDs: []int64{1, 2}},
	}, toy.Batches)
}

func TestLogLikelihoodOfNothing(t *testing.T) {
	toy := &modeltest.LM{Vocab: vocab}
	lm := &model.LM{Scorers: over(toy), OnBatch: func(model.BatchStats) { t.Fatal("a batch of nothing") }}
	scores, err := lm.LogLikelihood(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, scores)
	require.Empty(t, toy.Batches)
}

func TestLogLikelihoodRefuses(t *testing.T) {
	good := model.Sequence{Tokens: []int32{1, 2, 3}, Answer: model.Span{From: 1, To: 3}}
	for _, c := range []struct {
		name string
		bad  model.Sequence
		want string
	}{
		{"no tokens", model.Sequence{}, "want an answer within 1..0, got 0..0"},
		{"no answer", model.Sequence{Tokens: []int32{1, 2}}, "want an answer within 1..2, got 0..0"},
		{"from 0", model.Sequence{Tokens: []int32{1, 2}, Answer: model.Span{From: 0, To: 2}}, "want an answer within 1..2, got 0..2"},
		{"negative", model.Sequence{Tokens: []int32{1, 2}, Answer: model.Span{From: -3, To: 2}}, "want an answer within 1..2, got -3..2"},
		{"empty", model.Sequence{Tokens: []int32{1, 2}, Answer: model.Span{From: 1, To: 1}}, "want an answer within 1..2, got 1..1"},
		{"backwards", model.Sequence{Tokens: []int32{1, 2}, Answer: model.Span{From: 2, To: 1}}, "want an answer within 1..2, got 2..1"},
		{"past the end", model.Sequence{Tokens: []int32{1, 2}, Answer: model.Span{From: 1, To: 3}}, "want an answer within 1..2, got 1..3"},
		{"negative id", model.Sequence{Tokens: []int32{-1, 2}, Answer: model.Span{From: 1, To: 2}}, "want token ids of 0 and above, got -1"},
		{"id out of the vocabulary", model.Sequence{Tokens: []int32{1, vocab}, Answer: model.Span{From: 1, To: 2}}, "want answer tokens below the model's vocabulary of 37, got 37"},
	} {
		lm := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab}), Limits: model.Limits{Tokens: 100}}
		_, err := lm.LogLikelihood(t.Context(), []model.Sequence{good, c.bad, good})
		require.EqualError(t, err, "sequence 1: "+c.want, c.name)
	}
}

// A word before the answer may lie beyond the logits: some models embed more
// words than they score.
func TestLogLikelihoodPromptBeyondVocab(t *testing.T) {
	lm := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab})}
	_, err := lm.LogLikelihood(t.Context(), []model.Sequence{{Tokens: []int32{vocab + 5, 1}, Answer: model.Span{From: 1, To: 2}}})
	require.NoError(t, err)
}

func TestLogLikelihoodNonFinite(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(11, 12)), 30)
	clean := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab}), Limits: model.Limits{Tokens: 100}}
	want, err := clean.LogLikelihood(t.Context(), seqs)
	require.NoError(t, err)

	bad := []int{4, 17, 23}
	lm := &model.LM{Limits: clean.Limits, Scorers: over(&modeltest.LM{Vocab: vocab, After: func(b *model.Batch, l *model.Logits) {
		for r := range b.Rows {
			for _, i := range bad {
				if equal(b.TokenIDs[r*b.Width:][:b.Lens[r]], seqs[i].Tokens) {
					l.F32[(r*l.Width+seqs[i].Answer.From-1)*l.Vocab] = float32(math.NaN())
				}
			}
		}
	}})}
	scores, err := lm.LogLikelihood(t.Context(), seqs)
	var nonFinite *model.NonFiniteError
	require.ErrorAs(t, err, &nonFinite)
	require.Equal(t, 4, nonFinite.Index, "the first of them, in the order given")
	require.True(t, math.IsNaN(nonFinite.Value))
	require.EqualError(t, err, "want a finite log-likelihood, got NaN: the model's logits are not finite")
	for i, s := range scores {
		if i == bad[0] || i == bad[1] || i == bad[2] {
			require.True(t, math.IsNaN(float64(s)))
			continue
		}
		require.Equal(t, want[i], s, "sequence %d shares a batch with a bad one", i)
	}
}

func equal(a []int64, b []int32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != int64(b[i]) {
			return false
		}
	}
	return true
}

func TestLogLikelihoodStops(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(13, 14)), 50)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	toy := &modeltest.LM{Vocab: vocab}
	batches := 0
	lm := &model.LM{Scorers: over(toy), Limits: model.Limits{Tokens: 50}, OnBatch: func(model.BatchStats) {
		if batches++; batches == 3 {
			cancel()
		}
	}}
	scores, err := lm.LogLikelihood(ctx, seqs)
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, scores)
	require.Equal(t, 3, len(toy.Batches))

	broken := errors.New("out of memory")
	toy = &modeltest.LM{Vocab: vocab, Before: func(*model.Batch) error { return broken }}
	lm = &model.LM{Scorers: over(toy), Limits: lm.Limits}
	_, err = lm.LogLikelihood(t.Context(), seqs)
	require.ErrorIs(t, err, broken)
	require.Len(t, toy.Batches, 1)
}

// The shape of what comes back is held against the batch: a graph that keeps
// the last position only would be read past its end.
func TestLogLikelihoodWrongShape(t *testing.T) {
	lm := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab, After: func(_ *model.Batch, l *model.Logits) { l.Width = 1 }})}
	_, err := lm.LogLikelihood(t.Context(), []model.Sequence{{Tokens: []int32{1, 2, 3}, Answer: model.Span{From: 1, To: 3}}})
	require.EqualError(t, err, "want logits [1, 3, vocabulary], got [1, 1, 37]")
}

func TestBatchStats(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(15, 16)), 200)
	tokens := 0
	for _, s := range seqs {
		tokens += len(s.Tokens)
	}
	var sum model.BatchStats
	var first model.BatchStats
	toy := &modeltest.LM{Vocab: vocab}
	lm := &model.LM{Scorers: over(toy), Limits: model.Limits{Tokens: 150}, OnBatch: func(b model.BatchStats) {
		batch := toy.Batches[len(toy.Batches)-1]
		require.Equal(t, len(batch.TokenIDs), b.Tokens+b.Padding)
		if first.Sequences == 0 {
			first = b
		}
		sum.Sequences += b.Sequences
		sum.Tokens += b.Tokens
		sum.Padding += b.Padding
		sum.Work += b.Work
	}}
	_, err := lm.LogLikelihood(t.Context(), seqs)
	require.NoError(t, err)
	require.Equal(t, len(seqs), sum.Sequences)
	require.Equal(t, tokens, sum.Tokens)
	require.InDelta(t, float64(len(seqs)), sum.Work, 1e-9, "work adds up to the sequences")
	require.Greater(t, first.Work, float64(first.Sequences), "the longest are more work than their number")
}
