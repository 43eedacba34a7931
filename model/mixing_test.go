package model_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

func TestMixingTakes(t *testing.T) {
	breaks := model.Mixing{Breaks: []int{9, 10, 11}}
	for _, c := range []struct {
		mixing model.Mixing
		a, b   int
		want   bool
	}{
		{model.Mixing{}, 3, 300, true},
		{model.Mixing{Alone: true}, 3, 3, false},
		{model.Mixing{EqualLengths: true}, 3, 3, true},
		{model.Mixing{EqualLengths: true}, 3, 4, false},
		{breaks, 3, 9, true},
		{breaks, 9, 10, false},
		{breaks, 10, 10, true},
		{breaks, 11, 12, false},
		{breaks, 12, 1000, true},
	} {
		require.Equal(t, c.want, c.mixing.Takes(c.a, c.b), "%+v %d %d", c.mixing, c.a, c.b)
		require.Equal(t, c.want, c.mixing.Takes(c.b, c.a), "%+v %d %d", c.mixing, c.b, c.a)
	}
	for n, want := range map[int]int{3: 9, 9: 9, 10: 10, 11: 11, 12: 100} {
		require.Equal(t, want, breaks.Within(n, 100), n)
	}
	require.Equal(t, 7, breaks.Within(3, 7))
	require.True(t, model.Mixing{}.Any())
	require.False(t, breaks.Any())
}

// No batch holds sequences that the scorer does not mix, and each gets its score.
func TestBatchesOfWhatMayBeMixed(t *testing.T) {
	seqs := beginAlike(rand.New(rand.NewPCG(43, 44)), 12, 6)
	scorer := func(mix model.Mixing) *modeltest.Scorer {
		return &modeltest.Scorer{Toy: modeltest.LM{Vocab: vocab}, Rows: model.Trees{Tokens: math.MaxInt, Pairs: 1000}, Mix: mix}
	}
	likelihoods := func(s model.Scorer) []float32 {
		scores, err := modeltest.LogLikelihoods(t.Context(), &model.LM{Scorers: []model.Scorer{s}, Limits: model.Limits{Tokens: 400}}, seqs)
		require.NoError(t, err)
		return scores
	}
	want := likelihoods(scorer(model.Mixing{}))
	for _, mix := range []model.Mixing{{Alone: true}, {EqualLengths: true}, {Breaks: []int{4, 5, 6}}} {
		s := scorer(mix)
		for i, got := range likelihoods(s) {
			require.InDelta(t, want[i], got, 2e-6, "%+v", mix)
		}
		shared := 0
		for _, b := range s.Toy.Batches {
			require.Empty(t, b.Parents)
			shared += b.Rows - 1
			for _, n := range b.Lens[1:] {
				require.True(t, mix.Takes(b.Lens[0], n), "%+v: %v", mix, b.Lens)
			}
		}
		require.Equal(t, !mix.Alone, shared > 0, "%+v", mix)
	}
}

// Texts on both sides of a break are not in the cache at once, and one that passes a
// break is there by itself.
func TestTextsAndBreaks(t *testing.T) {
	breaks := []int{8, 9}
	in := texts(48, nil)
	for i := range in {
		in[i].Tokens = append(in[i].Tokens, 1, 2)
		in[i].MaxNew = 1 + i%3
	}
	for name, has := range traits {
		has.Breaks = breaks
		d := decoderOf(has)
		got := generate(t, &model.Generator{Decoders: []model.Decoder{d}, Limits: model.Limits{Rows: 4, Tokens: 100}}, in)
		for i, p := range in {
			requireGenerated(t, byHand(t, p), got[i], name)
		}
		mixing := model.Mixing{Breaks: breaks}
		together := false
		for _, b := range d.Forwarder.(*modeltest.LM).Batches {
			var lens []int
			for _, n := range b.Lens {
				if n > 1 || b.Rows == 1 { // a row that has ended is one pad
					lens = append(lens, n)
				}
			}
			together = together || len(lens) > 1
			for _, n := range lens {
				require.True(t, mixing.Takes(lens[0], n), "%s: %v", name, b.Lens)
			}
		}
		require.Equal(t, has.MaxRows != 1, together, name)
	}
}

// Where steps are even no row is given more tokens than another.
func TestEvenSteps(t *testing.T) {
	d := decoderOf(model.Traits{ChunkRows: math.MaxInt, EvenSteps: true})
	guides := func(i int) model.Guide { return &waltz{n: 1 + i%4, at: 0} }
	got := generate(t, &model.Generator{Decoders: []model.Decoder{d}, Limits: model.Limits{Rows: 5, Tokens: 100}}, texts(20, guides))
	want := generate(t, &model.Generator{Decoders: []model.Decoder{decoderOf(model.Traits{ChunkRows: 1})}, Limits: model.Limits{Rows: 1}}, texts(20, guides))
	for i := range want {
		requireGenerated(t, want[i], got[i], "even")
	}
	several := 0
	for _, step := range d.Steps {
		n := 0
		for _, ids := range step {
			if len(ids) > 0 && n > 0 {
				require.Len(t, ids, n)
			}
			n = max(n, len(ids))
		}
		if n > 1 {
			several++
		}
	}
	require.Positive(t, several, "forced tokens go together where they may")
}
