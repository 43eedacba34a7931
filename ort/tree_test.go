package ort

import (
	"context"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// beginAlike makes sequences of some families, each with its own beginning, some of
// which begin as a longer part of another.
func beginAlike(vocab int) (seqs []model.Sequence) {
	rng := rand.New(rand.NewPCG(61, 62))
	for range 6 {
		root := make([]int32, 20+rng.IntN(40))
		for i := range root {
			root[i] = rng.Int32N(int32(vocab))
		}
		for range 7 {
			tokens := slices.Clone(root[:len(root)-rng.IntN(15)])
			from := len(tokens)
			for range 1 + rng.IntN(20) {
				tokens = append(tokens, rng.Int32N(int32(vocab)))
			}
			seqs = append(seqs, model.Answer(tokens, model.Span{From: from - rng.IntN(5), To: len(tokens)}))
		}
	}
	return seqs
}

// scoreShared scores the sequences, and counts the tokens that did not run.
func scoreShared(t *testing.T, lm *LM, limits model.Limits, seqs []model.Sequence) (scores []float32, shared int) {
	t.Helper()
	scores, err := modeltest.LogLikelihoods(context.Background(), &model.LM{Scorers: []model.Scorer{lm.Scorer()}, Limits: limits,
		OnBatch: func(b model.BatchStats) { shared += b.Shared }}, seqs)
	require.NoError(t, err)
	return scores, shared
}

// One row of several sequences gives each the score that full logits give it alone:
// with rotation in the attention and outside, of halves and of neighbours, of one
// tensor and of three, in 32 and 16 bits.
func TestTreesAgreeWithFullLogits(t *testing.T) {
	for path, limit := range map[string]float64{
		fixture("tiny-gqa"):          1e-5,
		fixture("tiny-gqa-fp16"):     2e-2,
		fixture("tiny-packed"):       1e-5,
		attentionFile("packed"):      1e-5,
		attentionFile("interleaved"): 1e-5,
		attentionFile("positions"):   1e-5,
	} {
		t.Run(path, func(t *testing.T) {
			needLibrary(t)
			full, err := Open(t.Context(), path, Options{Graph: FullGraph})
			require.NoError(t, err)
			defer full.Close()
			lm, err := Open(t.Context(), path, Options{})
			require.NoError(t, err)
			defer lm.Close()
			require.Equal(t, model.Trees{Tokens: lm.Trees().Tokens, Pairs: 2 * 4 * 16}, lm.Trees())
			seqs := beginAlike(lm.Info().Vocab)
			want := score(t, full, model.Limits{Tokens: 1}, seqs)
			for _, limits := range []model.Limits{{Tokens: 1}, {Tokens: 200}, {Tokens: 4000}} {
				got, shared := scoreShared(t, lm, limits, seqs)
				require.Greater(t, shared, 100)
				d := maxDiff(t, want, got)
				t.Logf("%d tokens a batch: %d shared, largest difference %.2g", limits.Tokens, shared, d)
				require.LessOrEqual(t, d, limit)
			}
		})
	}
}

// A row that holds several sequences is no longer than the tables of angles, though
// no token of it stands as deep as that.
func TestTreesWithinTheAngles(t *testing.T) {
	needLibrary(t)
	for _, path := range []string{fixture("tiny-gqa"), attentionFile("positions")} {
		lm, err := Open(t.Context(), path, Options{})
		require.NoError(t, err)
		defer lm.Close()
		require.Equal(t, 512, lm.Trees().Tokens)
		var seqs []model.Sequence
		for i := range int32(40) {
			tokens := slices.Repeat([]int32{5, 6, 7}, 100)
			for k := range tokens[280:] {
				tokens[280+k] = i
			}
			seqs = append(seqs, model.Answer(tokens, model.Span{From: 290, To: 300}))
		}
		_, shared := scoreShared(t, lm, model.Limits{Tokens: 4000}, seqs)
		require.Greater(t, shared, 280*30)
	}
}

func attentionFile(name string) string {
	return filepath.Join("..", "testdata", "attentions", name+".onnx")
}

// Other graphs take sequences alone.
func TestNoTrees(t *testing.T) {
	for _, name := range []string{"tiny-explicit", "tiny-rawnames", "tiny-int8"} {
		lm := openFixture(t, name, Options{})
		require.Equal(t, LogProbs == lm.Info().Form, name != "tiny-explicit")
		require.Zero(t, lm.Trees(), name)
		_, shared := scoreShared(t, lm, model.Limits{Tokens: 4000}, beginAlike(lm.Info().Vocab))
		require.Zero(t, shared)
	}
	needLibrary(t)
	cuda, err := openLM(t.Context(), fixture("tiny-gqa"), Options{}, scoringPresent)
	require.NoError(t, err)
	defer cuda.Close()
	require.Zero(t, cuda.Trees())
}

// A graph to which depths mean nothing is found out at the start, and gives scores
// sequence by sequence.
func TestTreesThatDoNotAgree(t *testing.T) {
	lm := openFixture(t, "tiny-gqa", Options{})
	lm.trees, lm.info.Notes = model.Trees{}, nil
	for i, name := range lm.in {
		if name == lm.rewritten.Trees.Bias { // every token looks at all before it
			lm.inputs[i] = func(f *forward) (onnx.Value, error) { return bias()(&forward{width: f.width}) }
		}
	}
	require.NoError(t, lm.tryTrees(t.Context()))
	require.Zero(t, lm.Trees())
	require.Len(t, lm.Info().Notes, 1)
	require.Regexp(t, `^what sequences begin with in common is computed for each: once for all of them changes the logits by \d`, lm.Info().Notes[0])
}

func TestBias(t *testing.T) {
	needLibrary(t)
	mk := bias()
	values := func(f *forward) []float32 {
		v, err := mk(f)
		require.NoError(t, err)
		defer v.Destroy()
		return slices.Clone(v.(interface{ GetData() []float32 }).GetData())
	}
	no := float32(math.Inf(-1))
	require.Equal(t, []float32{
		0, no, no, no,
		0, 0, no, no,
		0, no, 0, no,
		0, no, 0, 0,

		0, no, no, no,
		0, 0, no, no,
		0, 0, 0, no,
		0, 0, 0, 0,
	}, values(&forward{rows: 2, width: 4, parents: []int{-1, 0, 0, 2, -1, 0, 1, 2}}))
	require.Equal(t, make([]float32, 9), values(&forward{rows: 2, width: 3}), "in the memory of the one before")
}
