package model

import (
	"context"
	"math"
	"slices"
)

// Recompute is a Decoder for a model without a cache: every step reads the whole
// text again. It is as right as a cache, and slower by about the text's length.
type Recompute struct {
	Forwarder Forwarder
	Last      LastForwarder // asked in place of the Forwarder, if set
	Mixing    Mixing        // of the model
	seqs      [][]int32
	batch     Batch
}

// LastForwarder runs a language model over a batch for the logits of each row's last
// token alone.
type LastForwarder interface {
	// ForwardLast returns logits [B, 1, V]; else it is as Forward.
	ForwardLast(ctx context.Context, b *Batch) (*Logits, error)
}

// Traits implements Decoder. Texts grow one by one where not all may be mixed.
func (d *Recompute) Traits() Traits {
	t := Traits{ChunkRows: math.MaxInt, Refill: true}
	if !d.Mixing.Any() {
		t.MaxRows = 1
	}
	return t
}

// Reset implements Decoder.
func (d *Recompute) Reset(rows, _, _ int) error {
	d.seqs = make([][]int32, rows)
	return nil
}

// Prefill implements Decoder.
func (d *Recompute) Prefill(ctx context.Context, first int, prompts [][]int32) (*Next, error) {
	for i, p := range prompts {
		d.seqs[first+i] = slices.Clone(p)
	}
	return d.forward(ctx, d.seqs[first:first+len(prompts)])
}

// Step implements Decoder.
func (d *Recompute) Step(ctx context.Context, next [][]int32) (*Next, error) {
	for r, ids := range next {
		if len(ids) == 0 {
			d.seqs[r] = nil
		}
		d.seqs[r] = append(d.seqs[r], ids...)
	}
	return d.forward(ctx, d.seqs[:len(next)])
}

func (d *Recompute) forward(ctx context.Context, seqs [][]int32) (*Next, error) {
	out := &Next{At: make([]int, len(seqs))}
	rows := make([]Sequence, len(seqs))
	alone := make([]tree, len(seqs))
	for r, ids := range seqs {
		// A row that has ended is one pad: a graph may not take a row of none.
		if len(ids) == 0 {
			ids = []int32{PadID}
		}
		rows[r], out.At[r] = Sequence{Tokens: ids}, len(ids)-1
		alone[r].add(rows[r], r, 0)
	}
	d.batch.fill(rows, alone)
	var err error
	if d.Last != nil {
		clear(out.At)
		if out.Logits, err = d.Last.ForwardLast(ctx, &d.batch); err != nil {
			return nil, err
		}
		return out, out.Logits.check(&Batch{Rows: len(seqs), Width: 1})
	}
	if out.Logits, err = d.Forwarder.Forward(ctx, &d.batch); err != nil {
		return nil, err
	}
	return out, out.Logits.check(&d.batch)
}
