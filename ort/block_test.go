package ort

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// alikeAndAlone are sequences that begin alike and others, asked for one token or more,
// and behind the text, with lengths of which blocks of tokens leave one over.
func alikeAndAlone(vocab int) []model.Sequence {
	seqs := append(someSequences(40, vocab), beginAlike(vocab)...)
	for _, n := range []int{31, 32, 33, 34, 65, 66} {
		s := seqs[n%40]
		for len(s.Tokens) < n {
			s.Tokens = append(s.Tokens, s.Tokens...)
		}
		seqs = append(seqs, model.Sequence{Tokens: s.Tokens[:n], Asks: []model.Target{{At: n, Token: 7}, {At: n, Token: 8}}})
	}
	r := rand.New(rand.NewPCG(5, 6))
	for i := 0; i < len(seqs); i += 3 {
		n := len(seqs[i].Tokens)
		seqs[i].Asks = []model.Target{{At: n - r.IntN(2)*(n-1), Token: r.Int32N(int32(vocab))}}
	}
	return seqs
}

// requireOwnValues wants a block's values to be the same to the last bit whatever is
// set, and whatever is known.
func requireOwnValues(t *testing.T, open func(threads int) *LM, seqs []model.Sequence, subsets int) {
	t.Helper()
	one, two := open(1), open(2)
	run := func(lm *model.LM, known []bool) [][]float32 {
		out := make([][]float32, len(seqs))
		blocks := []model.Block{{Sequences: seqs[:5]}, {Sequences: seqs, Known: known}}
		require.NoError(t, lm.LogProbs(t.Context(), blocks, func(b, i int, values []float32) {
			if b == 1 {
				out[i] = values
			}
		}))
		return out
	}
	scorers := []model.Scorer{one.Scorer()}
	want := run(&model.LM{Scorers: scorers, Limits: model.Limits{Tokens: 400}}, nil)
	vocab := one.Info().Vocab
	for name, lm := range map[string]*model.LM{
		"one token":        {Scorers: scorers, Limits: model.Limits{Tokens: 1}},
		"few":              {Scorers: scorers, Limits: model.Limits{Tokens: 90}},
		"many":             {Scorers: scorers, Limits: model.Limits{Tokens: 20000}},
		"three rows":       {Scorers: scorers, Limits: model.Limits{Tokens: 4000, Rows: 3}},
		"tuned":            {Scorers: scorers, Tuner: &model.Tuner{Least: 64, Most: 2000}},
		"two threads":      {Scorers: []model.Scorer{two.Scorer()}, Limits: model.Limits{Tokens: 1000}},
		"two models":       {Scorers: []model.Scorer{one.Scorer(), two.Scorer()}, Limits: model.Limits{Tokens: 300}},
		"a logit's memory": {Scorers: scorers, Limits: model.Limits{Tokens: 400}, LogitsMemory: 1},
		"seven logits'":    {Scorers: scorers, Limits: model.Limits{Tokens: 400}, LogitsMemory: 4 * 7 * vocab},
	} {
		requireSameBits(t, want, run(lm, nil), seqs, name)
	}
	for seed := range uint64(subsets) {
		r := rand.New(rand.NewPCG(seed, 1))
		known, share := make([]bool, len(seqs)), r.Float64()
		for i := range known {
			known[i] = r.Float64() < share
		}
		got := run(&model.LM{Scorers: []model.Scorer{one.Scorer()}, Limits: model.Limits{Tokens: 1 + r.IntN(2000)}}, known)
		for i := range known {
			if known[i] {
				got[i] = want[i]
			}
		}
		requireSameBits(t, want, got, seqs, fmt.Sprint("known, seed ", seed))
	}
}

func requireSameBits(t *testing.T, want, got [][]float32, seqs []model.Sequence, name string) {
	t.Helper()
	for i := range want {
		require.Equal(t, want[i], got[i], "%s: sequence %d of %d tokens, asks %v", name, i, len(seqs[i].Tokens), seqs[i].Asks)
	}
}

// What a block's sequences get is decided by the block alone, with every kind of graph.
func TestABlockDecidesItsValues(t *testing.T) {
	needLibrary(t)
	paths := map[string]int{headFile("matmulnbits"): 3, headFile("gemm"): 3, attentionFile("packed"): 3, attentionFile("positions"): 3}
	for _, name := range append(fixtures, "tiny-int8", "tiny-packed") {
		paths[fixture(name)] = 3
	}
	for _, name := range []string{"window", "columns", "quantized", "longrope", "longrope-explicit", "half", "padding"} {
		paths[batchwideFile(name)] = 3
	}
	paths[fixture("tiny-gqa")] = 100
	for path, subsets := range paths {
		graphs := []Graph{AutoGraph}
		if slices.Contains([]string{fixture("tiny-gqa"), fixture("tiny-explicit"), batchwideFile("quantized")}, path) {
			graphs = append(graphs, FullGraph)
		}
		for _, g := range graphs {
			t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path)+"/"+string(g), func(t *testing.T) {
				open := func(threads int) *LM {
					lm, err := Open(t.Context(), path, Options{Threads: threads, Graph: g, AllowLeak: true})
					require.NoError(t, err)
					t.Cleanup(func() { require.NoError(t, lm.Close()) })
					return lm
				}
				seqs := alikeAndAlone(open(1).Info().Vocab)
				if g == FullGraph { // which may give other bits behind a text
					for i := range seqs {
						for k, ask := range seqs[i].Asks {
							seqs[i].Asks[k].At = min(ask.At, len(seqs[i].Tokens)-1)
						}
					}
				}
				requireOwnValues(t, open, seqs, subsets)
			})
		}
	}
}
