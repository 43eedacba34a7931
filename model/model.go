// Package model scores and packs token sequences with a language model that it
// knows only as a Forwarder. It knows neither text nor files nor ONNX Runtime:
// sequences of token ids go in, log-probabilities come out, so that packing,
// masking and the log-softmax are tested with a table of logits in place of a
// model.
package model

import (
	"context"
	"fmt"
)

// Sequence is a tokenised text and what is asked of it.
type Sequence struct {
	Tokens []int32  // [T]
	Asks   []Target // one or more, in ascending order of At
}

// Target asks for ln P(Token | Tokens[:At]) of a sequence. It may be any word: P(yes)
// and P(no) at one place are two targets. What a Decoder is asked is an Ask.
type Target struct {
	At    int   // tokens of the sequence that come before: 1 <= At <= T; T is the token after the text
	Token int32 // need not be the text's own
}

// Answer is a sequence of which its own tokens in a span are asked.
func Answer(tokens []int32, span Span) Sequence {
	s := Sequence{Tokens: tokens}
	for at := span.From; at < span.To; at++ {
		s.Asks = append(s.Asks, Target{at, tokens[at]})
	}
	return s
}

// Block is sequences whose values are decided by the block alone, to the last bit on a
// CPU: what is computed together is chosen within it.
type Block struct {
	Sequences []Sequence
	Known     []bool // [len(Sequences)] whose values the caller has already; nil for none
}

// known reports whether the caller has the values of sequence i.
func (b Block) known(i int) bool { return b.Known != nil && b.Known[i] }

// Span is the half-open range [From, To).
type Span struct{ From, To int }

// Len returns the number of places in the span.
func (s Span) Len() int { return s.To - s.From }

// Batch is a block of B rows, padded on the right to the T tokens of the longest. A
// row is a sequence or, where Parents says so, several. Under a causal mask a pad on
// the right touches no real token, so a row's logits do not depend on its neighbours,
// but for what Mixing tells.
type Batch struct {
	Rows     int     // B
	Width    int     // T
	TokenIDs []int64 // [B, T], row by row; pads hold PadID
	Lens     []int   // [B] real tokens of each row; the rest of the row is padding

	// Parents, [B, T], is not empty where a row may hold several sequences, what they
	// begin with in common once: for each place, that of the token before it in its
	// own sequence, -1 for the first. A token looks at its parent, at the parent's
	// own, and so on. Empty, every token follows the one to its left.
	Parents []int
}

// Last returns the position of each row's last token.
func (b *Batch) Last() []Position {
	at := make([]Position, b.Rows)
	for r, n := range b.Lens {
		at[r] = Position{Row: r, At: n - 1}
	}
	return at
}

// PadID fills the padding. Any id serves, since pads are masked; 0 is in every
// vocabulary.
const PadID = 0

// Forwarder runs the language model over a batch.
type Forwarder interface {
	// Forward returns the logits of every position. They are valid until the
	// next call. When ctx ends, Forward stops the model, waits until it no
	// longer uses the batch, and returns the context's error.
	Forward(ctx context.Context, b *Batch) (*Logits, error)
}

// Position is a place in a batch and the token whose likelihood is asked there.
type Position struct {
	Row, At int   // the position before the token, which predicts it
	Target  int32 // the token
}

// Scorer gives log-probabilities, and only where they are asked: a language model
// that computes them itself, so that no logits leave it, or FullLogits.
type Scorer interface {
	// Vocab is the number of words that can be scored, V.
	Vocab() int

	// Trees tells whether a row may hold several sequences.
	Trees() Trees

	// Mixing tells which sequences may share a batch.
	Mixing() Mixing

	// LogProbs sets out[i] to ln P(target | all before it) of at[i]. What is not
	// finite in the logits of a position gives a value that is not finite. When ctx
	// ends it does as Forward does.
	LogProbs(ctx context.Context, b *Batch, at []Position, out []float32) error
}

// Encoding is a tokenised text.
type Encoding struct {
	IDs     []int32 // [T]
	Offsets []Span  // [T] each token's bytes in the text; empty for tokens that were added, such as BOS
}

// Tokenizer turns text into token ids. Special tokens that stand in the text
// are text: they never become control tokens. Several goroutines may use it at once.
type Tokenizer interface {
	// Encode tokenises text; with special, the tokens that the tokenizer puts
	// before a text (BOS) come first, and no EOS is put behind it.
	Encode(text string, special bool) (Encoding, error)
}

// NonFiniteError reports a log-likelihood that is NaN or infinite.
type NonFiniteError struct {
	Index int     // the sequence's place in the list that was scored
	Value float64 // what came out
}

func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("want a finite log-likelihood, got %v: the model's logits are not finite", e.Value)
}
