package model

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// reference is log softmax(logits)[target] in float64, but for the last sum,
// which big numbers make exact.
func reference(logits []float32, target int) float64 {
	largest := math.Inf(-1)
	for _, x := range logits {
		largest = max(largest, float64(x))
	}
	sum := new(big.Float).SetPrec(200)
	for _, x := range logits {
		sum.Add(sum, big.NewFloat(math.Exp(float64(x)-largest)))
	}
	total, _ := sum.Float64()
	return float64(logits[target]) - largest - math.Log(total)
}

func TestLogProb(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	random := func(n int, scale float64) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(scale * rng.NormFloat64())
		}
		return out
	}
	with := func(logits []float32, at int, x float64) []float32 {
		logits[at] = float32(x)
		return logits
	}
	ninf := math.Inf(-1)
	for _, c := range []struct {
		name   string
		logits []float32
		// Largest difference; the float32 exponential allows 2e-7 of the sum.
		tolerance float64
	}{
		{"one word", []float32{3}, 0},
		{"two words", []float32{0, 1}, 2e-7},
		{"seven words", random(7, 3), 2e-7},
		{"small vocabulary", random(512, 4), 2e-7},
		{"huge vocabulary", random(200_000, 4), 2e-7},
		{"huge and peaked", with(random(200_000, 4), 7, 60), 2e-7},
		{"huge and nearly flat", random(200_003, 1e-3), 2e-7},
		{"all equal", make([]float32, 200_000), 0},
		{"all equal, far out", with(with(make([]float32, 2), 0, -1e30), 1, -1e30), 0},
		{"1e30 at the target", with(random(1000, 4), 3, 1e30), 0},
		{"1e30 elsewhere", with(random(1000, 4), 4, 1e30), 0},
		{"-1e30 at the target", with(random(1000, 4), 3, -1e30), 0},
		{"-1e30 elsewhere", with(random(1000, 4), 4, -1e30), 2e-7},
		{"-Inf elsewhere", with(random(1000, 4), 4, ninf), 2e-7},
		{"largest and smallest float32", []float32{math.MaxFloat32, 0, 0, -math.MaxFloat32}, 0},
		{"subnormal", []float32{1e-45, -1e-45, 0, 1e-40}, 2e-7},
	} {
		target := min(3, len(c.logits)-1)
		want, got := reference(c.logits, target), logProb(c.logits, int32(target))
		require.InDelta(t, want, got, c.tolerance, c.name)
		require.LessOrEqual(t, got, 0.0, "%s: a probability above 1", c.name)
	}
}

// In every size the last words, past the unrolled loop, count too.
func TestLogProbEverySize(t *testing.T) {
	for n := 1; n <= 40; n++ {
		require.InDelta(t, -math.Log(float64(n)), logProb(make([]float32, n), int32(n-1)), 1e-12)
	}
}

func TestLogProbNotFinite(t *testing.T) {
	nan, inf, ninf := float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))
	for n := 1; n <= 11; n++ {
		for target := range n {
			for _, bad := range []float32{nan, inf} {
				for at := range n {
					logits := make([]float32, n)
					logits[at] = bad
					requireNotFinite(t, logProb(logits, int32(target)))
				}
			}
			logits := make([]float32, n)
			logits[target] = ninf
			requireNotFinite(t, logProb(logits, int32(target)))
		}
	}
	requireNotFinite(t, logProb([]float32{ninf, ninf, ninf}, 1))
	requireNotFinite(t, logProb([]float32{inf, nan, 1}, 2))
}

func requireNotFinite(t *testing.T, v float64) {
	t.Helper()
	require.True(t, math.IsNaN(v) || math.IsInf(v, 0), "want no finite number, got %v", v)
}

// table is a model that gives the same logits for every batch.
type table struct{ logits *Logits }

func (t table) Forward(context.Context, *Batch) (*Logits, error) { return t.logits, nil }

// The picture in the comment of scoring.score, with probabilities that can be checked
// on paper: over two words, logits (0, ln 3) give 1/4 and 3/4.
func TestScoreShift(t *testing.T) {
	ln := func(x float64) float32 { return float32(math.Log(x)) }
	poison := float32(math.NaN())
	l := &Logits{Rows: 2, Width: 5, Vocab: 2, F32: []float32{
		0, ln(9), 0, ln(9), 0, ln(9), 0, ln(9), 0, ln(9), // another row
		poison, poison, // position 0 predicts 1, a token of the question
		0, ln(3), // position 1 predicts 2
		0, ln(7), // position 2 predicts 3
		0, 0, // position 3 predicts 4
		poison, poison, // position 4 predicts what would come next
	}}
	seq := Answer([]int32{1, 1, 1, 0, 0}, Span{2, 5})
	want := (math.Log(3./4) + math.Log(1./8) + math.Log(1./2)) / 3
	lm := &LM{Scorers: []Scorer{FullLogits{Forwarder: table{l}, Words: 2}}, Limits: Limits{Tokens: 10}}
	score := func(seq Sequence) float64 {
		other := Answer([]int32{0, 0, 0, 0, 0}, Span{1, 5})
		var score float64
		err := lm.LogProbs(t.Context(), []Block{{Sequences: []Sequence{other, seq}}}, func(_, i int, logProbs []float32) {
			for _, v := range logProbs {
				if i == 1 {
					score += float64(v) / float64(len(logProbs))
				}
			}
		})
		require.NoError(t, err)
		return score
	}
	require.InDelta(t, want, score(seq), 1e-7)

	seq = Answer(seq.Tokens, Span{3, 4}) // what follows an answer is not scored
	require.InDelta(t, math.Log(1./8), score(seq), 1e-7)
}

func TestLogitsAt(t *testing.T) {
	// 1, -2, 0.5, 65504 (the largest of fp16), in [1, 2, 2]
	f16 := &Logits{Rows: 1, Width: 2, Vocab: 2, F16: []uint16{0x3c00, 0xc000, 0x3800, 0x7bff}}
	bf16 := &Logits{Rows: 1, Width: 2, Vocab: 2, BF16: []uint16{0x3f80, 0xc000, 0x3f00, 0x4780}}
	scratch := make([]float32, 2)
	for _, buf := range [][]float32{nil, scratch, make([]float32, 1)} {
		require.Equal(t, []float32{0.5, 65504}, f16.At(0, 1, buf))
		require.Equal(t, []float32{0.5, 65536}, bf16.At(0, 1, buf))
	}
	got := f16.At(0, 0, scratch)
	require.Equal(t, []float32{1, -2}, got)
	require.Same(t, &scratch[0], &got[0])
}

func TestLogitsCheck(t *testing.T) {
	b := &Batch{Rows: 2, Width: 3}
	for _, c := range []struct {
		logits Logits
		want   string
	}{
		{Logits{Rows: 2, Width: 3, Vocab: 4, F32: make([]float32, 24)}, ""},
		{Logits{Rows: 2, Width: 3, Vocab: 4, F16: make([]uint16, 24)}, ""},
		{Logits{Rows: 2, Width: 3, Vocab: 4, BF16: make([]uint16, 24)}, ""},
		{Logits{Rows: 2, Width: 1, Vocab: 4, F32: make([]float32, 8)}, "want logits [2, 3, vocabulary], got [2, 1, 4]"},
		{Logits{Rows: 1, Width: 3, Vocab: 4, F32: make([]float32, 12)}, "want logits [2, 3, vocabulary], got [1, 3, 4]"},
		{Logits{Rows: 2, Width: 3, Vocab: 4, F32: make([]float32, 23)}, "want 24 numbers for logits [2, 3, 4], got 23"},
		{Logits{Rows: 2, Width: 3, Vocab: 4}, "want 24 numbers for logits [2, 3, 4], got 0"},
		{Logits{Rows: 2, Width: 3}, "want 0 numbers for logits [2, 3, 0], got 0"},
	} {
		err := c.logits.check(b)
		if c.want == "" {
			require.NoError(t, err)
		} else {
			require.EqualError(t, err, c.want)
		}
	}
}
