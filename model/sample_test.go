package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// of are candidates out of full logits: those allowed, or every word.
func of(logits []float32, allowed []int32) *Candidates {
	l := &Logits{Rows: 1, Width: 1, Vocab: len(logits), F32: logits}
	c := l.candidates(Position{}, Ask{Tokens: allowed, All: allowed == nil}, nil)
	return &c
}

// counts draws n times and counts the tokens.
func counts(t *testing.T, s Sampling, logits []float32, allowed []int32, n int) []int {
	t.Helper()
	out := make([]int, len(logits))
	rows := newSampler(s, 7, nil)
	for range n {
		id, _, err := rows.choose(of(logits, allowed))
		require.NoError(t, err)
		out[id]++
	}
	return out
}

// logitsOf are logits whose softmax gives these probabilities.
func logitsOf(p ...float64) []float32 {
	out := make([]float32, len(p))
	for i, x := range p {
		out[i] = float32(math.Log(x) + 3)
	}
	return out
}

func requireShares(t *testing.T, want []float64, counts []int) {
	t.Helper()
	n := 0
	for _, c := range counts {
		n += c
	}
	for i, p := range want {
		// Five standard deviations; the seed is fixed, so this cannot flicker.
		require.InDelta(t, p*float64(n), counts[i], 5*math.Sqrt(p*(1-p)*float64(n))+1e-9, "token %d", i)
	}
}

func TestSamplingFollowsTheModel(t *testing.T) {
	p := []float64{0.1, 0.5, 0.05, 0.35}
	const n = 20000
	requireShares(t, p, counts(t, Sampling{Temperature: 1}, logitsOf(p...), nil, n))
	requireShares(t, []float64{0, 0.5 / 0.85, 0, 0.35 / 0.85}, counts(t, Sampling{Temperature: 1, TopP: 0.8}, logitsOf(p...), nil, n))
	requireShares(t, []float64{0, 1, 0, 0}, counts(t, Sampling{Temperature: 1, TopP: 0.45}, logitsOf(p...), nil, n))
	requireShares(t, []float64{0.1 / 0.15, 0, 0.05 / 0.15, 0}, counts(t, Sampling{Temperature: 1}, logitsOf(p...), []int32{0, 2}, n))
	var sum float64
	cold := make([]float64, len(p))
	for i, x := range p {
		cold[i] = x * x // a temperature of a half squares
		sum += cold[i]
	}
	for i := range cold {
		cold[i] /= sum
	}
	requireShares(t, cold, counts(t, Sampling{Temperature: 0.5}, logitsOf(p...), nil, n))
}

func TestGreedyTakesTheFirstOfEquals(t *testing.T) {
	s := newSampler(Sampling{}, 0, nil)
	id, _, err := s.choose(of([]float32{1, 2, 2, 0}, nil))
	require.NoError(t, err)
	require.Equal(t, int32(1), id)
	few := of(logitsOf(0.7, 0.1, 0.2), []int32{1, 2})
	id, logProb, err := s.choose(few)
	require.NoError(t, err)
	require.Equal(t, int32(2), id)
	require.InDelta(t, 0.3, few.mass(), 1e-6)
	require.InDelta(t, math.Log(0.2), logProb, 1e-6)
}

// As transformers' RepetitionPenaltyLogitsProcessor: a positive logit is divided,
// a negative one multiplied; the probabilities reported are the model's own.
func TestRepetitionPenalty(t *testing.T) {
	s := newSampler(Sampling{RepetitionPenalty: 2}, 0, []int32{0})
	logits := []float32{3, 2, -1}
	id, logProb, err := s.choose(of(logits, nil))
	require.NoError(t, err)
	require.Equal(t, int32(1), id, "3/2 is below 2")
	require.InDelta(t, 2-math.Log(math.Exp(3)+math.Exp(2)+math.Exp(-1)), logProb, 1e-6)
	id, _, err = s.choose(of(logits, nil))
	require.NoError(t, err)
	require.Equal(t, int32(0), id, "now 2/2 is below 3/2")
	s.note(2)
	id, _, err = s.choose(of([]float32{-4, -3, -1}, nil))
	require.NoError(t, err)
	require.Equal(t, int32(2), id, "-2 is still above -8 and -6")
}

func TestChooseRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, logits := range [][]float32{{0, nan}, {0, inf}, {-inf, -inf}} {
		_, _, err := newSampler(Sampling{}, 0, nil).choose(of(logits, nil))
		var bad *NonFiniteError
		require.ErrorAs(t, err, &bad)
	}
	_, _, err := newSampler(Sampling{}, 0, nil).choose(of([]float32{0, -inf, -inf}, []int32{1, 2}))
	require.Error(t, err, "the model rules out all that is allowed")
	id, _, err := newSampler(Sampling{}, 0, nil).choose(of([]float32{-inf, 1}, nil))
	require.NoError(t, err)
	require.Equal(t, int32(1), id)
}

// The likeliest of full logits is the first of equals, in every number format, and
// asking for all of 16-bit logits gives each row numbers of its own.
func TestCandidatesOfFullLogits(t *testing.T) {
	bf16 := func(x float32) uint16 { return uint16(math.Float32bits(x) >> 16) }
	rows := [][]float32{{1, 3, 3, -2}, {5, 0, 5, 5}, {-1, -1, -4, -0.5}}
	f32, b16 := &Logits{Rows: 3, Width: 1, Vocab: 4}, &Logits{Rows: 3, Width: 1, Vocab: 4}
	var at []Position
	for r, row := range rows {
		at = append(at, Position{Row: r})
		for _, x := range row {
			f32.F32, b16.BF16 = append(f32.F32, x), append(b16.BF16, bf16(x))
		}
	}
	for _, l := range []*Logits{f32, b16} {
		best, err := l.Candidates(at, []Ask{{Likeliest: true}, {Likeliest: true}, {Likeliest: true}})
		require.NoError(t, err)
		all, err := l.Candidates(at, []Ask{{All: true}, {All: true}, {All: true}})
		require.NoError(t, err)
		some, err := l.Candidates(at, []Ask{{Tokens: []int32{0, 3}}, {}, {Tokens: []int32{2}}})
		require.NoError(t, err)
		for r, want := range []int32{1, 0, 3} {
			require.Equal(t, Candidates{IDs: []int32{want}, Logits: rows[r][want : want+1], Total: all[r].Total}, best[r])
			require.Equal(t, rows[r], all[r].Logits)
		}
		require.Equal(t, []Candidates{{IDs: []int32{0, 3}, Logits: []float32{1, -2}, Total: all[0].Total}, {},
			{IDs: []int32{2}, Logits: []float32{-4}, Total: all[2].Total}}, some)
	}
	for _, id := range []int32{-1, 4} {
		_, err := f32.Candidates(at, []Ask{{}, {Tokens: []int32{1, id}}, {}})
		require.ErrorContains(t, err, "want tokens below the model's vocabulary of 4, got ")
	}
}
