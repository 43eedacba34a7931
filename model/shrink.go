package model

import (
	"context"
	"slices"
)

// shrink goes on after memory ran out: with half the rows that there were, half
// the tokens of a prefill and half the cache, in a decoder that is made anew. It
// returns the error it was given where none of that can be.
func (g *generation) shrink(ctx context.Context, err error) error {
	decoder, ok := g.Decoder.(Reopener)
	if !ok || len(g.rows) < 2 {
		return err
	}
	g.Limits.Rows = len(g.rows) / 2
	g.Limits.Tokens /= 2
	if g.CacheTokens > 0 {
		g.CacheTokens = min(g.CacheTokens, len(g.rows)*g.capacity) / 2
	}
	if err := decoder.Reopen(ctx); err != nil {
		return err
	}
	if g.OnShrink != nil {
		g.OnShrink(g.Limits)
	}
	g.putBack()
	return nil
}

// putBack takes the texts under way off their rows and back to their beginning:
// what is written must not depend on when memory ran out.
func (g *generation) putBack() {
	queue := slices.Clone(g.queue)
	for _, w := range g.rows {
		if w == nil {
			continue
		}
		if w.prompt.Guide != nil {
			w.prompt.Guide.Reset()
		}
		queue = append(queue, newWriter(g.Generator, w.index, w.prompt))
	}
	g.queue, g.rows, g.live = queue, nil, 0
	g.sort()
}
