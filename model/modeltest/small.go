package modeltest

import (
	"context"
	"fmt"

	"github.com/ortscore/ortscore/model"
)

// Small is a Decoder whose memory runs out: it has room for a number of tokens in
// its cache and in one forward. Once it has run out it stays broken until it is
// made anew.
type Small struct {
	*Decoder
	Cache, Forward int // tokens; 0 for no bound

	Reopened int
	broken   bool
}

// Reopen implements model.Reopener.
func (d *Small) Reopen(context.Context) error {
	d.broken = false
	d.Reopened++
	return nil
}

// take reports whether there is room for tokens.
func (d *Small) take(tokens, room int) error {
	if d.broken || room > 0 && tokens > room {
		d.broken = true
		return fmt.Errorf("%d tokens: %w", tokens, model.ErrOutOfMemory)
	}
	return nil
}

// Reset implements model.Decoder.
func (d *Small) Reset(rows, width, capacity int) error {
	if err := d.take(rows*capacity, d.Cache); err != nil {
		return err
	}
	return d.Decoder.Reset(rows, width, capacity)
}

// Prefill implements model.Decoder.
func (d *Small) Prefill(ctx context.Context, first int, prompts [][]int32, asks []model.Ask) ([]model.Candidates, error) {
	if err := d.take(len(prompts)*len(prompts[0]), d.Forward); err != nil {
		return nil, err
	}
	return d.Decoder.Prefill(ctx, first, prompts, asks)
}

// Step implements model.Decoder.
func (d *Small) Step(ctx context.Context, next [][]int32, asks []model.Ask) ([]model.Candidates, error) {
	if err := d.take(len(next), d.Forward); err != nil {
		return nil, err
	}
	return d.Decoder.Step(ctx, next, asks)
}
