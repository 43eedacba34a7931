package model

import "time"

// Tuner finds out how many tokens a batch should hold, from the batches of the
// run itself: it begins with few and doubles them for as long as that is worth
// it. Nothing runs for the sake of tuning alone.
//
// The zero value tries DefaultLeast tokens and more, without a bound.
type Tuner struct {
	Least, Most int // the budgets that are tried

	// Falling begins with Most and halves it for as long as that costs nothing, so
	// that the largest memory is taken first.
	Falling bool

	tokens  int // now
	runs    int // of full batches at this budget
	rate    float64
	best    int // the budget that is not beaten
	highest float64
	settled bool
}

const (
	// DefaultLeast is the smallest budget that is tried where a Tuner names none.
	DefaultLeast = 512
	// tuneRuns is how many full batches a budget is judged by, the fastest of them:
	// the first pays for memory that the others find, and a busy machine only slows.
	tuneRuns = 3
	// tuneGain is what a doubled budget must be worth, and less than what a halved one
	// may cost. A larger batch has more padding and takes more memory.
	tuneGain = 1.03
)

// Tokens returns the budget of a batch whose longest sequence has so many tokens.
// Budgets that hold not even that one are skipped.
func (t *Tuner) Tokens(longest int) int {
	switch {
	case t.tokens > 0:
	case t.Falling:
		t.tokens = max(1, t.Most)
	case t.Least == 0:
		t.tokens = DefaultLeast
	default:
		t.tokens = max(1, t.Least)
	}
	for !t.settled && !t.Falling && t.tokens < longest && t.other() > t.tokens {
		t.tokens, t.runs, t.rate = t.other(), 0, 0
	}
	return t.tokens
}

// other is the budget to try after the present one.
func (t *Tuner) other() int {
	if t.Falling {
		return min(t.tokens, max(t.Least, t.tokens/2))
	}
	if t.Most > 0 {
		return max(t.tokens, min(2*t.tokens, t.Most))
	}
	return 2 * t.tokens
}

// bound takes note that more tokens than most do not fit into the memory.
func (t *Tuner) bound(most int) {
	t.Most, t.Least = most, min(t.Least, most)
	if t.tokens > most {
		t.tokens, t.runs, t.rate = most, 0, 0
	}
	if t.best > most {
		t.best, t.highest, t.settled = 0, 0, false
	}
}

// Settled tells whether the budget has been found.
func (t *Tuner) Settled() bool { return t.settled }

// Ran takes in how long a batch under a budget took, of so many tokens with and
// without its padding. A batch that the budget did not fill tells nothing.
func (t *Tuner) Ran(budget, padded, tokens int, took time.Duration) {
	if t.settled || budget != t.tokens || padded > budget || 4*padded < 3*budget || took <= 0 {
		return
	}
	t.runs++
	t.rate = max(t.rate, float64(tokens)/took.Seconds())
	if t.runs < tuneRuns {
		return
	}
	wanted := tuneGain * t.highest
	if t.Falling {
		wanted = t.highest / tuneGain
	}
	gained := t.best == 0 || t.rate >= wanted
	if gained {
		t.best, t.highest = t.tokens, max(t.rate, t.highest)
	}
	next := t.other()
	if !gained || next == t.tokens {
		t.tokens, t.settled = t.best, true
		return
	}
	t.tokens, t.runs, t.rate = next, 0, 0
}
