package rank

import (
	"fmt"
	"math"
	"slices"
)

// CheckWindow refuses a window and a step with which lists cannot be ranked: a
// window must hold something to compare, and with a step as large as the window
// no passage could move from one to the next.
func CheckWindow(window, step int) error {
	if window < 2 {
		return fmt.Errorf("want a window of at least 2 passages, got %d", window)
	}
	if step < 1 || step >= window {
		return fmt.Errorf("want a step from 1 to %d for a window of %d, got %d", window-1, window, step)
	}
	return nil
}

// windows returns the half-open ranges of a list of n that are ranked one after
// another, from the back to the front. Each shares at least window-step places
// with the one before; the last begins at 0 and is no smaller than the others.
func windows(n, window, step int) [][2]int {
	var out [][2]int
	for from := n - window; from > 0; from -= step {
		out = append(out, [2]int{from, from + window})
	}
	return append(out, [2]int{0, min(n, window)})
}

// Sort ranks a list that may be too long for one prompt, window by window: as the
// windows overlap, a passage can rise from the back of the list to its front. It
// is a state machine, so that many lists can share a batch:
//
//	for w := s.Window(); w != nil; w = s.Window() {
//		... show the passages of w, read their ranking ...
//		s.Apply(order, p)
//	}
type Sort struct {
	order  []int
	todo   [][2]int
	worths []float64 // [n] by passage; NaN while unknown
}

// NewSort begins with the passages in the order shown, a permutation of 0..n-1,
// and goes through their windows so many times. A list of one passage is done.
func NewSort(shown []int, window, step, passes int) *Sort {
	s := &Sort{order: slices.Clone(shown), worths: make([]float64, len(shown))}
	if len(shown) < 2 {
		return s
	}
	for i := range s.worths {
		s.worths[i] = math.NaN()
	}
	s.todo = slices.Repeat(windows(len(shown), window, step), passes)
	return s
}

// Window returns the passages of the next window, in the order in which to show
// them, and nil when the list is done. They are valid until Apply.
func (s *Sort) Window() []int {
	if len(s.todo) == 0 {
		return nil
	}
	return s.order[s.todo[0][0]:s.todo[0][1]]
}

// Left returns how many windows are still to be ranked.
func (s *Sort) Left() int { return len(s.todo) }

// Apply ranks the window: order is a permutation of its places, the best first. p
// is, for each place of order, the probability of the choice (see Worths); nil in
// every call where it is not known.
func (s *Sort) Apply(order []int, p []float64) {
	window := s.Window()
	before := slices.Clone(window)
	for place, k := range order {
		window[place] = before[k]
	}
	if p != nil {
		s.weigh(window, Worths(p))
	}
	s.todo = s.todo[1:]
}

// weigh sets the worths of a window's passages. Worths are shares of their own
// window; what brings them to one scale are the passages known from windows
// before, whose mean (of logarithms) stays what it was.
func (s *Sort) weigh(window []int, worths []float64) {
	shift, known := 0.0, 0
	for place, i := range window {
		if !math.IsNaN(s.worths[i]) {
			shift += s.worths[i] - worths[place]
			known++
		}
	}
	if known > 0 {
		shift /= float64(known)
	}
	for place, i := range window {
		s.worths[i] = worths[place] + shift
	}
}

// Order returns the passages as they are ranked now, the best first.
func (s *Sort) Order() []int { return slices.Clone(s.order) }

// Worths returns the logarithm of each passage's worth, by passage, up to a
// constant; NaN for those of no window whose probabilities are known.
func (s *Sort) Worths() []float64 { return slices.Clone(s.worths) }
