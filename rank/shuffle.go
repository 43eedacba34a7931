package rank

import (
	"fmt"

	"github.com/ortscore/ortscore/io/dataset"
)

// OrderChoice says in which order a prompt first shows the passages.
type OrderChoice string

const (
	// ShuffledOrder draws the order from a seed, so that the labelled passages are
	// not always in front, where a model that cannot decide would find them.
	ShuffledOrder OrderChoice = "shuffle"
	// InputOrder is the row's own, pos then neg, as in the reference.
	InputOrder OrderChoice = "input"
)

// ParseOrderChoice checks the name of a choice.
func ParseOrderChoice(name string) (OrderChoice, error) {
	switch c := OrderChoice(name); c {
	case ShuffledOrder, InputOrder:
		return c, nil
	}
	return "", fmt.Errorf("want shuffle or input, got %q", name)
}

// Order returns the order in which an example's passages are shown for the first,
// second, ... of several rankings, which permutation counts from 0. Only the first
// can be the row's own. A shuffle hashes the row's own words, so that it depends
// on neither the row's place in the file nor its neighbours.
func (c OrderChoice) Order(ex *Example, seed uint64, permutation int) []int {
	n := len(ex.Passages)
	if c == InputOrder && permutation == 0 {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		return order
	}
	return dataset.Draw(seed, ex.Query, ex.Passages, uint64(permutation)).Perm(n)
}
