package model

import (
	"context"
	"slices"
)

// shrink goes on after memory ran out: with half the rows that there were, half
// the tokens of a prefill and half the cache, in a decoder that is made anew. A single
// row is tried once more, in memory that holds nothing of longer batches before. It
// returns the error it was given where none of that can be.
func (g *generation) shrink(ctx context.Context, err error) error {
	decoder, ok := g.decoder.(Reopener)
	if !ok || g.lastTry {
		return err
	}
	g.lastTry = len(g.rows) < 2
	g.limits.Rows = max(1, len(g.rows)/2)
	g.limits.Tokens /= 2
	if g.cacheTokens > 0 {
		g.cacheTokens = min(g.cacheTokens, len(g.rows)*g.capacity) / 2
	}
	if err := decoder.Reopen(ctx); err != nil {
		return err
	}
	g.tell()
	g.putBack()
	return nil
}

// tell says that memory ran out, and has later calls begin with less.
func (g *generation) tell() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.Limits, g.CacheTokens = g.limits, g.cacheTokens
	if g.OnShrink != nil {
		g.OnShrink(g.limits)
	}
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
