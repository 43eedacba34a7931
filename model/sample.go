package model

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// Sampling says how the next token is chosen. The zero value is greedy: the
// token with the largest logit, the lowest id among equals.
type Sampling struct {
	Temperature float64 // 0 for greedy
	TopP        float64 // nucleus: the fewest most likely tokens that hold this probability; 0 or 1 for all
	// RepetitionPenalty divides the positive logits, and multiplies the negative
	// ones, of tokens in the prompt or written so far (Keskar et al. 2019, section
	// 4.1, as transformers has it); 0 or 1 for none.
	RepetitionPenalty float64
}

// sampler chooses tokens for one row.
type sampler struct {
	Sampling
	rng  *rand.Rand     // nil for greedy
	seen map[int32]bool // tokens of the prompt and since; nil without a penalty
	list []share
}

// share is a candidate that may be drawn.
type share struct {
	at int     // its place
	x  float64 // its logit, then its share
}

// newSampler makes a row's sampler: its numbers depend on the seed alone, never
// on the rows beside it.
func newSampler(s Sampling, seed uint64, prompt []int32) *sampler {
	out := &sampler{Sampling: s}
	if s.Temperature > 0 {
		out.rng = rand.New(rand.NewPCG(seed, 0x6f727473636f7265))
	}
	if s.RepetitionPenalty != 0 && s.RepetitionPenalty != 1 {
		out.seen = map[int32]bool{}
		for _, id := range prompt {
			out.seen[id] = true
		}
	}
	return out
}

// plain reports whether the likeliest token is the one to choose.
func (s *sampler) plain() bool { return s.rng == nil && s.seen == nil }

// choose picks one of the candidates and returns it with the plain ln P of the model,
// before temperature and penalties. What is not finite where it matters is a
// *NonFiniteError.
func (s *sampler) choose(c *Candidates) (id int32, logProb float64, err error) {
	if math.IsNaN(c.Total) || math.IsInf(c.Total, 0) {
		return 0, 0, &NonFiniteError{Value: c.Total}
	}
	at := 0
	if s.rng != nil {
		at = s.draw(c)
	} else {
		at = s.best(c)
	}
	id, logProb = c.id(at), c.logProb(at)
	if math.IsInf(logProb, -1) {
		return 0, 0, &NonFiniteError{Value: logProb}
	}
	s.note(id)
	return id, logProb, nil
}

// note remembers a token that was written.
func (s *sampler) note(id int32) {
	if s.seen != nil {
		s.seen[id] = true
	}
}

// penalised is a candidate's logit, less what it costs to repeat it.
func (s *sampler) penalised(c *Candidates, at int) float64 {
	x := float64(c.Logits[at])
	switch {
	case !s.seen[c.id(at)]:
		return x
	case x > 0:
		return x / s.RepetitionPenalty
	}
	return x * s.RepetitionPenalty
}

// best returns the place of the candidate with the largest logit, the first of equals.
func (s *sampler) best(c *Candidates) int {
	best, top := 0, math.Inf(-1)
	for i := range c.Logits {
		if x := s.penalised(c, i); x > top {
			best, top = i, x
		}
	}
	return best
}

// draw samples from the softmax at the temperature, cut to the nucleus, and returns
// the candidate's place.
func (s *sampler) draw(c *Candidates) int {
	s.list = s.list[:0]
	top, sum := math.Inf(-1), 0.0
	for i := range c.Logits {
		x := s.penalised(c, i)
		s.list = append(s.list, share{i, x})
		top = max(top, x)
	}
	for i := range s.list {
		s.list[i].x = math.Exp((s.list[i].x - top) / s.Temperature)
		sum += s.list[i].x
	}
	if s.TopP > 0 && s.TopP < 1 {
		sum = s.cut(sum)
	}
	at := s.rng.Float64() * sum
	for _, one := range s.list {
		if at -= one.x; at < 0 {
			return one.at
		}
	}
	return s.list[0].at // rounding left a rest
}

// cut reduces the list, whose shares add up to sum, to the nucleus, the likeliest
// first, and returns what that adds up to.
func (s *sampler) cut(sum float64) float64 {
	// What all tokens below this share add up to is outside the nucleus anyway:
	// most of a vocabulary need not be sorted.
	least := (1 - s.TopP) * sum / float64(len(s.list))
	s.list = slices.DeleteFunc(s.list, func(c share) bool { return c.x < least })
	slices.SortStableFunc(s.list, func(a, b share) int { return cmp.Compare(b.x, a.x) })
	kept := 0.0
	for i, c := range s.list {
		if kept += c.x; kept >= s.TopP*sum {
			s.list = s.list[:i+1]
			break
		}
	}
	return kept
}
