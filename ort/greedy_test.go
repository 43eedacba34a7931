package ort

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// greedyPrompt is one of a dump that scripts/golden_greedy.py writes: a prompt,
// and what transformers wrote after it.
type greedyPrompt struct {
	IDs     []int32
	Stops   []int32
	Penalty float64 `json:"repetition_penalty"`
	New     []int32 // the stop token is the last, where there is one
}

func readGreedy(t *testing.T, name string) []greedyPrompt {
	data, err := os.ReadFile(filepath.Join("..", "testdata", "goldens", name, "greedy.json"))
	require.NoError(t, err)
	var dump struct {
		Margin  float64
		Prompts []greedyPrompt
	}
	require.NoError(t, json.Unmarshal(data, &dump))
	// With less, another order of additions could choose another token.
	require.Greater(t, dump.Margin, 1e-3)
	return dump.Prompts
}

// greedyGroups puts together what one Generator can write: the plain prompts,
// those with a penalty, and those that a stop token ends.
func greedyGroups(prompts []greedyPrompt) map[string][]greedyPrompt {
	groups := map[string][]greedyPrompt{}
	for _, p := range prompts {
		kind := "plain"
		switch {
		case p.Penalty != 0:
			kind = "penalty"
		case len(p.Stops) > 0:
			kind = "stops"
		}
		groups[kind] = append(groups[kind], p)
	}
	return groups
}

// compareGreedy lets d write after the prompts of a group.
func compareGreedy(t *testing.T, d model.Decoder, limits model.Limits, group []greedyPrompt, what string) {
	g := &model.Generator{Decoders: []model.Decoder{d}, Limits: limits, Stops: group[0].Stops, Sampling: model.Sampling{RepetitionPenalty: group[0].Penalty}}
	var in []model.Prompt
	for _, p := range group {
		in = append(in, model.Prompt{Tokens: p.IDs, MaxNew: len(p.New)})
	}
	out, err := modeltest.Generate(t.Context(), g, in)
	require.NoError(t, err)
	for i, p := range group {
		require.NoError(t, out[i].Err)
		want, stop := p.New, model.StopLength
		if last := len(want) - 1; slices.Contains(p.Stops, want[last]) {
			want, stop = want[:last], model.StopToken
		}
		require.Equal(t, stop, out[i].Stop, "%s, prompt %d, %+v", what, i, limits)
		require.Equal(t, want, append([]int32{}, out[i].Tokens...), "%s, prompt %d, %+v", what, i, limits)
	}
}

// Greedy decoding gives the tokens of transformers' generate, with a cache and
// without, whatever is decoded side by side.
func TestGreedyTokensAreTransformers(t *testing.T) {
	groups := greedyGroups(readGreedy(t, "tiny"))
	require.Len(t, groups, 3)
	for _, name := range []string{"tiny-gqa", "tiny-explicit"} {
		cached, likeliest := openDecoder(t, name), openAsked(t, name, AskLikeliest)
		require.NotEqual(t, CacheNone, cached.Info().Cache)
		recompute := &model.Recompute{Forwarder: openFixture(t, name, Options{Graph: FullGraph})}
		for kind, group := range groups {
			for _, limits := range []model.Limits{{Rows: 1}, {Rows: 3, Tokens: 100}, {Rows: 5, Tokens: 1}, {Tokens: 256}, {Tokens: 1 << 20}} {
				compareGreedy(t, cached, limits, group, name+", "+kind+", cached")
				compareGreedy(t, likeliest, limits, group, name+", "+kind+", asked for the likeliest")
			}
			for _, limits := range []model.Limits{{Rows: 4, Tokens: 1}, {Tokens: 1 << 20}} {
				compareGreedy(t, recompute, limits, group, name+", "+kind+", recomputed")
			}
		}
	}
}
