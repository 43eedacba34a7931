package model

import (
	"errors"
	"slices"
)

// writer is one prompt on its way: what was written after it, and which of that
// the model has still to read.
type writer struct {
	index   int
	prompt  Prompt
	sampler *sampler
	stops   []int32
	unread  []int32
	out     Generated
}

func newWriter(g *Generator, index int, p Prompt) *writer {
	return &writer{index: index, prompt: p, stops: g.Stops, sampler: newSampler(g.Sampling, p.Seed, p.Tokens)}
}

func (w *writer) ended() bool { return w.out.Stop != "" || w.out.Err != nil }

// write chooses the next token from the logits, and with a guide all tokens
// after it up to the next choice: those need no logits.
func (w *writer) write(logits []float32) {
	if w.prompt.Guide == nil {
		w.free(logits)
	} else {
		w.guided(logits)
	}
}

func (w *writer) free(logits []float32) {
	id, ok := w.choose(logits, nil)
	if !ok {
		return
	}
	if slices.Contains(w.stops, id) {
		w.out.Stop = StopToken
		return
	}
	w.add(id)
	switch {
	case w.prompt.Done != nil && w.prompt.Done(w.out.Tokens):
		w.out.Stop = StopDone
	case len(w.out.Tokens) >= w.prompt.MaxNew:
		w.out.Stop = StopLength
	}
}

func (w *writer) guided(logits []float32) {
	for {
		allowed := w.prompt.Guide.Allowed()
		switch {
		case len(allowed) == 0:
			w.out.Stop = StopGuide
			return
		case len(w.out.Tokens) >= w.prompt.MaxNew:
			w.out.Stop = StopLength
			return
		case len(allowed) == 1 && len(w.out.Tokens) > 0:
			w.sampler.note(allowed[0])
			w.add(allowed[0])
		case logits == nil: // they chose a token already
			return
		default:
			id, ok := w.choose(logits, allowed)
			if !ok {
				return
			}
			w.add(id)
			logits = nil
		}
	}
}

// choose picks a token and records how likely it was.
func (w *writer) choose(logits []float32, allowed []int32) (id int32, ok bool) {
	id, choice, err := w.sampler.choose(logits, allowed)
	if err != nil {
		var bad *NonFiniteError
		if errors.As(err, &bad) {
			bad.Index = w.index
		}
		w.out.Err = err
		return 0, false
	}
	choice.At = len(w.out.Tokens)
	w.out.Choices = append(w.out.Choices, choice)
	return id, true
}

func (w *writer) add(id int32) {
	if w.prompt.Guide != nil {
		w.prompt.Guide.Accept(id)
	}
	w.out.Tokens = append(w.out.Tokens, id)
	w.unread = append(w.unread, id)
}
