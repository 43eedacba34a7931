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
	Predictor Predictor // asked in place of the Forwarder, if set
	Mixing    Mixing    // of the model
	seqs      [][]int32
	batch     Batch
}

// Predictor runs a language model over a batch for what may follow each row's last
// token.
type Predictor interface {
	// Predict answers what is asked of each row; else it is as Forward.
	Predict(ctx context.Context, b *Batch, asks []Ask) ([]Candidates, error)
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
func (d *Recompute) Prefill(ctx context.Context, first int, prompts [][]int32, asks []Ask) ([]Candidates, error) {
	for i, p := range prompts {
		d.seqs[first+i] = slices.Clone(p)
	}
	return d.predict(ctx, d.seqs[first:first+len(prompts)], asks)
}

// Step implements Decoder.
func (d *Recompute) Step(ctx context.Context, next [][]int32, asks []Ask) ([]Candidates, error) {
	for r, ids := range next {
		if len(ids) == 0 {
			d.seqs[r] = nil
		}
		d.seqs[r] = append(d.seqs[r], ids...)
	}
	return d.predict(ctx, d.seqs[:len(next)], asks)
}

func (d *Recompute) predict(ctx context.Context, seqs [][]int32, asks []Ask) ([]Candidates, error) {
	rows := make([]Sequence, len(seqs))
	alone := make([]tree, len(seqs))
	for r, ids := range seqs {
		// A row that has ended is one pad: a graph may not take a row of none.
		if len(ids) == 0 {
			ids = []int32{PadID}
		}
		rows[r] = Sequence{Tokens: ids}
		alone[r].add(rows[r], r, 0)
	}
	d.batch.fill(rows, alone)
	if d.Predictor != nil {
		return d.Predictor.Predict(ctx, &d.batch, asks)
	}
	logits, err := d.Forwarder.Forward(ctx, &d.batch)
	if err != nil {
		return nil, err
	}
	if err := logits.check(&d.batch); err != nil {
		return nil, err
	}
	return logits.Candidates(d.batch.Last(), asks)
}
