package modeltest

import (
	"context"

	"github.com/ortscore/ortscore/model"
)

// Generate is what a Generator writes after prompts, in their order.
func Generate(ctx context.Context, g *model.Generator, prompts []model.Prompt) ([]model.Generated, error) {
	out := make([]model.Generated, len(prompts))
	err := g.Generate(ctx, prompts, func(i int, text model.Generated) error {
		out[i] = text
		return nil
	})
	return out, err
}
