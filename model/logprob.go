package model

import (
	"fmt"
	"math"

	"github.com/ortscore/ortscore/model/half"
)

// Logits is what a forward returns for a batch: one score for each word of the
// vocabulary at each position, in one of three number formats.
type Logits struct {
	Rows, Width, Vocab int // [B, T, V]

	// Exactly one of these holds the numbers, position by position.
	F32  []float32
	F16  []uint16 // IEEE 754 half precision
	BF16 []uint16 // the upper half of a float32
}

// check refuses logits that are not those of batch b.
func (l *Logits) check(b *Batch) error {
	if l.Rows != b.Rows || l.Width != b.Width {
		return fmt.Errorf("want logits [%d, %d, vocabulary], got [%d, %d, %d]", b.Rows, b.Width, l.Rows, l.Width, l.Vocab)
	}
	want, got := l.Rows*l.Width*l.Vocab, len(l.F32)+len(l.F16)+len(l.BF16)
	if got != want || l.Vocab < 1 {
		return fmt.Errorf("want %d numbers for logits [%d, %d, %d], got %d", want, l.Rows, l.Width, l.Vocab, got)
	}
	return nil
}

// scratch returns how many numbers At needs room for.
func (l *Logits) scratch() int {
	if l.F32 != nil {
		return 0
	}
	return l.Vocab
}

// At returns the V logits of position t in row r as float32. Half-precision
// numbers are widened into scratch, if it holds V numbers, or a new slice.
func (l *Logits) At(r, t int, scratch []float32) []float32 {
	from := (r*l.Width + t) * l.Vocab
	if l.F32 != nil {
		return l.F32[from : from+l.Vocab]
	}
	if len(scratch) < l.Vocab {
		scratch = make([]float32, l.Vocab)
	}
	if l.F16 != nil {
		half.WidenF16(scratch, l.F16[from:from+l.Vocab])
	} else {
		half.WidenBF16(scratch, l.BF16[from:from+l.Vocab])
	}
	return scratch
}

// logProb returns log softmax(logits)[target]: the natural logarithm of the
// probability that the model gives to the token. The largest logit is taken off
// first, so exp never overflows and at least one term is 1; the sum runs in
// float64, so a vocabulary of any size loses nothing. NaN or +Inf anywhere in
// the logits (a NaN is never the largest, but it makes the sum NaN), and -Inf at
// the target, give a result that is not finite; -Inf elsewhere is a word that
// the model rules out.
func logProb(logits []float32, target int32) float64 {
	return newSoftmax(logits).logProb(logits[target])
}

// softmax is what log-softmax takes off each logit: the largest, then ln of the
// sum of exp(logit - largest), one after the other, so that large logits do not
// swallow the sum.
type softmax struct{ largest, logSum float64 }

func newSoftmax(logits []float32) softmax {
	largest := float32(math.Inf(-1))
	for _, x := range logits {
		if x > largest {
			largest = x
		}
	}
	return softmax{float64(largest), math.Log(sumExp(logits, largest))}
}

func (s softmax) logProb(logit float32) float64 { return float64(logit) - s.largest - s.logSum }
