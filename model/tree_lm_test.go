package model_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// beginAlike makes sequences of families that share their first tokens.
func beginAlike(rng *rand.Rand, families, each int) []model.Sequence {
	var seqs []model.Sequence
	for range families {
		root := randomSequences(rng, 1)[0].Tokens
		for range each {
			s := randomSequences(rng, 1)[0]
			shift := rng.IntN(len(root) + 1)
			s.Tokens = append(slices.Clone(root[:shift]), s.Tokens...)
			for k := range s.Asks {
				s.Asks[k].At += shift
			}
			seqs = append(seqs, s)
		}
	}
	rng.Shuffle(len(seqs), func(i, j int) { seqs[i], seqs[j] = seqs[j], seqs[i] })
	return seqs
}

// Rows of several sequences give each the score that it has alone.
func TestTreesChangeNoScore(t *testing.T) {
	seqs := beginAlike(rand.New(rand.NewPCG(41, 42)), 12, 9)
	other := model.Answer(seqs[5].Tokens, model.Span{From: 1, To: len(seqs[5].Tokens)})
	seqs = append(seqs, seqs[3], other)
	want := scoreAlone(t, seqs)
	tokens := 0
	for i, s := range seqs {
		if i != len(seqs)-2 { // the same as another
			tokens += len(s.Tokens)
		}
	}
	for _, memory := range []int{0, 4 * vocab * 11} {
		for _, limits := range []model.Limits{{Tokens: 1}, {Tokens: 90}, {Tokens: 700}, {Tokens: 700, Rows: 2}} {
			toy := &modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}, Rows: model.Trees{Tokens: 400, Pairs: 500}}
			var sum model.BatchStats
			lm := &model.LM{Scorers: []model.Scorer{toy}, Limits: limits, LogitsMemory: memory, OnBatch: func(b model.BatchStats) {
				sum.Sequences += b.Sequences
				sum.Tokens += b.Tokens
				sum.Shared += b.Shared
				sum.Work += b.Work
			}}
			got, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
			require.NoError(t, err)
			for i := range seqs {
				require.InDelta(t, want[i], got[i], 2e-6)
			}
			require.Equal(t, len(seqs), sum.Sequences)
			require.Equal(t, tokens, sum.Tokens+sum.Shared)
			require.InDelta(t, len(seqs), sum.Work, 1e-9)
			require.Greater(t, sum.Shared, tokens/20)
		}
	}
}

// Scorers that are not of one mind take what all of them take.
func TestTreesOfSeveralScorers(t *testing.T) {
	seqs := beginAlike(rand.New(rand.NewPCG(43, 44)), 3, 9)
	lm := &model.LM{Limits: model.Limits{Tokens: 500}, Scorers: []model.Scorer{
		&modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}, Rows: model.Trees{Tokens: 400, Pairs: 500}},
		model.FullLogits{Forwarder: &modeltest.LM{Vocab: vocab}, Words: vocab},
	}}
	lm.OnBatch = func(b model.BatchStats) { require.Zero(t, b.Shared) }
	_, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.NoError(t, err)
}

// smallTrees is a Scorer with memory for rows of so many tokens.
type smallTrees struct {
	modeltest.Scorer
	most int
}

func (s *smallTrees) LogProbs(ctx context.Context, b *model.Batch, at []model.Position, out []float32) error {
	if b.Rows*b.Width > s.most {
		return fmt.Errorf("a forward of %d rows: %w", b.Rows, model.ErrOutOfMemory)
	}
	return s.Scorer.LogProbs(ctx, b, at, out)
}

// Rows that are too large for the memory are taken apart.
func TestTreesOutOfMemory(t *testing.T) {
	seqs := beginAlike(rand.New(rand.NewPCG(45, 46)), 12, 9)
	longest := 0
	for _, s := range seqs {
		longest = max(longest, len(s.Tokens))
	}
	want := scoreAlone(t, seqs)
	shrunk, work := 0, 0.0
	s := &smallTrees{modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}, Rows: model.Trees{Tokens: 1000, Pairs: 100000}}, longest}
	lm := &model.LM{Scorers: []model.Scorer{s}, Limits: model.Limits{Tokens: 2000}, OnShrink: func(int, error) { shrunk++ },
		OnBatch: func(b model.BatchStats) { work += b.Work }}
	got, err := modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.NoError(t, err)
	for i := range seqs {
		require.InDelta(t, want[i], got[i], 2e-6)
	}
	require.Less(t, shrunk, 8, "rows that wait are taken apart too: not each has to fail by itself")
	require.InDelta(t, len(seqs), work, 1e-9)

	before := shrunk
	got, err = modeltest.LogLikelihoods(t.Context(), lm, seqs)
	require.NoError(t, err)
	require.Equal(t, before, shrunk, "what was learnt stays")
	for i := range seqs {
		require.InDelta(t, want[i], got[i], 2e-6)
	}
}
