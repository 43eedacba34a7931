package ort

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// demoModel opens the demo's model, or its explicit twin.
func demoModel(b *testing.B, form string) Decoder {
	b.Helper()
	needLibrary(b)
	path := filepath.Join("..", "build", "models", "smollm2-135m-instruct"+form, "model.onnx")
	if _, err := os.Stat(path); err != nil {
		b.Skip("needs make setup")
	}
	d, err := OpenDecoder(context.Background(), path, Options{Asks: AskLikeliest})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, d.Close()) })
	return d
}

// generate writes on from the prompts and reports the tokens that were written.
func generate(b *testing.B, d model.Decoder, rows int, prompts []model.Prompt) {
	b.Helper()
	g := &model.Generator{Decoders: []model.Decoder{d}, Limits: model.Limits{Rows: rows, Tokens: 1024}}
	written := 0
	for b.Loop() {
		out, err := modeltest.Generate(context.Background(), g, prompts)
		require.NoError(b, err)
		for _, o := range out {
			written += len(o.Tokens)
		}
	}
	b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkDecode writes 24 tokens after each of 32 prompts of 150 to 250 tokens
// with the demo's model: one by one, and side by side.
func BenchmarkDecode(b *testing.B) {
	for _, form := range []string{"", "-explicit"} {
		d := demoModel(b, form)
		for _, rows := range []int{1, 8, 16, 32} {
			b.Run(fmt.Sprintf("%s/rows=%d", strings.ReplaceAll(d.Info().Cache, " ", "-"), rows), func(b *testing.B) {
				generate(b, d, rows, benchPrompts(func(*rand.Rand) int { return 24 }))
			})
		}
	}
}

// waves is a decoder whose rows wait for each other.
type waves struct{ Decoder }

func (w waves) Traits() model.Traits {
	t := w.Decoder.Traits()
	t.Refill = false
	return t
}

// BenchmarkRefill writes after the same prompts, 8 at a time, rows refilled as
// they end against waves: answers of one length, as of lists of one length, and of
// 4 to 44 tokens, as free text has them.
func BenchmarkRefill(b *testing.B) {
	d := demoModel(b, "")
	for name, length := range map[string]func(*rand.Rand) int{
		"equal": func(*rand.Rand) int { return 24 },
		"mixed": func(rng *rand.Rand) int { return 4 + rng.IntN(41) },
	} {
		b.Run(name+"/refilled", func(b *testing.B) { generate(b, d, 8, benchPrompts(length)) })
		b.Run(name+"/waves", func(b *testing.B) { generate(b, waves{d}, 8, benchPrompts(length)) })
	}
}

func benchPrompts(length func(*rand.Rand) int) []model.Prompt {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([]model.Prompt, 32)
	for i := range out {
		for range 150 + rng.IntN(101) {
			out[i].Tokens = append(out[i].Tokens, int32(4+rng.IntN(40000)))
		}
		out[i].MaxNew = length(rng)
	}
	return out
}
