package half

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestF16(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0x0000: 0, 0x3c00: 1, 0x3c01: 1 + 1./1024, 0xbc00: -1, 0x4000: 2, 0xc000: -2, 0x3555: 0.333251953125,
		0x7bff: 65504, 0xfbff: -65504, 0x0400: 0x1p-14, 0x03ff: 0x1p-14 - 0x1p-24, 0x0001: 0x1p-24, 0x8001: -0x1p-24,
		0x7c00: math.Inf(1), 0xfc00: math.Inf(-1),
	} {
		require.Equal(t, float32(want), F16(bits), "%04x", bits)
	}
	require.True(t, math.Signbit(float64(F16(0x8000))))
}

// Every pattern against the definition: (-1)^s * 2^(e-15) * 1.f, with no
// leading 1 where e is 0.
func TestF16AllPatterns(t *testing.T) {
	for p := range 1 << 16 {
		h := uint16(p)
		exponent, fraction := int(h>>10&31), float64(h&0x3ff)/1024
		var want float64
		switch exponent {
		case 31:
			want = math.Inf(1)
			if fraction != 0 {
				want = math.NaN()
			}
		case 0:
			want = math.Ldexp(fraction, -14)
		default:
			want = math.Ldexp(1+fraction, exponent-15)
		}
		if h&0x8000 != 0 {
			want = -want
		}
		requireSame(t, h, want, F16(h))
	}
}

// The same for bfloat16: 8 bits of exponent, 7 of fraction.
func TestBF16AllPatterns(t *testing.T) {
	for p := range 1 << 16 {
		h := uint16(p)
		exponent, fraction := int(h>>7&255), float64(h&0x7f)/128
		var want float64
		switch exponent {
		case 255:
			want = math.Inf(1)
			if fraction != 0 {
				want = math.NaN()
			}
		case 0:
			want = math.Ldexp(fraction, -126)
		default:
			want = math.Ldexp(1+fraction, exponent-127)
		}
		if h&0x8000 != 0 {
			want = -want
		}
		requireSame(t, h, want, BF16(h))
	}
}

// requireSame wants the same number, its zero's sign included, or NaN both.
func requireSame(t *testing.T, h uint16, want float64, got float32) {
	t.Helper()
	if math.IsNaN(want) && math.IsNaN(float64(got)) {
		return
	}
	if want != float64(got) || math.Signbit(want) != math.Signbit(float64(got)) {
		t.Fatalf("%04x: want %v, got %v", h, want, got)
	}
}

func TestWiden(t *testing.T) {
	dst := []float32{7, 7, 7}
	WidenF16(dst, []uint16{0x3c00, 0xc000})
	require.Equal(t, []float32{1, -2, 7}, dst)
	WidenBF16(dst, []uint16{0x4040, 0xbf80})
	require.Equal(t, []float32{3, -1, 7}, dst)
}
