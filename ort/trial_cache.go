package ort

import (
	"context"
	"fmt"
	"math"

	"github.com/ortscore/ortscore/model"
)

// cacheError is a cache that gives other logits than the whole text.
type cacheError struct{ difference float64 }

func (e *cacheError) Error() string {
	return fmt.Sprintf("the graph's cache changes the logits by %.3g", e.difference)
}

// probe tries the cache before a text is written: with short texts, then with such as
// are longer than the graph's windows, where that is quick.
func (d *cached) probe(ctx context.Context) error {
	return d.tryLengths(ctx, d.tryCache)
}

// Steps of a trial: a token, then two at once where the decoder takes them.
const firstStep, secondStep = 1, 2

// tryCache reads a text whole and in steps, and wants the same logits: of a text by
// itself, else the cache is of no use; and beside a longer and a shorter one, else it
// takes one text at a time.
func (d *cached) tryCache(ctx context.Context, l trialLengths) error {
	more := firstStep + secondStep
	texts := [][]int32{d.trialText(l.long+more, 5), d.trialText(l.middle+more, 0), d.trialText(l.short+more, 9)}
	t := &d.info.Trial
	t.CacheTokens = l.long + more
	alone, err := d.whole(ctx, texts[1], secondStep, 0)
	if err != nil {
		return fmt.Errorf("%w: %w", errFirstForward, err)
	}
	d.noteConstant(alone)
	if err := d.tryLater(ctx, texts[1], l.short, alone); err != nil {
		return err
	}
	steps, err := d.inSteps(ctx, texts[1:2])
	if err != nil {
		return err
	}
	change, err := largestChange(alone, steps[0])
	if err != nil {
		return err
	}
	if t.CacheSteps = max(t.CacheSteps, change); t.CacheSteps > d.changeLimit(alone) {
		return &cacheError{t.CacheSteps}
	}
	if d.traits.MaxRows == 1 {
		t.OneRow = true
		return nil
	}
	short, err := d.whole(ctx, texts[2], secondStep, 0)
	if err != nil {
		return err
	}
	if steps, err = d.inSteps(ctx, texts); err != nil {
		return err
	}
	for i, want := range [][]float32{alone, short} {
		change, err := largestChange(want, steps[i+1])
		if err != nil {
			change = math.Inf(1)
		}
		t.CacheBeside = max(t.CacheBeside, change)
	}
	if t.CacheBeside > d.changeLimit(alone) {
		d.traits.MaxRows, t.OneRow = 1, true
		d.info.Notes = append(d.info.Notes, fmt.Sprintf("texts beside it in the cache change a text's logits by %.3g: texts are written one at a time, which is slow", t.CacheBeside))
	}
	return nil
}

// tryLater refuses a graph in which what follows the first n tokens of a text changes
// the logits after them, as its length may: the keys in a cache would be those of
// another length. alone are logits of that text.
func (d *cached) tryLater(ctx context.Context, text []int32, n int, alone []float32) error {
	if err := checkLogits(alone, d.info.Vocab, d.opts.AllowLeak); err != nil {
		return err
	}
	want, err := d.whole(ctx, text[:n], 0)
	if err != nil {
		return err
	}
	if err := d.Reset(1, len(text), len(text)); err != nil {
		return err
	}
	f := d.forward(0, [][]int32{text})
	f.at[0].At -= len(text) - n
	got, err := d.read(ctx, 0, f, askAll(1))
	if err != nil {
		return err
	}
	change, err := largestChange(want, got[0].Logits)
	if err != nil {
		return err
	}
	if d.info.Trial.Later = max(d.info.Trial.Later, change); change > d.changeLimit(alone) {
		return d.leaks()
	}
	return nil
}

// askAll asks each of n rows for the logits of every word.
func askAll(n int) []model.Ask {
	asks := make([]model.Ask, n)
	for i := range asks {
		asks[i].All = true
	}
	return asks
}

// whole returns the logits after each of the last parts of a text, read whole by itself.
func (d *cached) whole(ctx context.Context, text []int32, parts ...int) (logits []float32, err error) {
	for _, left := range parts {
		ids := text[:len(text)-left]
		if err := d.Reset(1, len(ids), len(ids)); err != nil {
			return nil, err
		}
		next, err := d.Prefill(ctx, 0, [][]int32{ids}, askAll(1))
		if err != nil {
			return nil, err
		}
		logits = append(logits, next[0].Logits...)
	}
	return logits, nil
}

// inSteps reads the beginnings of texts at once and the rest in steps, and returns for
// each what whole gives.
func (d *cached) inSteps(ctx context.Context, texts [][]int32) ([][]float32, error) {
	more := firstStep + secondStep
	prompts := make([][]int32, len(texts))
	longest := 0
	for i, text := range texts {
		prompts[i] = text[:len(text)-more]
		longest = max(longest, len(text))
	}
	if err := d.Reset(len(texts), longest-more, 2*longest); err != nil { // with room, as in a run
		return nil, err
	}
	if _, err := d.Prefill(ctx, 0, prompts, askAll(len(prompts))); err != nil {
		return nil, err
	}
	logits := make([][]float32, len(texts))
	read := func(from, to int) ([]model.Candidates, error) {
		next := make([][]int32, len(texts))
		for i, text := range texts {
			next[i] = text[len(prompts[i])+from : len(prompts[i])+to]
		}
		return d.Step(ctx, next, askAll(len(next)))
	}
	keep := func(next []model.Candidates) {
		for i, c := range next {
			logits[i] = append(logits[i], c.Logits...)
		}
	}
	next, err := read(0, firstStep)
	if err != nil {
		return nil, err
	}
	keep(next)
	chunk := secondStep
	if len(texts) > d.traits.ChunkRows {
		chunk = 1
	}
	for from := firstStep; from < more; from += chunk {
		if next, err = read(from, from+chunk); err != nil {
			return nil, err
		}
	}
	keep(next)
	return logits, nil
}
