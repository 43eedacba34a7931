package rank

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
)

// Kind says how a ranking becomes scores. Higher is better in all of them.
type Kind string

// The kinds, for rank 1..n of n passages.
const (
	Reciprocal Kind = "reciprocal" // 1/rank
	Linear     Kind = "linear"     // (n-rank+1)/n
	DCG        Kind = "dcg"        // 1/log2(rank+1), the discount of DCG

	// Confidence is the logarithm of a passage's worth: what the model's own
	// probabilities say, on the scale of logits. See Worths.
	Confidence Kind = "confidence"

	// Reference is 1/rank as FlagEmbedding's Reinforced-IR has it: counted anew
	// from the second passage, so that the first two both score 1.
	Reference Kind = "reference"
)

// ParseKind checks the name of a kind.
func ParseKind(name string) (Kind, error) {
	switch k := Kind(name); k {
	case Reciprocal, Linear, DCG, Confidence, Reference:
		return k, nil
	}
	return "", fmt.Errorf("want reciprocal, linear, dcg, confidence or reference, got %q", name)
}

// Scores returns the score of each passage of an order: result[i] is that of
// passage i. worths, of each passage too, are for Confidence alone: what Sort or
// MeanWorths gives. No passage then scores above one that is ranked before it,
// and a softmax over the scores gives shares that add up to 1.
func Scores(kind Kind, order []int, worths []float64) []float32 {
	byRank := make([]float64, len(order))
	for place := range order {
		rank := float64(place + 1)
		switch kind {
		case Reciprocal:
			byRank[place] = 1 / rank
		case Linear:
			byRank[place] = float64(len(order)-place) / float64(len(order))
		case DCG:
			byRank[place] = 1 / math.Log2(rank+1)
		case Reference:
			byRank[place] = 1 / max(rank-1, 1)
		case Confidence:
			byRank[place] = worths[order[place]]
		}
	}
	if kind == Confidence && len(order) > 0 {
		neverRise(byRank)
		floats.AddConst(-floats.LogSumExp(byRank), byRank)
	}
	out := make([]float32, len(order))
	for place, i := range order {
		out[i] = float32(byRank[place])
	}
	return out
}

// leastChoice bounds a choice's probability away from 0 and 1, where the worth of
// all that follow would be nothing.
const leastChoice = 1e-6

// Worths returns, for each place of a ranking, the logarithm of its passage's
// worth. p[k] is the probability with which the passage at place k was chosen
// among those left; that of the last is 1, whatever p says.
//
// The worths are those of the Plackett-Luce model (Plackett, The analysis of
// permutations, 1975) that chooses with these probabilities: a stick of length 1,
// from which each passage in turn breaks its share p[k] of what is left. They add
// up to 1. A worth above that of the place before, as the model's choices may
// imply one, is lowered to it, so that order and worths agree.
func Worths(p []float64) []float64 {
	out := make([]float64, len(p))
	left := 0.0 // the logarithm of the rest of the stick
	for k, share := range p {
		if k == len(p)-1 {
			out[k] = left
			break
		}
		if !(share >= leastChoice) { // NaN too
			share = leastChoice
		}
		share = min(share, 1-leastChoice)
		out[k] = left + math.Log(share)
		left += math.Log1p(-share)
	}
	neverRise(out)
	return out
}

// neverRise lowers each number to the one before it.
func neverRise(x []float64) {
	for k := 1; k < len(x); k++ {
		x[k] = min(x[k], x[k-1])
	}
}
