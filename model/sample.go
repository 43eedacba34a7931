package model

import (
	"cmp"
	"fmt"
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
	list []candidate
}

// candidate is a token that may be drawn.
type candidate struct {
	id int32
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

// choose picks one of allowed, or of all tokens where allowed is nil. The choice
// comes with the plain probabilities of the model, before temperature and
// penalties. Logits that are not finite where they matter are a *NonFiniteError.
func (s *sampler) choose(logits []float32, allowed []int32) (int32, Choice, error) {
	softmax := newSoftmax(logits)
	if bad := softmax.largest + softmax.logSum; math.IsNaN(bad) || math.IsInf(bad, 0) {
		return 0, Choice{}, &NonFiniteError{Value: bad}
	}
	mass := 1.0
	if allowed != nil {
		mass = 0
		for _, id := range allowed {
			if int(id) >= len(logits) {
				return 0, Choice{}, fmt.Errorf("want tokens below the model's vocabulary of %d, got %d", len(logits), id)
			}
			mass += math.Exp(softmax.logProb(logits[id]))
		}
	}
	var id int32
	switch {
	case s.rng != nil:
		id = s.draw(logits, allowed)
	case s.seen == nil && allowed == nil:
		id = int32(slices.Index(logits, float32(softmax.largest)))
	default:
		id = s.best(logits, allowed)
	}
	c := Choice{LogProb: softmax.logProb(logits[id]), Mass: min(1, mass)}
	if math.IsInf(c.LogProb, -1) {
		return 0, Choice{}, &NonFiniteError{Value: c.LogProb}
	}
	s.note(id)
	return id, c, nil
}

// note remembers a token that was written.
func (s *sampler) note(id int32) {
	if s.seen != nil {
		s.seen[id] = true
	}
}

// each calls f with every token that may be chosen and its logit, penalised.
func (s *sampler) each(logits []float32, allowed []int32, f func(id int32, x float64)) {
	add := func(id int32) {
		x := float64(logits[id])
		switch {
		case !s.seen[id]:
		case x > 0:
			x /= s.RepetitionPenalty
		default:
			x *= s.RepetitionPenalty
		}
		f(id, x)
	}
	if allowed == nil {
		for id := range logits {
			add(int32(id))
		}
		return
	}
	for _, id := range allowed {
		add(id)
	}
}

func (s *sampler) best(logits []float32, allowed []int32) int32 {
	best, top := int32(-1), math.Inf(-1)
	s.each(logits, allowed, func(id int32, x float64) {
		if best < 0 || x > top {
			best, top = id, x
		}
	})
	return best
}

// draw samples from the softmax at the temperature, cut to the nucleus.
func (s *sampler) draw(logits []float32, allowed []int32) int32 {
	s.list = s.list[:0]
	top, sum := math.Inf(-1), 0.0
	s.each(logits, allowed, func(id int32, x float64) {
		s.list = append(s.list, candidate{id, x})
		top = max(top, x)
	})
	for i := range s.list {
		s.list[i].x = math.Exp((s.list[i].x - top) / s.Temperature)
		sum += s.list[i].x
	}
	if s.TopP > 0 && s.TopP < 1 {
		sum = s.cut(sum)
	}
	at := s.rng.Float64() * sum
	for _, c := range s.list {
		if at -= c.x; at < 0 {
			return c.id
		}
	}
	return s.list[0].id // rounding left a rest
}

// cut reduces the list, whose shares add up to sum, to the nucleus, the likeliest
// first, and returns what that adds up to.
func (s *sampler) cut(sum float64) float64 {
	// What all tokens below this share add up to is outside the nucleus anyway:
	// most of a vocabulary need not be sorted.
	least := (1 - s.TopP) * sum / float64(len(s.list))
	s.list = slices.DeleteFunc(s.list, func(c candidate) bool { return c.x < least })
	slices.SortStableFunc(s.list, func(a, b candidate) int { return cmp.Compare(b.x, a.x) })
	kept := 0.0
	for i, c := range s.list {
		if kept += c.x; kept >= s.TopP*sum {
			s.list = s.list[:i+1]
			break
		}
	}
	return kept
}
