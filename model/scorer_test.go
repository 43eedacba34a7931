package model_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// A model that computes log-probabilities itself gives the scores that logits
// give, however its runs are cut.
func TestScorerAgreesWithLogits(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(21, 22)), 120)
	limits := model.Limits{Tokens: 200}
	want, err := modeltest.LogLikelihoods(t.Context(), &model.LM{Scorers: over(&modeltest.LM{Vocab: vocab}), Limits: limits}, seqs)
	require.NoError(t, err)
	total := 0
	for _, s := range seqs {
		total += len(s.Asks)
	}
	const position = 4 * vocab // bytes
	for _, memory := range []int{0, 1, position, 3*position + 1, 17 * position, 1 << 30} {
		toy := &modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}}
		sequences := 0
		lm := &model.LM{Scorers: []model.Scorer{toy}, Limits: limits, LogitsMemory: memory, OnBatch: func(b model.BatchStats) { sequences += b.Sequences }}
		got, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
		require.NoError(t, err)
		for i := range seqs {
			require.InDelta(t, want[i], got[i], 2e-6)
		}
		require.Equal(t, len(seqs), sequences)
		asked := 0
		for i, at := range toy.Asked {
			asked += len(at)
			if memory > 0 {
				require.LessOrEqual(t, len(at), max(1, memory/position), "run %d of %d bytes", i, memory)
			}
		}
		require.Equal(t, total, asked, "every answer token once")
	}
}

// Rows are cut from a batch first; only a row that is too much alone runs again.
func TestLogitsMemoryCutsBatches(t *testing.T) {
	seq := func(length, answer int) model.Sequence {
		tokens := make([]int32, length)
		for i := range tokens {
			tokens[i] = int32(i % vocab)
		}
		return model.Answer(tokens, model.Span{From: length - answer, To: length})
	}
	toy := &modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}}
	lm := &model.LM{Scorers: []model.Scorer{toy}, Limits: model.Limits{Tokens: 1 << 20}, LogitsMemory: 4 * vocab * 4}
	_, err := modeltest.LogLikelihoods(t.Context(), lm, []model.Sequence{seq(20, 3), seq(19, 1), seq(18, 2), seq(17, 9), seq(16, 4), seq(15, 1)})
	require.NoError(t, err)
	var rows, positions []int
	for i, b := range toy.Toy.Batches {
		rows, positions = append(rows, b.Rows), append(positions, len(toy.Asked[i]))
	}
	require.Equal(t, []int{2, 1, 1, 1, 1, 1, 1}, rows)
	require.Equal(t, []int{4, 2, 4, 4, 1, 4, 1}, positions)
}

func TestScorerNonFiniteAndRefused(t *testing.T) {
	seqs := []model.Sequence{model.Answer([]int32{1, 2, 3}, model.Span{From: 1, To: 3}), model.Answer([]int32{4, 5}, model.Span{From: 1, To: 2})}
	toy := &modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab, After: func(b *model.Batch, l *model.Logits) {
		l.F32[(1*l.Width+0)*l.Vocab] = float32(math.NaN())
	}}}
	lm := &model.LM{Scorers: []model.Scorer{toy}, Limits: model.Limits{Tokens: 100}}
	scores, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.NoError(t, err)
	require.True(t, math.IsNaN(float64(scores[1])))
	require.False(t, math.IsNaN(float64(scores[0])))

	seqs[1].Asks[0].Token = vocab
	_, err = modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.EqualError(t, err, "block 0, sequence 1: want tokens to score below the model's vocabulary of 37, got 37")
}
