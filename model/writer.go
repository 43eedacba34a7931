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

// ask says what must be known before the next token is written: nothing while there
// are tokens that the model has still to read.
func (w *writer) ask() Ask {
	switch {
	case len(w.unread) > 0:
		return Ask{}
	case w.prompt.Guide != nil:
		return Ask{Tokens: w.prompt.Guide.Allowed()}
	case w.sampler.plain():
		return Ask{Likeliest: true}
	}
	return Ask{All: true}
}

// write chooses the next token among those that it asked about, and with a guide all
// tokens after it up to the next choice: of those nothing need be known.
func (w *writer) write(c *Candidates) {
	if w.prompt.Guide == nil {
		w.free(c)
	} else {
		w.guided(c)
	}
}

func (w *writer) free(c *Candidates) {
	id, ok := w.choose(c, 1)
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

func (w *writer) guided(c *Candidates) {
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
		case c == nil: // they chose a token already
			return
		default:
			id, ok := w.choose(c, c.mass())
			if !ok {
				return
			}
			w.add(id)
			c = nil
		}
	}
}

// choose picks a token and records how likely it was, and what all that it was chosen
// from were.
func (w *writer) choose(c *Candidates, mass float64) (id int32, ok bool) {
	id, logProb, err := w.sampler.choose(c)
	if err != nil {
		var bad *NonFiniteError
		if errors.As(err, &bad) {
			bad.Index = w.index
		}
		w.out.Err = err
		return 0, false
	}
	w.out.Choices = append(w.out.Choices, Choice{At: len(w.out.Tokens), LogProb: logProb, Mass: mass})
	return id, true
}

func (w *writer) add(id int32) {
	if w.prompt.Guide != nil {
		w.prompt.Guide.Accept(id)
	}
	w.out.Tokens = append(w.out.Tokens, id)
	w.unread = append(w.unread, id)
}
