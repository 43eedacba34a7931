package modeltest

import (
	"context"
	"slices"

	"github.com/ortscore/ortscore/model"
)

// Decoder is a model.Decoder with the traits that a test wants, over a Forwarder
// that reads the whole text at every step. It records what it was asked.
type Decoder struct {
	model.Recompute
	Has model.Traits

	Capacities []int         // of each reset
	Resets     []int         // rows
	Prefills   [][2]int      // first row and number of prompts
	Steps      [][][]int32   // what each step was given
	Asks       [][]model.Ask // of each prefill and step, in their order
}

// Traits implements model.Decoder.
func (d *Decoder) Traits() model.Traits { return d.Has }

// Reset implements model.Decoder.
func (d *Decoder) Reset(rows, width, capacity int) error {
	d.Resets = append(d.Resets, rows)
	d.Capacities = append(d.Capacities, capacity)
	return d.Recompute.Reset(rows, width, capacity)
}

// Prefill implements model.Decoder.
func (d *Decoder) Prefill(ctx context.Context, first int, prompts [][]int32, asks []model.Ask) ([]model.Candidates, error) {
	d.Prefills = append(d.Prefills, [2]int{first, len(prompts)})
	d.asked(asks)
	return d.Recompute.Prefill(ctx, first, prompts, asks)
}

// Step implements model.Decoder.
func (d *Decoder) Step(ctx context.Context, next [][]int32, asks []model.Ask) ([]model.Candidates, error) {
	d.Steps = append(d.Steps, slices.Clone(next))
	d.asked(asks)
	return d.Recompute.Step(ctx, next, asks)
}

// asked keeps a copy of what was asked, whose tokens are valid for now alone.
func (d *Decoder) asked(asks []model.Ask) {
	kept := slices.Clone(asks)
	for i := range kept {
		kept[i].Tokens = slices.Clone(kept[i].Tokens)
	}
	d.Asks = append(d.Asks, kept)
}
