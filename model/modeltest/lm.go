// Package modeltest holds the fakes that tests put in a model's place: a toy
// language model behind model.Forwarder, and a byte tokenizer.
package modeltest

import (
	"context"
	"math"
	"slices"

	"github.com/ortscore/ortscore/model"
)

// LM is a deterministic toy language model. The logits at a position are a
// hash of all tokens up to it, so that a score moves with every token that it
// may depend on, and with no other. At the pads they are NaN: who reads one,
// shows it.
type LM struct {
	Vocab  int
	Format Format

	// Batches holds a copy of every batch, in the order they ran.
	Batches []model.Batch
	// Before, if set, may fail a forward; it runs once the batch is recorded.
	Before func(b *model.Batch) error
	// After, if set, may spoil the logits of a batch.
	After func(b *model.Batch, l *model.Logits)
}

// Clone copies a batch, whose memory serves the next one.
func Clone(b *model.Batch) *model.Batch {
	return &model.Batch{Rows: b.Rows, Width: b.Width, TokenIDs: slices.Clone(b.TokenIDs),
		Lens: slices.Clone(b.Lens), Parents: slices.Clone(b.Parents)}
}

// Format is a number format of logits.
type Format int

// The formats of model.Logits.
const (
	F32 Format = iota
	F16
	BF16
)

// Forward implements model.Forwarder.
func (lm *LM) Forward(ctx context.Context, b *model.Batch) (*model.Logits, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lm.Batches = append(lm.Batches, *Clone(b))
	if lm.Before != nil {
		if err := lm.Before(b); err != nil {
			return nil, err
		}
	}
	l := &model.Logits{Rows: b.Rows, Width: b.Width, Vocab: lm.Vocab}
	lm.makeRoom(l)
	states := make([]uint64, b.Width)
	for r := range b.Rows {
		for t := range b.Width {
			state, parent := seed, t-1
			if len(b.Parents) > 0 {
				parent = b.Parents[r*b.Width+t]
			}
			if parent >= 0 {
				state = states[parent]
			}
			state = mix(state, uint64(b.TokenIDs[r*b.Width+t]))
			states[t] = state
			for v := range lm.Vocab {
				x := float32(math.NaN())
				if t < b.Lens[r] {
					x = logit(state, v)
				}
				lm.put(l, x)
			}
		}
	}
	if lm.After != nil {
		lm.After(b, l)
	}
	return l, nil
}

// makeRoom makes the slice that put fills.
func (lm *LM) makeRoom(l *model.Logits) {
	switch n := l.Rows * l.Width * l.Vocab; lm.Format {
	case F32:
		l.F32 = make([]float32, 0, n)
	case BF16:
		l.BF16 = make([]uint16, 0, n)
	case F16:
		l.F16 = make([]uint16, 0, n)
	}
}

// put adds a number, which all formats hold exactly.
func (lm *LM) put(l *model.Logits, x float32) {
	switch bits := math.Float32bits(x); lm.Format {
	case F32:
		l.F32 = append(l.F32, x)
	case BF16:
		l.BF16 = append(l.BF16, uint16(bits>>16))
	case F16:
		l.F16 = append(l.F16, half(x))
	}
}

// LogProbs is what LogProbs of model.LM should give for a sequence, by the textbook
// formula in float64.
func (lm *LM) LogProbs(seq model.Sequence) (out []float64) {
	for _, ask := range seq.Asks {
		state := seed
		for _, id := range seq.Tokens[:ask.At] {
			state = mix(state, uint64(id))
		}
		var total float64
		for v := range lm.Vocab {
			total += math.Exp(float64(logit(state, v)))
		}
		out = append(out, float64(logit(state, int(ask.Token)))-math.Log(total))
	}
	return out
}

// LogLikelihood is their mean.
func (lm *LM) LogLikelihood(seq model.Sequence) (mean float64) {
	for _, v := range lm.LogProbs(seq) {
		mean += v / float64(len(seq.Asks))
	}
	return mean
}

const seed uint64 = 0x9e3779b97f4a7c15

// mix is the finaliser of SplitMix64 over the state and one more number.
func mix(state, n uint64) uint64 {
	z := (state ^ n) + seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// logit is a multiple of 1/16 in [-8, 8): 8 bits, which half precision holds too.
func logit(state uint64, v int) float32 {
	return float32(mix(state, uint64(v))%256)/16 - 8
}

// half narrows a number of the toy model, all of which are normal in half
// precision, or NaN.
func half(x float32) uint16 {
	bits := math.Float32bits(x)
	sign := uint16(bits >> 16 & 0x8000)
	switch {
	case x != x:
		return sign | 0x7e00
	case x == 0:
		return sign
	}
	return sign | uint16((bits>>23&0xff)-112)<<10 | uint16(bits>>13&0x3ff)
}
