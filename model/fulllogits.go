package model

import (
	"context"
	"fmt"
)

// FullLogits is a Scorer over a Forwarder: the model gives the logits of every
// position, and the log-softmax is computed here.
type FullLogits struct {
	Forwarder Forwarder
	Words     int // V
	Mix       Mixing
}

// Vocab implements Scorer.
func (f FullLogits) Vocab() int { return f.Words }

// Trees implements Scorer: a Forwarder knows of none.
func (f FullLogits) Trees() Trees { return Trees{} }

// Mixing implements Scorer.
func (f FullLogits) Mixing() Mixing { return f.Mix }

// LogProbs implements Scorer.
func (f FullLogits) LogProbs(ctx context.Context, b *Batch, at []Position, out []float32) error {
	logits, err := f.Forwarder.Forward(ctx, b)
	if err != nil {
		return err
	}
	if err := logits.check(b); err != nil {
		return err
	}
	if logits.Vocab != f.Words {
		return fmt.Errorf("want logits of %d words, got %d", f.Words, logits.Vocab)
	}
	eachRow(len(at), logits.scratch(), func(i int, scratch []float32) {
		out[i] = float32(logProb(logits.At(at[i].Row, at[i].At, scratch), at[i].Target))
	})
	return nil
}

// Reopen implements Reopener, where the Forwarder does.
func (f FullLogits) Reopen(ctx context.Context) error {
	if again, ok := f.Forwarder.(Reopener); ok {
		return again.Reopen(ctx)
	}
	return nil
}
