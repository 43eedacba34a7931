package rank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/ortscore/ortscore/model"
)

// Grammar is the language of rankings such as "[2] > [0] > [1]", in the tokens
// of one tokenizer: every identifier once, none twice. It is safe for use by
// several goroutines.
//
// Passages are numbered from 0 here, whatever the identifiers begin with.
type Grammar struct {
	// Note says in which way the rankings' tokens are not those that the
	// tokenizer would give the whole text; empty where they are. The text is
	// right all the same, but the model may find it a little odd.
	Note string

	first, later items
}

// items are the tokens of each passage's identifier, with what stands before it
// and where the next begins.
type items struct {
	tokens [][]int32 // [most]; none begins with another
	sorted []int     // [most] the passages, in the order of their tokens
}

// NewGrammar learns how tok writes rankings of up to most passages, whose
// identifiers begin with first. They follow tail, the end of the prompt: a few
// words of it, but nothing from before its last special token. lead is what
// stands between the two: " " after a word, empty at the start of a line.
//
// A tokenizer that does not keep identifiers apart, such as one that has
// "] > [1" for a token or does not know digits, is an error. Such a teacher can
// rank without a grammar only (--decode free).
func NewGrammar(tok model.Tokenizer, tail, lead string, first, most int) (*Grammar, error) {
	if first < 0 || most < 1 {
		return nil, fmt.Errorf("want identifiers from 0 or above for 1 passage or more, got %d from %d", most, first)
	}
	s, err := spell(tok, tail, lead, first, most)
	note := ""
	if err != nil && tail != "" {
		// A token may reach from the prompt into the ranking, or the prompt end in
		// other tokens before one. But the prompt is written as it is: what can be had
		// is a ranking that stands alone.
		note = fmt.Sprintf("rankings are tokenised apart from the prompt: %v", err)
		s, err = spell(tok, "", lead, first, most)
	}
	if err != nil {
		return nil, err
	}
	g := &Grammar{Note: note, first: newItems(s.first), later: newItems(s.later)}
	rng := rand.New(rand.NewPCG(uint64(most), uint64(first)))
	for range 8 {
		if err := s.learn(rng.Perm(most)); err != nil {
			g.Note = fmt.Sprintf("some rankings are not tokenised as a whole: %v", err)
			break
		}
	}
	return g, nil
}

func newItems(tokens [][]int32) items {
	sorted := make([]int, len(tokens))
	for i := range sorted {
		sorted[i] = i
	}
	slices.SortFunc(sorted, func(a, b int) int { return slices.Compare(tokens[a], tokens[b]) })
	return items{tokens, sorted}
}

// Guide returns a guide for one ranking of n passages, at most the grammar's
// most. It ends as soon as the text could be nothing but one ranking: the last
// identifier, and the rest of the last but one, are not written.
func (g *Grammar) Guide(n int) model.Guide { return g.walk(n) }

// Full returns how many tokens a ranking has when it is written to its end. It
// may be a few off for a tokenizer that joins the separator to some identifiers
// and not to others.
func (g *Grammar) Full(order []int) int {
	total := 0
	for place, i := range order {
		if place == 0 {
			total += len(g.first.tokens[i])
		} else {
			total += len(g.later.tokens[i])
		}
	}
	return total
}

// Room returns the most tokens that a guide of n passages writes.
func (g *Grammar) Room(n int) int {
	later, longest := 0, 0
	for i := range n {
		later += len(g.later.tokens[i])
	}
	for i := range n {
		longest = max(longest, len(g.first.tokens[i])+later-len(g.later.tokens[i]))
	}
	return longest
}

// Decoded is a ranking as a guide of a Grammar had it written.
type Decoded struct {
	Order []int // [n] the passages, the best first

	// Confidence is, for each place of Order, the probability with which the model
	// chose this passage among those that were left; 1 for the last.
	Confidence []float64 // [n]

	// Mass is the geometric mean, over the places where the model was asked, of the
	// probability of all tokens that were allowed. A small one says that the model
	// would rather have written something else. 1 where it was never asked.
	Mass float64
}

// leastMass bounds a mass from below, so that a place where all that was allowed
// is next to impossible does not hide the others in the mean: about the smallest
// normal float32.
const leastMass = 1e-38

// Read reads what a guide of n passages had written. Tokens that are no such
// ranking, or not all of it, are an error. Choices are in the order of their
// places; one at a forced token counts for Mass alone. Where all that was allowed
// has probability 0 the model prefers none of it, and each of k tokens counts
// 1/k.
func (g *Grammar) Read(n int, tokens []int32, choices []model.Choice) (Decoded, error) {
	if n > len(g.first.tokens) {
		return Decoded{}, fmt.Errorf("want at most %d passages, got %d", len(g.first.tokens), n)
	}
	d := Decoded{Confidence: slices.Repeat([]float64{1}, n), Mass: 1}
	w := g.walk(n)
	left, logMass := choices, 0.0
	for at, id := range tokens {
		allowed := w.Allowed()
		if _, ok := slices.BinarySearch(allowed, id); !ok {
			return Decoded{}, fmt.Errorf("token %d: want one of %v, got %d", at, allowed, id)
		}
		for len(left) > 0 && left[0].At == at {
			d.Confidence[len(w.order)] *= confidence(left[0], len(allowed))
			logMass += math.Log(bounded(left[0].Mass, leastMass))
			left = left[1:]
		}
		w.Accept(id)
	}
	if len(w.Allowed()) > 0 {
		return Decoded{}, fmt.Errorf("want a ranking of %d passages, got one that stops after %d", n, len(w.order))
	}
	if len(left) > 0 {
		return Decoded{}, fmt.Errorf("want choices in order within %d tokens, got one at %d", len(tokens), left[0].At)
	}
	d.Order = w.ranking()
	if len(choices) > 0 {
		d.Mass = math.Exp(logMass / float64(len(choices)))
	}
	return d, nil
}

// confidence is P(the chosen token | one of the k allowed).
func confidence(c model.Choice, k int) float64 {
	p := math.Exp(c.LogProb) / c.Mass
	if math.IsNaN(p) { // 0/0
		return 1 / float64(k)
	}
	return min(p, 1)
}

// bounded returns p within [least, 1], and least for NaN.
func bounded(p, least float64) float64 {
	if p > least {
		return min(p, 1)
	}
	return least
}
