package model

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// exp against math.Exp, over every 97th float32 from 0 down to the cut.
func TestExp(t *testing.T) {
	var worst float64
	previous := 1.0
	last := math.Float32bits(-87.33)
	for bits := math.Float32bits(float32(math.Copysign(0, -1))); bits <= last; bits += 97 {
		x := math.Float32frombits(bits)
		got, want := exp(x), math.Exp(float64(x))
		worst = max(worst, math.Abs(got-want)/want)
		// Falling, but for the rounding of neighbours.
		if got > previous*(1+2e-10) {
			t.Fatalf("exp rises at %v: %v after %v", x, got, previous)
		}
		previous = got
	}
	t.Logf("largest relative error %.3g", worst)
	require.Less(t, worst, 1e-10)
}

func TestExpAtItsEnds(t *testing.T) {
	require.Equal(t, 1.0, exp(0))
	require.Equal(t, 1.0, exp(float32(math.Copysign(0, -1))))
	require.InDelta(t, 1.0, exp(-1e-45), 1e-15)
	require.NotZero(t, exp(-87.33))
	for _, x := range []float64{-87.331, -88, -1e10, -math.MaxFloat32, math.Inf(-1)} {
		require.Zero(t, exp(float32(x)), "%v", x)
	}
	require.True(t, math.IsNaN(exp(float32(math.NaN()))))
}

// Around each multiple of ln 2 / 2 the reduction changes its n.
func TestExpAtTheSeams(t *testing.T) {
	for n := range 252 {
		x := float32(-float64(n) * math.Ln2 / 2)
		for _, x := range []float32{math.Nextafter32(x, -100), x, math.Nextafter32(x, 0)} {
			if x < -87.33 || x > 0 {
				continue
			}
			require.InEpsilon(t, math.Exp(float64(x)), exp(x), 1e-10, "%v", x)
		}
	}
}
