package rank

import (
	"slices"

	"github.com/ortscore/ortscore/model"
)

var _ model.Guide = (*walk)(nil)

// walk is a way through a grammar, one ranking's. As the passages are sorted by
// their tokens, those that share the tokens written so far are neighbours, and
// their next tokens rise: a trie without the nodes.
type walk struct {
	g       *Grammar
	order   []int   // passages that stand already
	used    []bool  // [n] the same
	unused  []int   // the others, in the order of their tokens
	live    []int   // those of unused whose tokens begin as the item in hand does
	depth   int     // tokens of that item
	allowed []int32 // what Allowed returns
}

// walk begins a ranking of n passages.
func (g *Grammar) walk(n int) *walk {
	w := &walk{g: g, order: make([]int, 0, n), used: make([]bool, n), unused: make([]int, 0, n)}
	w.begin()
	return w
}

// Reset implements model.Guide.
func (w *walk) Reset() {
	w.order = w.order[:0]
	clear(w.used)
	w.begin()
}

// begin turns to the next item, which may be any passage that does not stand yet.
func (w *walk) begin() {
	w.unused, w.depth = w.unused[:0], 0
	for _, i := range w.items().sorted {
		if i < len(w.used) && !w.used[i] {
			w.unused = append(w.unused, i)
		}
	}
	w.live = w.unused
}

// items are those of the place in hand.
func (w *walk) items() *items {
	if len(w.order) == 0 {
		return &w.g.first
	}
	return &w.g.later
}

// Allowed implements model.Guide.
func (w *walk) Allowed() []int32 {
	w.allowed = w.allowed[:0]
	// One passage left is implied, and of two left, so is what one of them is.
	if len(w.unused) < 2 || len(w.unused) == 2 && len(w.live) < 2 {
		return w.allowed
	}
	tokens := w.items().tokens
	for _, i := range w.live {
		if id := tokens[i][w.depth]; len(w.allowed) == 0 || id != w.allowed[len(w.allowed)-1] {
			w.allowed = append(w.allowed, id)
		}
	}
	return w.allowed
}

// Accept implements model.Guide. After a token that is not allowed none is.
func (w *walk) Accept(id int32) {
	tokens := w.items().tokens
	next := func(i int) bool { return tokens[i][w.depth] == id }
	from := slices.IndexFunc(w.live, next)
	if from < 0 {
		w.unused, w.live = nil, nil
		return
	}
	to := from + 1
	for to < len(w.live) && next(w.live[to]) {
		to++
	}
	w.live = w.live[from:to]
	w.depth++
	// None begins with another, so at an item's last token one alone is live.
	if i := w.live[0]; w.depth == len(tokens[i]) {
		w.order = append(w.order, i)
		w.used[i] = true
		w.begin()
	}
}

// ranking returns the whole order, once Allowed has ended it.
func (w *walk) ranking() []int {
	order := slices.Clone(w.order)
	if len(w.unused) == 2 {
		order = append(order, w.live[0])
	}
	for _, i := range w.unused {
		if !slices.Contains(order, i) {
			order = append(order, i)
		}
	}
	return order
}
