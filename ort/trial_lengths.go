package ort

import (
	"context"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

const (
	// trialTokens is the length of the middle one of the sequences that are tried.
	trialTokens = 24
	// trialTime is how long the forwards beyond a window or a break may take, and
	// trialMost the tokens of their longest sequence, whose attention takes memory by
	// their square.
	trialTime = 2 * time.Second
	trialMost = 2048
	// trialFar is the middle length where the graph and the configuration tell none.
	trialFar = 160
	// trialBatches is about how many times its longest sequence a trial reads.
	trialBatches = 5
	// trialMargin is how far a trial goes beyond what it is to reach.
	trialMargin = 8
)

// trialLengths are those of the three sequences of a trial.
type trialLengths struct{ short, middle, long int }

// tryLengths runs a trial with short texts, then with such as are longer than the
// graph's windows and breaks, where that is quick.
func (s *session) tryLengths(ctx context.Context, try func(context.Context, trialLengths) error) error {
	lengths := s.trialLengths()
	start := time.Now()
	if err := try(ctx, lengths); err != nil {
		return err
	}
	if longer, ok := s.longLengths(lengths, time.Since(start)); ok {
		return try(ctx, longer)
	}
	return nil
}

// lengthsFrom makes lengths of which none is below least.
func lengthsFrom(least, middle int) trialLengths {
	middle = max(middle, least+2)
	return trialLengths{short: max(least, middle/2), middle: middle, long: middle + max(2, middle/4)}
}

// trialLengths chooses lengths that stand on one side of every break: short ones, or
// where these do not, ones beyond the last break.
func (s *session) trialLengths() trialLengths {
	l := lengthsFrom(2, s.fit(trialTokens))
	breaks := s.info.Graph.Batchwide.Breaks
	if (model.Mixing{Breaks: breaks}).Crosses(l.short, l.long+trialMargin) {
		least := breaks[len(breaks)-1] + 1
		l = lengthsFrom(least, least+trialMargin)
	}
	return l
}

// fit bounds the middle length by the model's context, where it is known.
func (s *session) fit(middle int) int {
	if s.opts.Context > 0 {
		middle = min(middle, s.opts.Context*2/3-trialMargin)
	}
	return max(4, middle)
}

// longLengths chooses lengths that pass the windows and breaks that the graph and
// the configuration tell, else up to trialFar tokens, as far as trialTime allows: a
// trial of so many tokens took so long. It reports false where that is no farther.
func (s *session) longLengths(tried trialLengths, took time.Duration) (trialLengths, bool) {
	breaks := s.info.Graph.Batchwide.Breaks
	most := trialMost
	if token := took / time.Duration(trialBatches*tried.long); token > 0 {
		most = min(most, int(trialTime/token)/trialBatches)
	}
	if s.opts.Context > 0 {
		most = min(most, s.opts.Context-trialMargin)
	}
	fits := func(l trialLengths) bool {
		return l.long <= most && !model.Mixing{Breaks: breaks}.Crosses(l.short, l.long+trialMargin)
	}
	known := slices.Concat(s.info.Graph.Batchwide.Windows, breaks, s.opts.Windows)
	slices.Sort(known)
	for _, n := range slices.Backward(known) {
		l := lengthsFrom(2, n+trialMargin)
		if slices.Contains(breaks, n) {
			l = lengthsFrom(n+1, n+trialMargin)
		}
		if n > tried.short && fits(l) {
			return l, true
		}
	}
	l := lengthsFrom(2, min(trialFar, most*4/5))
	return l, s.opts.Context > 0 && l.short > tried.long && fits(l)
}

// trialText makes a text of n tokens, which is another for another start.
func (s *session) trialText(n, start int) []int32 {
	words := min(s.info.Vocab, 997)
	if rows := s.info.Graph.Embeddings; rows > 0 {
		words = min(words, rows)
	}
	tokens := make([]int32, n)
	for i := range tokens {
		tokens[i] = int32((31*(i+start) + 1 + start) % words)
	}
	return tokens
}

// changeLimit is the change in logits that rounding may make, in parts of how far they
// spread: those of a small or an untrained model lie close together. With numbers of 16
// bits, or activations rounded to integers, the last bits of a sum become whole steps:
// SmolLM2 in fp16 with logits of fp32 shows 2e-3 of its spread.
func (s *session) changeLimit(values []float32) float64 {
	part := 0.03
	switch whole := s.info.Graph.Batchwide; {
	case whole.Rounds:
		part = 0.3
	case s.out.typ == graph.Float32 && !whole.Half:
		part = float32Part
	}
	return max(1e-6, part*spread(values))
}

// float32Part is what sums in another order may make of a spread of 1. SmolLM2's 30
// layers make 1e-5 of it.
const float32Part = 5e-4

// spread is the standard deviation of the values that are finite.
func spread(values []float32) float64 {
	var finite []float64
	for _, v := range values {
		if x := float64(v); !math.IsNaN(x) && !math.IsInf(x, 0) {
			finite = append(finite, x)
		}
	}
	if len(finite) < 2 {
		return 0
	}
	return stat.StdDev(finite, nil)
}
