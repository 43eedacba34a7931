package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
	"github.com/ortscore/ortscore/ort"
)

// TestReferenceGreedy holds what a real teacher writes against what transformers'
// generate wrote after the same prompts (scripts/golden_greedy.py), all prompts
// side by side and one by one. The tiny models' dump is tested in ort.
func TestReferenceGreedy(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	needNative(t)
	_, err := ort.Load("")
	require.NoError(t, err)
	prompts, want := readGreedy(t, "smollm2-135m-instruct")
	for _, name := range teachers {
		t.Run(name, func(t *testing.T) {
			folder := filepath.Join(buildDir, "models", name)
			needFile(t, folder)
			d, err := ort.OpenDecoder(t.Context(), filepath.Join(folder, "model.onnx"), ort.Options{Asks: ort.AskLikeliest})
			require.NoError(t, err)
			defer func() { require.NoError(t, d.Close()) }()
			require.NotEqual(t, ort.CacheNone, d.Info().Cache)
			require.Equal(t, ort.LastToken, d.Info().Form)
			// 512 tokens of a prefill have 100 MB of logits; the rows that they fill are
			// decoded together all the same.
			for _, limits := range []model.Limits{{Tokens: 512}, {Rows: 1}} {
				g := &model.Generator{Decoders: []model.Decoder{d}, Limits: limits}
				out, err := modeltest.Generate(t.Context(), g, prompts)
				require.NoError(t, err)
				for i := range out {
					require.NoError(t, out[i].Err)
					require.Equal(t, want[i], out[i].Tokens, "prompt %d, %+v", i, limits)
				}
			}
		})
	}
}

// readGreedy reads the prompts of a dump and what was written after each.
func readGreedy(t *testing.T, name string) (prompts []model.Prompt, written [][]int32) {
	data, err := os.ReadFile(filepath.Join(root, "testdata", "goldens", name, "greedy.json"))
	require.NoError(t, err)
	var dump struct {
		Margin  float64
		Prompts []struct{ IDs, New []int32 }
	}
	require.NoError(t, json.Unmarshal(data, &dump))
	// With less, another order of additions could choose another token.
	require.Greater(t, dump.Margin, 1e-3)
	for _, p := range dump.Prompts {
		prompts = append(prompts, model.Prompt{Tokens: p.IDs, MaxNew: len(p.New)})
		written = append(written, p.New)
	}
	return prompts, written
}
