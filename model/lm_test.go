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
		seqs[i] = model.Answer(tokens, model.Span{From: from, To: from + 1 + rng.IntN(len(tokens)-from)})
	}
	return seqs
}

// over is a toy model that gives full logits.
func over(toy *modeltest.LM) []model.Scorer {
	return []model.Scorer{model.FullLogits{Forwarder: toy, Words: toy.Vocab}}
}

func TestLogProbs(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(7, 8)), 300)
	for _, format := range []modeltest.Format{modeltest.F32, modeltest.F16, modeltest.BF16} {
		toy := &modeltest.LM{Vocab: vocab, Format: format}
		lm := &model.LM{Scorers: over(toy), Limits: model.Limits{Tokens: 200}}
		scores, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
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
func TestLogProbsInvariant(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	seqs := randomSequences(rng, 120)
	alone := make([]float32, len(seqs))
	for i := range seqs {
		lm := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab})}
		one, err := modeltest.LogLikelihoods(t.Context(), lm, seqs[i:i+1])
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
			got, err := modeltest.LogLikelihoods(t.Context(), lm, shuffled)
			require.NoError(t, err)
			require.Equal(t, want, got, "%+v", limits)
		}
	}
}

func TestLogProbsBatches(t *testing.T) {
	toy := &modeltest.LM{Vocab: vocab}
	lm := &model.LM{Scorers: over(toy), Limits: model.Limits{Tokens: 8}}
	answer := model.Span{From: 1, To: 2}
	_, err := modeltest.LogLikelihoods(t.Context(), lm, []model.Sequence{
		model.Answer([]int32{1, 2}, answer), model.Answer([]int32{3, 4, 5, 6}, answer), model.Answer([]int32{7, 8, 9}, answer)})
	require.NoError(t, err)
	require.Equal(t, []model.Batch{
		{Rows: 2, Width: 4, Lens: []int{4, 3}, TokenIDs: []int64{3, 4, 5, 6, 7, 8, 9, model.PadID}},
		{Rows: 1, Width: 2, Lens: []int{2}, TokenIDs: []int64{1, 2}},
	}, toy.Batches)
}

func TestLogProbsOfNothing(t *testing.T) {
	toy := &modeltest.LM{Vocab: vocab}
	lm := &model.LM{Scorers: over(toy), OnBatch: func(model.BatchStats) { t.Fatal("a batch of nothing") }}
	scores, err := modeltest.LogLikelihoods(t.Context(), lm, nil)
	require.NoError(t, err)
	require.Empty(t, scores)
	require.Empty(t, toy.Batches)
}

func TestLogProbsRefuses(t *testing.T) {
	ask := func(tokens []int32, asks ...model.Target) model.Sequence {
		return model.Sequence{Tokens: tokens, Asks: asks}
	}
	at := func(at int) model.Target { return model.Target{At: at, Token: 1} }
	good := model.Answer([]int32{1, 2, 3}, model.Span{From: 1, To: 3})
	for _, c := range []struct {
		name string
		bad  model.Sequence
		want string
	}{
		{"nothing", model.Sequence{}, "want a token to score, got none"},
		{"no ask", model.Sequence{Tokens: []int32{1, 2}}, "want a token to score, got none"},
		{"no tokens", ask(nil, at(1)), "want places to score within 1..0, in ascending order, got 1"},
		{"at 0", ask([]int32{1, 2}, at(0), at(1)), "want places to score within 1..2, in ascending order, got 0"},
		{"negative", ask([]int32{1, 2}, at(-3)), "want places to score within 1..2, in ascending order, got -3"},
		{"backwards", ask([]int32{1, 2}, at(2), at(1)), "want places to score within 1..2, in ascending order, got 1"},
		{"past the end", ask([]int32{1, 2}, at(1), at(3)), "want places to score within 1..2, in ascending order, got 3"},
		{"negative id", model.Answer([]int32{-1, 2}, model.Span{From: 1, To: 2}), "want token ids of 0 and above, got -1"},
		{"negative id asked", ask([]int32{1, 2}, model.Target{At: 1, Token: -1}), "want tokens to score below the model's vocabulary of 37, got -1"},
		{"id out of the vocabulary", model.Answer([]int32{1, vocab}, model.Span{From: 1, To: 2}), "want tokens to score below the model's vocabulary of 37, got 37"},
	} {
		lm := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab}), Limits: model.Limits{Tokens: 100}}
		_, err := modeltest.LogLikelihoods(t.Context(), lm, []model.Sequence{good, c.bad, good})
		require.EqualError(t, err, "block 0, sequence 1: "+c.want, c.name)
	}
}

// A word before the answer may lie beyond the logits: some models embed more
// words than they score.
func TestLogProbsPromptBeyondVocab(t *testing.T) {
	lm := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab})}
	_, err := modeltest.LogLikelihoods(t.Context(), lm, []model.Sequence{model.Answer([]int32{vocab + 5, 1}, model.Span{From: 1, To: 2})})
	require.NoError(t, err)
}

func TestLogProbsNonFinite(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(11, 12)), 30)
	clean := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab}), Limits: model.Limits{Tokens: 100}}
	want, err := modeltest.LogLikelihoods(t.Context(), clean, seqs)
	require.NoError(t, err)

	bad := []int{4, 17, 23}
	lm := &model.LM{Limits: clean.Limits, Scorers: over(&modeltest.LM{Vocab: vocab, After: func(b *model.Batch, l *model.Logits) {
		for r := range b.Rows {
			for _, i := range bad {
				if equal(b.TokenIDs[r*b.Width:][:b.Lens[r]], seqs[i].Tokens) {
					l.F32[(r*l.Width+seqs[i].Asks[0].At-1)*l.Vocab] = float32(math.NaN())
				}
			}
		}
	}})}
	scores, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.NoError(t, err, "they are handed on")
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

func TestLogProbsStops(t *testing.T) {
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
	scores, err := modeltest.LogLikelihoods(ctx, lm, seqs)
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, scores)
	require.Equal(t, 3, len(toy.Batches))

	broken := errors.New("out of memory")
	toy = &modeltest.LM{Vocab: vocab, Before: func(*model.Batch) error { return broken }}
	lm = &model.LM{Scorers: over(toy), Limits: lm.Limits}
	_, err = modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.ErrorIs(t, err, broken)
	require.Len(t, toy.Batches, 1)
}

// The shape of what comes back is held against the batch: a graph that keeps
// the last position only would be read past its end.
func TestLogProbsWrongShape(t *testing.T) {
	lm := &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab, After: func(_ *model.Batch, l *model.Logits) { l.Width = 1 }})}
	_, err := modeltest.LogLikelihoods(t.Context(), lm, []model.Sequence{model.Answer([]int32{1, 2, 3}, model.Span{From: 1, To: 3})})
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
	_, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.NoError(t, err)
	require.Equal(t, len(seqs), sum.Sequences)
	require.Equal(t, tokens, sum.Tokens)
	require.InDelta(t, float64(len(seqs)), sum.Work, 1e-9, "work adds up to the sequences")
	require.Greater(t, first.Work, float64(first.Sequences), "the longest are more work than their number")
}
