package model

import (
	"context"
	"fmt"
	"math"
)

// Decoder is a language model that remembers: the keys and values of what its
// rows have read stay where the model runs, so that a step costs its new tokens
// and not the whole text again.
type Decoder interface {
	Traits() Traits

	// Reset empties the cache and makes room for rows sequences: prompts of at
	// most width tokens, and of at most capacity tokens with what follows them.
	Reset(rows, width, capacity int) error

	// Prefill reads prompts into the rows from first on, in place of what those
	// rows held, and answers what is asked of each.
	Prefill(ctx context.Context, first int, prompts [][]int32, asks []Ask) ([]Candidates, error)

	// Step appends next[r] to row r, and answers what is asked of each. A row that
	// gets nothing, or lies beyond next, has ended: what it held may be lost.
	Step(ctx context.Context, next [][]int32, asks []Ask) ([]Candidates, error)
}

// Traits are what a Decoder can do.
type Traits struct {
	MaxRows   int  // most rows; 0 for no bound
	ChunkRows int  // most rows for which Step takes several tokens each; with more it takes one
	EvenSteps bool // Step takes as many tokens for one row as for another
	Refill    bool // Prefill may come between steps, for some rows while others go on

	// Breaks are as in Mixing. Texts that are beyond a break and texts that are not
	// are not in the cache at once, and one that passes a break has it for itself.
	Breaks []int
}

// Ask says which tokens a Decoder is asked about: those that may follow a sequence's
// last token. At most one of its fields is set; the zero value asks nothing.
type Ask struct {
	Tokens    []int32 // these
	Likeliest bool    // the one with the largest logit, the lowest id among equals
	All       bool    // every word of the vocabulary
}

// Check refuses tokens that a vocabulary of so many words does not have.
func (a Ask) Check(vocab int) error {
	for _, id := range a.Tokens {
		if id < 0 || int(id) >= vocab {
			return fmt.Errorf("want tokens below the model's vocabulary of %d, got %d", vocab, id)
		}
	}
	return nil
}

// Candidates are the tokens that were asked about after one sequence. They are valid
// until the Decoder's next call.
type Candidates struct {
	IDs    []int32   // as in Ask.Tokens; nil for every word of the vocabulary
	Logits []float32 // one for each
	// Total is ln of the sum of exp(logit) over the whole vocabulary. It is not finite
	// where a logit is NaN or +Inf, be it asked about or not.
	Total float64
}

func (c *Candidates) id(i int) int32 {
	if c.IDs == nil {
		return int32(i)
	}
	return c.IDs[i]
}

// logProb is ln P of the token at a place.
func (c *Candidates) logProb(i int) float64 { return float64(c.Logits[i]) - c.Total }

// mass is what the tokens' probabilities add up to.
func (c *Candidates) mass() float64 {
	sum := 0.0
	for i := range c.Logits {
		sum += math.Exp(c.logProb(i))
	}
	return min(1, sum)
}

// Candidates answers what is asked at positions, asks[i] at at[i], out of full logits.
func (l *Logits) Candidates(at []Position, asks []Ask) ([]Candidates, error) {
	for _, ask := range asks {
		if err := ask.Check(l.Vocab); err != nil {
			return nil, err
		}
	}
	out := make([]Candidates, len(asks))
	eachRow(len(asks), l.scratch(), func(i int, scratch []float32) {
		out[i] = l.candidates(at[i], asks[i], scratch)
	})
	return out, nil
}

func (l *Logits) candidates(at Position, ask Ask, scratch []float32) Candidates {
	ids := ask.Tokens
	switch {
	case ask.All:
		scratch = nil // the next row's numbers must not take the place of these
	case !ask.Likeliest && len(ids) == 0:
		return Candidates{}
	}
	logits := l.At(at.Row, at.At, scratch)
	s := newSoftmax(logits)
	c := Candidates{Total: s.largest + s.logSum}
	if ask.All {
		c.Logits = logits
		return c
	}
	if ask.Likeliest {
		ids = []int32{Likeliest(logits)}
	}
	c.IDs = ids
	for _, id := range ids {
		c.Logits = append(c.Logits, logits[id])
	}
	return c
}

// Likeliest returns the place of the largest logit, the first of equals.
func Likeliest(logits []float32) int32 {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	return int32(best)
}
