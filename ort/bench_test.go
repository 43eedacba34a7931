package ort

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// BenchmarkDecode writes 24 tokens after each of 32 prompts of 150 to 250 tokens
// with the demo's model: side by side in several numbers, and one by one.
func BenchmarkDecode(b *testing.B) {
	needLibrary(b)
	for _, form := range []string{"", "-explicit"} {
		path := filepath.Join("..", "build", "models", "smollm2-135m-instruct"+form, "model.onnx")
		if _, err := os.Stat(path); err != nil {
			b.Skip("needs make setup")
		}
		d, err := OpenDecoder(context.Background(), path, Options{})
		require.NoError(b, err)
		for _, rows := range []int{1, 8, 16, 32} {
			b.Run(fmt.Sprintf("%s/rows=%d", d.Info().Cache, rows), func(b *testing.B) {
				g := &model.Generator{Decoder: d, Limits: model.Limits{Rows: rows, Tokens: 1024}}
				for b.Loop() {
					_, err := g.Generate(context.Background(), benchPrompts())
					require.NoError(b, err)
				}
				b.ReportMetric(float64(32*24*b.N)/b.Elapsed().Seconds(), "tokens/s")
			})
		}
		require.NoError(b, d.Close())
	}
}

func benchPrompts() []model.Prompt {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([]model.Prompt, 32)
	for i := range out {
		for range 150 + rng.IntN(101) {
			out[i].Tokens = append(out[i].Tokens, int32(4+rng.IntN(40000)))
		}
		out[i].MaxNew = 24
	}
	return out
}
