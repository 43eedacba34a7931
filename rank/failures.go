package rank

import (
	"errors"
	"fmt"
	"sync"
)

// ErrNoRankings is in the chain of the error with which Failures ends a run.
var ErrNoRankings = errors.New("the teacher gives no rankings")

// Failures counts the lists of a run that have no ranking, so that a run of which
// nothing comes ends early: an endpoint that is gone, a model that writes something
// else. It is safe for concurrent use; nil bounds nothing.
type Failures struct {
	Most int // failures in a row that end the run, and half of those that do among the first 4·Most lists; 0 for no bound

	mu                sync.Mutex
	lists, all, inRow int // lists so far, those without a ranking, and those since the last with one
}

// firstLists is how many times Most the lists are among which half may fail.
const firstLists = 4

// add counts a list. The error says that it is enough.
func (f *Failures) add(r Reading) error {
	if f == nil || f.Most == 0 {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	reason := r.failure()
	if reason == "" {
		f.inRow = 0
		return nil
	}
	last := r.Unanswered // whose kind decides what is done about it
	if last == nil {
		last = errors.New(reason)
	}
	f.all++
	f.inRow++
	switch first := firstLists * f.Most; {
	case f.inRow >= f.Most:
		return fmt.Errorf("%w: none for %d lists in a row, for the last of them: %w", ErrNoRankings, f.inRow, last)
	case f.lists <= first && 2*f.all >= first:
		return fmt.Errorf("%w: none for %d of the first %d lists, for the last of them: %w", ErrNoRankings, f.all, f.lists, last)
	}
	return nil
}

// trial is how many lists are given to a teacher at once until there is a first
// look at what it writes; 0 for all of them.
func (f *Failures) trial() int {
	if f == nil || f.Most == 0 {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lists >= firstLists*f.Most {
		return 0
	}
	return f.Most
}

// failure says why there is no ranking; "" where there is one.
func (r Reading) failure() string {
	switch {
	case r.Failure != "":
		return r.Failure
	case r.Repairs.Refusal > 0:
		return "want a ranking, got " + abridged(r.Text)
	}
	return ""
}
