package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// exp32 against float64, over every 97th float32 from 0 down to the cut.
func TestExp32(t *testing.T) {
	var worst float64
	previous := float32(1)
	last := math.Float32bits(-87.33)
	for bits := math.Float32bits(float32(math.Copysign(0, -1))); bits <= last; bits += 97 {
		x := math.Float32frombits(bits)
		got, want := exp32(x), math.Exp(float64(x))
		worst = max(worst, math.Abs(float64(got)-want)/want)
		// Falling, but for the rounding of neighbours.
		if float64(got) > float64(previous)*(1+4e-7) {
			t.Fatalf("exp32 rises at %v: %v after %v", x, got, previous)
		}
		previous = got
	}
	t.Logf("largest relative error %.3g", worst)
	require.Less(t, worst, 2e-7)
}

func TestExp32AtItsEnds(t *testing.T) {
	require.Equal(t, float32(1), exp32(0))
	require.Equal(t, float32(1), exp32(float32(math.Copysign(0, -1))))
	require.Equal(t, float32(1), exp32(-1e-45))
	require.NotZero(t, exp32(-87.33))
	for _, x := range []float64{-87.331, -88, -1e10, -math.MaxFloat32, math.Inf(-1)} {
		require.Zero(t, exp32(float32(x)), "%v", x)
	}
	require.True(t, math.IsNaN(float64(exp32(float32(math.NaN())))))
}

// Around each multiple of ln 2 / 2 the reduction changes its n.
func TestExp32AtTheSeams(t *testing.T) {
	for n := range 252 {
		x := float32(-float64(n) * math.Ln2 / 2)
		for _, x := range []float32{math.Nextafter32(x, -100), x, math.Nextafter32(x, 0)} {
			if x < -87.33 || x > 0 {
				continue
			}
			require.InEpsilon(t, math.Exp(float64(x)), float64(exp32(x)), 2e-7, "%v", x)
		}
	}
}

func BenchmarkSumExp(b *testing.B) {
	logits := make([]float32, 49_152)
	for i := range logits {
		logits[i] = float32(i%400) / 20
	}
	b.SetBytes(int64(4 * len(logits)))
	for b.Loop() {
		sumExp(logits, 20)
	}
}
