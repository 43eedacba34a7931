package modeltest

import (
	"context"
	"math"
	"slices"

	"github.com/ortscore/ortscore/model"
)

// Scorer is the toy model as a model.Scorer, which takes trees. It records what it
// was asked.
type Scorer struct {
	Toy   LM
	Rows  model.Trees
	Mix   model.Mixing
	Asked [][]model.Position
}

// Vocab implements model.Scorer.
func (s *Scorer) Vocab() int { return s.Toy.Vocab }

// Trees implements model.Scorer.
func (s *Scorer) Trees() model.Trees { return s.Rows }

// Mixing implements model.Scorer.
func (s *Scorer) Mixing() model.Mixing { return s.Mix }

// LogProbs implements model.Scorer, by the textbook formula.
func (s *Scorer) LogProbs(ctx context.Context, b *model.Batch, at []model.Position, out []float32) error {
	logits, err := s.Toy.Forward(ctx, b)
	if err != nil {
		return err
	}
	s.Asked = append(s.Asked, slices.Clone(at))
	for i, p := range at {
		row := logits.At(p.Row, p.At, nil)
		var sum float64
		for _, x := range row {
			sum += math.Exp(float64(x))
		}
		out[i] = float32(float64(row[p.Target]) - math.Log(sum))
	}
	return nil
}
