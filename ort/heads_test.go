package ort

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
	"github.com/ortscore/ortscore/model/modeltest"
)

// The graphs of testdata/heads (scripts/heads.py) are an embedding and a head.

func openHead(t *testing.T, name string, g Graph) *LM {
	t.Helper()
	needLibrary(t)
	lm, err := Open(context.Background(), headFile(name), Options{Graph: g, Threads: 1, AllowLeak: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lm.Close()) })
	return lm
}

func headFile(name string) string { return filepath.Join("..", "testdata", "heads", name+".onnx") }

const headVocab = 24

// everyWord asks for every word at every position of two rows.
func everyWord() (*model.Batch, []model.Position) {
	b := &model.Batch{Rows: 2, Width: 7, Lens: []int{7, 7}}
	rng := rand.New(rand.NewPCG(5, 6))
	var at []model.Position
	for r := range b.Rows {
		for c := range b.Width {
			b.TokenIDs = append(b.TokenIDs, rng.Int64N(headVocab))
			for w := range int32(headVocab) {
				at = append(at, model.Position{Row: r, At: c, Target: w})
			}
		}
	}
	rng.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
	return b, at
}

// fromLogits is what LogProbs should give, from full logits, in float64.
func fromLogits(t *testing.T, lm *LM, b *model.Batch, at []model.Position) []float64 {
	t.Helper()
	logits, err := lm.Forward(context.Background(), b)
	require.NoError(t, err)
	var out []float64
	for _, p := range at {
		var sum float64
		row := logits.At(p.Row, p.At, nil)
		for _, x := range row {
			sum += math.Exp(float64(x - row[p.Target]))
		}
		out = append(out, -math.Log(sum))
	}
	return out
}

func TestHeadsThatAreRecognised(t *testing.T) {
	for _, name := range []string{"matmul", "tied", "bias", "gemm", "matmulnbits", "dequantized", "scaled", "softcapped", "cast"} {
		t.Run(name, func(t *testing.T) {
			limit := 1e-5
			if name == "cast" { // its logits are fp16: 4 bits behind the point at 64
				limit = 5e-3
			}
			full, scoring := openHead(t, name, FullGraph), openHead(t, name, AutoGraph)
			require.Empty(t, scoring.Info().Notes)
			require.Equal(t, LogProbs, scoring.Info().Form)
			b, at := everyWord()
			got := make([]float32, len(at))
			require.NoError(t, scoring.LogProbs(context.Background(), b, at, got))
			want := fromLogits(t, full, b, at)
			for i := range at {
				require.InDelta(t, want[i], float64(got[i]), limit, "%+v", at[i])
			}
			requireLastLogits(t, name, full, b, limit)
		})
	}
}

// A large vocabulary of words that are nearly alike is many small terms beside a
// large sum. In fp32, one after the other, 1e-5 and more of it would be lost.
func TestLogSoftmaxLosesNothing(t *testing.T) {
	full, scoring := openHead(t, "wide", FullGraph), openHead(t, "wide", AutoGraph)
	require.Equal(t, LogProbs, scoring.Info().Form)
	b := &model.Batch{Rows: 1, Width: 24, Lens: []int{24}}
	var at []model.Position
	for c := range b.Width {
		b.TokenIDs = append(b.TokenIDs, int64(c))
		at = append(at, model.Position{At: c, Target: int32(997 * c)})
	}
	got := make([]float32, len(at))
	require.NoError(t, scoring.LogProbs(context.Background(), b, at, got))
	for i, want := range fromLogits(t, full, b, at) {
		require.InDelta(t, want, float64(got[i]), 4e-6)
	}
}

// Several tokens at a place are scored at once, each as it is by itself.
func TestScoringSeveralTokens(t *testing.T) {
	for _, name := range []string{"matmul", "gemm", "matmulnbits", "softcapped"} {
		lm := openHead(t, name, AutoGraph)
		require.Equal(t, LogProbs, lm.Info().Form)
		b, at := everyWord()
		one := make([]float32, len(at))
		require.NoError(t, lm.LogProbs(t.Context(), b, at, one))
		const words = 4
		var targets []int64
		var where []model.Position
		for i, p := range at[:40*words] {
			if i%words == 0 {
				where = append(where, p)
			}
			targets = append(targets, int64(p.Target))
		}
		got := make([]float32, len(targets))
		require.NoError(t, lm.logProbs(t.Context(), b, where, targets, got))
		for i, x := range got {
			p := where[i/words]
			p.Target = int32(targets[i])
			require.InDelta(t, one[slices.Index(at, p)], x, 1e-6, "%s, %+v", name, p)
		}
	}
}

// requireLastLogits runs the decoding form, and wants the full logits at its
// places.
func requireLastLogits(t *testing.T, name string, full *LM, b *model.Batch, limit float64) {
	t.Helper()
	var s session
	require.NoError(t, s.read(headFile(name), Options{Threads: 1}))
	require.NoError(t, s.rewrite(graph.Decoding))
	require.NoError(t, s.start(false))
	defer s.Close()
	f := whole(b)
	f.at = placesOf(1, 2, 0, 6, 0, 0)
	got, err := s.answer(context.Background(), f, askAll(len(f.at)), nil, nil)
	require.NoError(t, err)
	want, err := full.Forward(context.Background(), b)
	require.NoError(t, err)
	for i, p := range f.at {
		for w, x := range want.At(p.Row, p.At, nil) {
			require.InDelta(t, x, got[i].Logits[w], limit)
		}
	}
}

// What is not recognised, or turns out to be another graph than it looks, runs as
// it is, and is as good.
func TestHeadsThatAreNot(t *testing.T) {
	for name, want := range map[string]string{
		"softmax":        "want MatMul, Gemm or MatMulNBits, a bias, a scale, a soft cap or a cast before the logits, got LogSoftmax",
		"dynamic":        "DynamicQuantizeLinear takes its scale over every position that it is given",
		"shared":         `want the logits for the output alone, got "MatMul_1", which 2 read`,
		"opset10":        "want opset 11 or later, got 10",
		"fourdimensions": "a first forward failed: ",
	} {
		lm := openHead(t, name, AutoGraph)
		require.Equal(t, FullLogits, lm.Info().Form, name)
		require.Equal(t, FullLogits, lm.Info().Form, name)
		require.NotEmpty(t, lm.Info().Notes, name)
		note := lm.Info().Notes[len(lm.Info().Notes)-1]
		require.Contains(t, note, "the graph gives the logits of every position, which is slower: ", name)
		require.Contains(t, note, want, name)
		require.NotContains(t, openHead(t, name, FullGraph).Info().Notes, note, "not where it is what was asked")

		scores, err := modeltest.LogLikelihoods(context.Background(),
			&model.LM{Scorers: []model.Scorer{lm.Scorer()}, Limits: model.Limits{Tokens: 64}}, someSequences(5, headVocab))
		require.NoError(t, err, name)
		require.Len(t, scores, 5)
	}
}

// A single logit that is not finite spoils its position, and no other; a word that
// the model rules out spoils nothing but itself.
func TestScoringGraphShowsWhatIsNotFinite(t *testing.T) {
	lm := openHead(t, "nonfinite", AutoGraph)
	require.Equal(t, LogProbs, lm.Info().Form)
	b := &model.Batch{Rows: 1, Width: 4, Lens: []int{4}, TokenIDs: []int64{9, 10, 11, 12}}
	var at []model.Position
	for c := range b.Width {
		for w := range int32(headVocab) {
			at = append(at, model.Position{At: c, Target: w})
		}
	}
	out := make([]float32, len(at))
	require.NoError(t, lm.LogProbs(context.Background(), b, at, out))
	for i, p := range at {
		v := float64(out[i])
		finite := !math.IsNaN(v) && !math.IsInf(v, 0)
		switch {
		case p.At < 2:
			require.False(t, finite, "%+v: got %v", p, v)
		case p.At == 2 && p.Target == 5:
			require.True(t, math.IsInf(v, -1), "%+v: got %v", p, v)
		default:
			require.True(t, finite, "%+v: got %v", p, v)
		}
	}
}
