package model

import "math"

// sumExp returns the sum of exp(x - largest) over logits, none of which exceeds
// largest. It is the inner loop of the log-softmax: V steps for every answer
// token, so exp is evaluated in float32 (the reference's own precision) and
// four sums in float64 keep the rounding of a large vocabulary out.
func sumExp(logits []float32, largest float32) float64 {
	var s0, s1, s2, s3 float64
	n := len(logits) &^ 3
	for i := 0; i < n; i += 4 {
		x := logits[i : i+4 : i+4]
		s0 += float64(exp32(x[0] - largest))
		s1 += float64(exp32(x[1] - largest))
		s2 += float64(exp32(x[2] - largest))
		s3 += float64(exp32(x[3] - largest))
	}
	for _, x := range logits[n:] {
		s0 += float64(exp32(x - largest))
	}
	return s0 + s1 + s2 + s3
}

// exp32 returns e**x for x <= 0 with a relative error below 2e-7, and NaN for
// NaN. Below -87.33 e**x leaves float32's normal range and 0 is returned: next
// to the term 1 that every softmax holds, it is nothing.
//
// x is split as n*ln2 + r with |r| <= ln2/2 (Cody and Waite's two-part ln2, so
// the product n*hi is exact), e**r is its Taylor series to the 7th power, whose
// next term is below 6e-9, and 2**n goes into the exponent bits.
func exp32(x float32) float32 {
	const (
		log2e = 1.44269504088896340736
		hi    = 0.693359375
		lo    = -2.12194440e-4
	)
	if x < -87.33 {
		return 0
	}
	if x != x {
		return x
	}
	n := int32(x*log2e - 0.5)
	r := x - float32(n)*hi - float32(n)*lo
	p := 1 + r*(1+r*(1.0/2+r*(1.0/6+r*(1.0/24+r*(1.0/120+r*(1.0/720+r*(1.0/5040)))))))
	return p * math.Float32frombits(uint32(n+127)<<23)
}
