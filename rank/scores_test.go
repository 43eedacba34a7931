package rank

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/floats"
)

func TestParseKind(t *testing.T) {
	for _, k := range []Kind{Reciprocal, Linear, DCG, Confidence, Reference} {
		got, err := ParseKind(string(k))
		require.NoError(t, err)
		require.Equal(t, k, got)
	}
	_, err := ParseKind("borda")
	require.EqualError(t, err, `want reciprocal, linear, dcg, confidence or reference, got "borda"`)
}

func TestScores(t *testing.T) {
	order := []int{2, 0, 3, 1} // passage 2 is the best, passage 1 the worst
	for kind, want := range map[Kind][]float32{
		Reciprocal: {1. / 2, 1. / 4, 1, 1. / 3},
		Linear:     {0.75, 0.25, 1, 0.5},
		DCG:        {0.63092975, 0.43067656, 1, 0.5},
		Reference:  {1, 1. / 3, 1, 1. / 2},
	} {
		require.Equal(t, want, Scores(kind, order, nil), kind)
		require.Equal(t, []float32{1}, Scores(kind, []int{0}, nil), kind)
		require.Empty(t, Scores(kind, nil, nil), kind)
	}
	require.Equal(t, []float32{0}, Scores(Confidence, []int{0}, []float64{-3}))
	require.Empty(t, Scores(Confidence, nil, nil))
}

// By hand: shares 1/2, of the rest 1/4, of the rest all.
func TestScoresByConfidence(t *testing.T) {
	worths := Worths([]float64{0.5, 0.25, 1})
	require.InDeltaSlice(t, []float64{math.Log(0.5), math.Log(0.125), math.Log(0.125)}, worths, 1e-12, "3/8 is lowered to 1/8")
	got := Scores(Confidence, []int{1, 2, 0}, []float64{worths[2], worths[0], worths[1]})
	require.InDeltaSlice(t, []float64{math.Log(1. / 6), math.Log(4. / 6), math.Log(1. / 6)}, []float64{float64(got[0]), float64(got[1]), float64(got[2])}, 1e-6)

	// An order that several rankings agreed on need not be that of the worths.
	require.Equal(t, []float32{float32(-math.Log(3)), float32(-math.Log(3)), float32(-math.Log(3))}, Scores(Confidence, []int{2, 1, 0}, []float64{5, 4, 1}))

	worths = Worths([]float64{0.6, 0.7, 0.9, 0.3})
	require.InDeltaSlice(t, []float64{math.Log(0.6), math.Log(0.28), math.Log(0.108), math.Log(0.012)}, worths, 1e-12, "the last is implied")
	require.InDelta(t, 0, floats.LogSumExp(worths), 1e-12)
}

// The choices of a Plackett-Luce model give its worths back.
func TestWorthsOfPlackettLuce(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 40; n++ {
		want := make([]float64, n)
		for k := range want {
			want[k] = rng.Float64() + 0.01
		}
		slices.Sort(want)
		slices.Reverse(want)
		floats.Scale(1/floats.Sum(want), want)
		p := make([]float64, n)
		for k := range p {
			p[k] = want[k] / floats.Sum(want[k:])
		}
		for k, w := range Worths(p) {
			require.InDelta(t, want[k], math.Exp(w), 1e-9)
		}
	}
}

// No probability, however odd, gives a score that is not finite or rises.
func TestWorthsAreFiniteAndFall(t *testing.T) {
	const n = 1000
	order := make([]int, n)
	for k := range order {
		order[k] = k
	}
	for _, value := range []float64{0, 1, 1e-300, 1 - 1e-16, math.NaN(), -1, 2, math.Inf(1)} {
		p := slices.Repeat([]float64{value}, n)
		worths := Worths(p)
		scores := Scores(Confidence, order, worths)
		for k := range n {
			require.False(t, math.IsNaN(worths[k]) || math.IsInf(worths[k], 0), "%v at %d", value, k)
			require.False(t, k > 0 && (worths[k] > worths[k-1] || scores[k] > scores[k-1]), "%v at %d", value, k)
			require.LessOrEqual(t, scores[k], float32(0))
		}
	}
	require.Equal(t, []float64{0}, Worths([]float64{0}))
	require.Empty(t, Worths(nil))
}

// Every kind ranks as the order does.
func FuzzScores(f *testing.F) {
	f.Add(uint64(1), uint8(9), 0.5)
	f.Add(uint64(2), uint8(1), 0.)
	f.Fuzz(func(t *testing.T, seed uint64, size uint8, skew float64) {
		if !(math.Abs(skew) <= 1e6) {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 0))
		order, p := rng.Perm(int(size)), make([]float64, size)
		for k := range p {
			p[k] = math.Pow(rng.Float64(), skew)
		}
		worths, byRank := make([]float64, size), Worths(p)
		for place, i := range order {
			worths[i] = byRank[place] + skew // a constant does not matter
		}
		for _, kind := range []Kind{Reciprocal, Linear, DCG, Confidence, Reference} {
			scores, sum := Scores(kind, order, worths), 0.0
			for place, i := range order {
				s := float64(scores[i])
				require.False(t, math.IsNaN(s) || math.IsInf(s, 0))
				require.False(t, place > 0 && scores[i] > scores[order[place-1]], "%s at %d", kind, place)
				sum += math.Exp(s)
			}
			if kind == Confidence && size > 0 {
				require.InDelta(t, 1, sum, 1e-3)
			}
		}
	})
}
