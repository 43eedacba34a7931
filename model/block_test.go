package model_test

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// Any words may be asked at any places, several at one, and behind the text.
func TestTargets(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	seqs := beginAlike(rng, 6, 5)
	for i := range seqs {
		seqs[i].Asks = nil
		for at := 1 + rng.IntN(len(seqs[i].Tokens)); at <= len(seqs[i].Tokens); at += rng.IntN(3) {
			seqs[i].Asks = append(seqs[i].Asks, model.Target{At: at, Token: rng.Int32N(vocab)})
		}
		if len(seqs[i].Asks) == 0 || i%4 == 0 {
			seqs[i].Asks = append(seqs[i].Asks, model.Target{At: len(seqs[i].Tokens), Token: 3}, model.Target{At: len(seqs[i].Tokens), Token: 3})
		}
	}
	for _, rows := range []model.Trees{{}, {Tokens: 400, Pairs: 500}} {
		toy := &modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}, Rows: rows}
		got, err := modeltest.LogProbs(t.Context(), &model.LM{Scorers: []model.Scorer{toy}, Limits: model.Limits{Tokens: 300}}, seqs)
		require.NoError(t, err)
		for i, seq := range seqs {
			require.InDeltaSlice(t, toy.Toy.LogProbs(seq), got[i], 2e-6, "sequence %d", i)
		}
	}
}

// layout is a Scorer whose values depend on all of a row, as the last bits of a real
// model's do.
type layout struct{ modeltest.Scorer }

func (s *layout) LogProbs(_ context.Context, b *model.Batch, at []model.Position, out []float32) error {
	for i, p := range at {
		h := fnv.New64a()
		for t := range b.Lens[p.Row] {
			place := p.Row*b.Width + t
			parent := t - 1
			if len(b.Parents) > 0 {
				parent = b.Parents[place]
			}
			h.Write([]byte{byte(b.TokenIDs[place]), byte(parent), byte(parent >> 8)})
		}
		h.Write([]byte{byte(p.At), byte(p.At >> 8), byte(p.Target)})
		out[i] = -float32(h.Sum64() >> 40)
	}
	return nil
}

// layouts are copies of one such model.
func layouts(n int) (out []model.Scorer) {
	for range n {
		out = append(out, &layout{modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}, Rows: model.Trees{Tokens: 2000, Pairs: 500}}})
	}
	return out
}

// values is what an LM gives for blocks: for each sequence, nil where it is known.
func values(t *testing.T, lm *model.LM, blocks []model.Block) [][][]float32 {
	t.Helper()
	out := make([][][]float32, len(blocks))
	for b := range blocks {
		out[b] = make([][]float32, len(blocks[b].Sequences))
	}
	require.NoError(t, lm.LogProbs(t.Context(), blocks, func(b, i int, logProbs []float32) {
		require.Nil(t, out[b][i], "once")
		out[b][i] = logProbs
	}))
	return out
}

// someBlocks have beginnings in common with one another, and sequences that are the same.
func someBlocks(rng *rand.Rand, n int) []model.Block {
	all := beginAlike(rng, 3*n, 8)
	blocks := make([]model.Block, n)
	for i := range blocks {
		seqs := slices.Clone(all[i*len(all)/n : (i+1)*len(all)/n])
		seqs = append(seqs, seqs[0], seqs[3], all[rng.IntN(len(all))])
		rng.Shuffle(len(seqs), func(i, j int) { seqs[i], seqs[j] = seqs[j], seqs[i] })
		blocks[i].Sequences = seqs
	}
	return blocks
}

// A block's values are its own, whatever the budget, the copies of the model, and the
// blocks beside it.
func TestABlockDecidesItsValues(t *testing.T) {
	blocks := someBlocks(rand.New(rand.NewPCG(63, 64)), 7)
	var want [][][]float32
	for i := range blocks {
		want = append(want, values(t, &model.LM{Scorers: layouts(1), Limits: model.Limits{Tokens: 400}}, blocks[i:i+1])...)
	}
	for name, lm := range map[string]*model.LM{
		"one token":      {Scorers: layouts(1), Limits: model.Limits{Tokens: 1}},
		"few":            {Scorers: layouts(1), Limits: model.Limits{Tokens: 90}},
		"many":           {Scorers: layouts(1), Limits: model.Limits{Tokens: 20000}},
		"rows":           {Scorers: layouts(1), Limits: model.Limits{Tokens: 20000, Rows: 3}},
		"tuned":          {Scorers: layouts(1), Tuner: &model.Tuner{Least: 20, Most: 300}},
		"tuned, falling": {Scorers: layouts(1), Tuner: &model.Tuner{Least: 20, Most: 3000, Falling: true}},
		"three models":   {Scorers: layouts(3), Limits: model.Limits{Tokens: 200}},
		"little memory":  {Scorers: layouts(2), Limits: model.Limits{Tokens: 200}, LogitsMemory: 4 * vocab * 3},
		"widths":         {Scorers: layouts(1), Limits: model.Limits{Tokens: 200}, Widest: 400},
	} {
		require.Equal(t, want, values(t, lm, blocks), name)
		require.Equal(t, want[2:5], values(t, lm, blocks[2:5]), name)
	}
}

// What is known changes nothing of the rest, and only rows without anything to score
// do not run.
func TestKnownSequences(t *testing.T) {
	blocks := someBlocks(rand.New(rand.NewPCG(65, 66)), 3)
	want := values(t, &model.LM{Scorers: layouts(1), Limits: model.Limits{Tokens: 400}}, blocks)
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 67))
		left := 0
		share := rng.Float64()
		for b := range blocks {
			blocks[b].Known = make([]bool, len(blocks[b].Sequences))
			for i := range blocks[b].Known {
				blocks[b].Known[i] = rng.Float64() < share
				if !blocks[b].Known[i] {
					left++
				}
			}
		}
		var sum model.BatchStats
		lm := &model.LM{Scorers: layouts(1 + rng.IntN(3)), Limits: model.Limits{Tokens: 1 + rng.IntN(3000)}, OnBatch: func(b model.BatchStats) {
			sum.Sequences += b.Sequences
			sum.Work += b.Work
		}}
		got := values(t, lm, blocks)
		for b := range blocks {
			for i, known := range blocks[b].Known {
				if known {
					require.Nil(t, got[b][i])
				} else {
					require.Equal(t, want[b][i], got[b][i], "block %d, sequence %d", b, i)
				}
			}
		}
		require.Equal(t, left, sum.Sequences)
		require.InDelta(t, left, sum.Work, 1e-9)
	}
}

// Nothing runs where all is known, nor in a row of which all is.
func TestAllKnown(t *testing.T) {
	first, second := model.Answer([]int32{1, 2, 3, 4}, model.Span{From: 2, To: 4}), model.Answer([]int32{5, 6, 7}, model.Span{From: 1, To: 3})
	toy := &modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}, Rows: model.Trees{Tokens: 2000, Pairs: 500}}
	lm := &model.LM{Scorers: []model.Scorer{toy}, Limits: model.Limits{Tokens: 400}}
	block := model.Block{Sequences: []model.Sequence{first, second, first}, Known: []bool{true, true, true}}
	require.Equal(t, [][][]float32{{nil, nil, nil}}, values(t, lm, []model.Block{block}))
	require.Empty(t, toy.Toy.Batches)

	block.Known[2] = false // its first copy is known
	lm.OnBatch = func(b model.BatchStats) {
		require.Equal(t, []int{1, 0, 4}, []int{b.Sequences, b.Copies, b.Tokens})
		require.InDelta(t, 1, b.Work, 1e-9)
	}
	got := values(t, lm, []model.Block{block})[0]
	require.Nil(t, got[0])
	require.InDeltaSlice(t, toy.Toy.LogProbs(first), got[2], 2e-6)
	require.Len(t, toy.Toy.Batches, 1)

	block.Known = []bool{true}
	err := lm.LogProbs(t.Context(), []model.Block{{}, block}, nil)
	require.EqualError(t, err, "block 1: want Known for each of 3 sequences, got 1")
}

// Values are handed on batch by batch, and what was is right though a later one fails.
func TestValuesComeAsBatchesEnd(t *testing.T) {
	seqs := randomSequences(rand.New(rand.NewPCG(68, 69)), 60)
	toy := &modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}}
	got := 0
	ctx, cancel := context.WithCancel(t.Context())
	lm := &model.LM{Scorers: []model.Scorer{toy}, Limits: model.Limits{Tokens: 100}}
	err := lm.LogProbs(ctx, []model.Block{{Sequences: seqs}}, func(_, i int, logProbs []float32) {
		require.InDeltaSlice(t, toy.Toy.LogProbs(seqs[i]), logProbs, 2e-6)
		if got++; got == 20 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.GreaterOrEqual(t, got, 20)
	require.Less(t, got, 30)
}
