package ort

import (
	"errors"
	"os"
)

var errClosed = errors.New("want an open session, got one that is closed")

// FreeMemory is what is left of the device's memory, in bytes, by what it or the
// machine says: on CUDA within Options.MemoryLimit, on the cpu within the limits
// of the process's control groups. What the session keeps for runs like those
// before is not counted as free.
func (s *session) FreeMemory() (int64, error) {
	if s.memory == nil {
		return 0, errClosed
	}
	if s.memory.cuda == nil {
		return freeMemory(os.DirFS("/"))
	}
	free, err := s.memory.cuda.freeMemory()
	if err == nil && s.opts.MemoryLimit > 0 {
		var used int64
		used, err = s.memory.inUse()
		free = max(0, min(free, s.opts.MemoryLimit-used))
	}
	return free, err
}

// demand is what the sizes of a run's tensors go by.
type demand struct {
	tokens int // B*T
	pairs  int // B*T*T, of tokens that look at each other
	places int // that logits are computed for
}

// makeRoom has a GPU's arena give back what lies idle before a run that is larger
// than any before. It keeps whatever it was asked for once, and a tensor that is
// a little larger than those before takes a block of its own beside theirs. After
// the largest run all others fit into what is there: an arena is emptied some
// times at a job's beginning and then no more, while the run option
// memory.enable_memory_arena_shrinkage would free and allocate at every run.
func (s *session) makeRoom(f *forward) error {
	if s.memory.cuda == nil {
		return nil // the cpu's memory is taken page by page, as it is written to
	}
	columns := f.width
	if s.grows {
		columns += f.past
	}
	now := demand{tokens: f.rows * columns, pairs: f.rows * f.width * columns, places: len(f.at)}
	if now.tokens <= s.largest.tokens && now.pairs <= s.largest.pairs && now.places <= s.largest.places {
		return nil
	}
	s.largest = demand{max(now.tokens, s.largest.tokens), max(now.pairs, s.largest.pairs), max(now.places, s.largest.places)}
	return s.memory.shrink()
}
