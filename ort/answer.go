package ort

import (
	"context"
	"math"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// answer runs a forward and answers what is asked at its places, with those of the
// cache's outputs that the session gives out.
func (s *session) answer(ctx context.Context, f *forward, asks []model.Ask, past, present []onnx.Value) ([]model.Candidates, error) {
	switch {
	case s.rewritten == nil:
		logits, err := s.logits(ctx, f, f.rows, f.width, past, present)
		if err != nil {
			return nil, err
		}
		return logits.Candidates(f.at, asks)
	case s.form == graph.Decoding:
		logits, err := s.logits(ctx, f, len(f.at), 1, past, present)
		if err != nil {
			return nil, err
		}
		at := make([]model.Position, len(f.at))
		for i := range at {
			at[i].Row = i
		}
		return logits.Candidates(at, asks)
	}
	return s.choices(ctx, f, asks, past, present)
}

// choices answers out of a graph that gives the tokens it is asked about, [n, K], and
// perhaps the likeliest: where one row asks for every word, all do.
func (s *session) choices(ctx context.Context, f *forward, asks []model.Ask, past, present []onnx.Value) ([]model.Candidates, error) {
	words, err := s.target(f, asks)
	if err != nil {
		return nil, err
	}
	width := 2 * words
	if s.form == graph.DecodingLikeliest {
		width = 2*(words+1) + 1
	}
	resize(&s.chosen, len(f.at)*width)
	v, err := onnx.NewTensor(onnx.NewShape(int64(len(f.at)), int64(width)), s.chosen)
	if err != nil {
		return nil, cleanError(err)
	}
	defer v.Destroy()
	if err := s.run(ctx, f, past, append([]onnx.Value{v}, present...)); err != nil {
		return nil, err
	}
	out := make([]model.Candidates, len(asks))
	for i, ask := range asks {
		out[i] = s.choice(ask, s.chosen[i*width:(i+1)*width])
	}
	return out, nil
}

// target sets the tokens that a forward asks about, as many at each place: where a row
// asks for fewer, one of its own stands again. It returns how many they are.
func (s *session) target(f *forward, asks []model.Ask) (words int, err error) {
	words = 1
	for _, ask := range asks {
		if err := ask.Check(s.info.Vocab); err != nil {
			return 0, err
		}
		words = max(words, len(ask.Tokens))
		if s.needsAll(ask) {
			words = s.info.Vocab
		}
	}
	f.targets = make([]int64, len(asks)*words)
	for i, ask := range asks {
		row := f.targets[i*words : (i+1)*words]
		for k := range row {
			switch {
			case s.needsAll(ask):
				row[k] = int64(k)
			case len(ask.Tokens) > 0:
				row[k] = int64(ask.Tokens[min(k, len(ask.Tokens)-1)])
			}
		}
	}
	return words, nil
}

// needsAll reports whether every word must be looked at for an answer.
func (s *session) needsAll(ask model.Ask) bool {
	return ask.All || ask.Likeliest && s.form != graph.DecodingLikeliest
}

// choice reads one row of what the graph gives.
func (s *session) choice(ask model.Ask, row []float32) model.Candidates {
	n := len(row) / 2 // of an odd number, the last is the likeliest's id
	logits, logProbs := row[:n], row[n:2*n]
	c := model.Candidates{IDs: ask.Tokens, Logits: logits[:len(ask.Tokens)], Total: total(logits, logProbs)}
	switch {
	case ask.Likeliest && s.form == graph.DecodingLikeliest:
		c.IDs, c.Logits = []int32{0}, logits[n-1:]
		if id := row[2*n]; id >= 0 && int(id) < s.info.Vocab {
			c.IDs[0] = int32(id)
		} else { // among logits that are not finite none is the largest
			c.Total = math.NaN()
		}
	case ask.Likeliest:
		best := model.Likeliest(logits)
		c.IDs, c.Logits = []int32{best}, logits[best:best+1]
	case ask.All:
		c.Logits = logits[:s.info.Vocab]
	}
	return c
}

// total returns ln of the sum of exp over all logits, by the likeliest of some tokens,
// whose log-probability is the nearest to 0. Where all are ruled out it is NaN.
func total(logits, logProbs []float32) float64 {
	best := model.Likeliest(logits)
	if math.IsInf(float64(logits[best]), -1) {
		return math.NaN()
	}
	return float64(logits[best]) - float64(logProbs[best])
}
