// Package half widens 16-bit floats to float32, exactly.
package half

import "math"

// WidenF16 writes the IEEE 754 half-precision numbers of src to dst, which is at
// least as long.
func WidenF16(dst []float32, src []uint16) {
	for i, h := range src {
		dst[i] = F16(h)
	}
}

// WidenBF16 writes the bfloat16 numbers of src to dst, which is at least as long.
func WidenBF16(dst []float32, src []uint16) {
	for i, h := range src {
		dst[i] = BF16(h)
	}
}

// BF16 widens a bfloat16: its bits are the upper half of a float32's.
func BF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F16 widens an IEEE 754 half-precision number (1 sign, 5 exponent, 10 fraction
// bits). Shifted into a float32's place the exponent is 112 too small; a
// multiplication by 2**112 mends that for normal and subnormal numbers alike.
func F16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	rest := uint32(h&0x7fff) << 13
	if rest >= 0x7c00<<13 { // infinity and NaN
		return math.Float32frombits(sign | 0x7f800000 | rest&0x7fffff)
	}
	return math.Float32frombits(sign | math.Float32bits(math.Float32frombits(rest)*0x1p112))
}
