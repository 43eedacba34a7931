package model

import "context"

// Decoder is a language model that remembers: the keys and values of what its
// rows have read stay where the model runs, so that a step costs its new tokens
// and not the whole text again.
type Decoder interface {
	Traits() Traits

	// Reset empties the cache and makes room for rows sequences: prompts of at
	// most width tokens, and of at most capacity tokens with what follows them.
	Reset(rows, width, capacity int) error

	// Prefill reads prompts into the rows from first on, in place of what those
	// rows held.
	Prefill(ctx context.Context, first int, prompts [][]int32) (*Next, error)

	// Step appends next[r] to row r. A row that gets nothing, or lies beyond next,
	// has ended: what it held may be lost.
	Step(ctx context.Context, next [][]int32) (*Next, error)
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

// Next holds the logits of the tokens that come next, one row of V for each
// sequence of a Prefill or a Step. They are valid until the following call.
type Next struct {
	Logits *Logits // [n, T, V]
	At     []int   // [n] the position of each sequence's last token
}

// Row returns the V logits of what follows sequence i; scratch is as for
// Logits.At.
func (n *Next) Row(i int, scratch []float32) []float32 {
	return n.Logits.At(i, n.At[i], scratch)
}
