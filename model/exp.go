package model

import "math"

// sumExp returns the sum of exp(x - largest) over logits, none of which exceeds
// largest. It is the inner loop of the log-softmax: V steps for every answer
// token. Two sums keep the processor from waiting on one addition after another.
func sumExp(logits []float32, largest float32) float64 {
	var s0, s1 float64
	n := len(logits) &^ 1
	for i := 0; i < n; i += 2 {
		x := logits[i : i+2 : i+2]
		s0 += exp(x[0] - largest)
		s1 += exp(x[1] - largest)
	}
	if n < len(logits) {
		s0 += exp(logits[n] - largest)
	}
	return s0 + s1
}

// expSteps is how many steps the table makes from 1 to 2, a power of two.
const (
	expShift = 6
	expSteps = 1 << expShift
)

// expTable holds the bits of 2**(i/expSteps).
var expTable = func() (t [expSteps]uint64) {
	for i := range t {
		t[i] = math.Float64bits(math.Exp2(float64(i) / expSteps))
	}
	return t
}()

// exp returns e**x for x <= 0 with a relative error below 1e-10, and NaN for
// NaN. Below -87.33 it returns 0: next to the term 1 that every softmax holds,
// so little is nothing. It is math.Exp for softmax's needs, small enough to be
// inlined, and several times as fast.
//
// x is split as n*ln2/64 + r with |r| <= ln2/128; e**r is its Taylor series to
// the cube, whose next term is below 4e-11; and 2**(n/64) comes from the table,
// with n/64 whole steps added to its exponent bits.
func exp(x float32) float64 {
	if x < -87.33 {
		return 0
	}
	w := float64(x)
	n := int64(w*(expSteps/math.Ln2) - 0.5)
	r := w - float64(n)*(math.Ln2/expSteps)
	return (1 + r*(1+r*(0.5+r*(1.0/6)))) * math.Float64frombits(expTable[n&(expSteps-1)]+uint64(n>>expShift)<<52)
}
