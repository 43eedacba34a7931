package ort

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// fixtures are the tiny graphs that can score, one of each convention.
var fixtures = []string{"tiny-gqa", "tiny-explicit", "tiny-rawnames", "tiny-numlogits", "tiny-gqa-fp16", "tiny-bf16logits"}

// someSequences makes n sequences of random tokens and lengths, with answers.
func someSequences(n, vocab int) []model.Sequence {
	r := rand.New(rand.NewPCG(1, 2))
	seqs := make([]model.Sequence, n)
	for i := range seqs {
		tokens := make([]int32, 2+r.IntN(60))
		for t := range tokens {
			tokens[t] = r.Int32N(int32(vocab))
		}
		from := 1 + r.IntN(len(tokens)-1)
		seqs[i] = model.Answer(tokens, model.Span{From: from, To: len(tokens)})
	}
	return seqs
}

func score(t testing.TB, lm *LM, limits model.Limits, seqs []model.Sequence) []float32 {
	t.Helper()
	scores, err := modeltest.LogLikelihoods(context.Background(), &model.LM{Scorers: []model.Scorer{lm.Scorer()}, Limits: limits}, seqs)
	require.NoError(t, err)
	return scores
}

func maxDiff(t testing.TB, a, b []float32) float64 {
	t.Helper()
	require.Len(t, b, len(a))
	var d float64
	for i := range a {
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
	}
	return d
}

// Log-probabilities from within the graph are those of its full logits. Where these
// are rounded to 16 bits, they may be rounded the other way, or, on the CPU, not at
// all: there ONNX Runtime computes in fp32 and leaves out casts that lead back.
func TestScoringGraphAgreesWithFullLogits(t *testing.T) {
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			full, scoring := openFixture(t, name, Options{Graph: FullGraph}), openFixture(t, name, Options{})
			require.Equal(t, FullLogits, full.Info().Form)
			require.Equal(t, FullLogits, full.Info().Form)
			require.Contains(t, []string{LogProbs, LogProbsPast}, scoring.Info().Form)
			require.NotEqual(t, FullLogits, scoring.Info().Form)
			require.Empty(t, scoring.Info().Notes)
			limit := 1e-5
			switch name {
			case "tiny-gqa-fp16":
				limit = 2e-2
			case "tiny-bf16logits":
				limit = 1e-3
			}
			seqs := someSequences(60, full.Info().Vocab)
			limits := model.Limits{Tokens: 512}
			d := maxDiff(t, score(t, full, limits, seqs), score(t, scoring, limits, seqs))
			t.Logf("%s: largest difference %.2g", scoring.Info().Form, d)
			require.LessOrEqual(t, d, limit)
		})
	}
}

// The same for a real model, in the forms that the exporter gives it.
func TestScoringGraphOfARealModel(t *testing.T) {
	needLibrary(t)
	for _, form := range []string{"", "-explicit"} {
		path := filepath.Join("..", "build", "models", "smollm2-135m-instruct"+form, "model.onnx")
		if _, err := os.Stat(path); err != nil {
			t.Skip("needs make setup")
		}
		var scores [][]float32
		for _, g := range []Graph{FullGraph, AutoGraph} {
			lm, err := Open(context.Background(), path, Options{Graph: g})
			require.NoError(t, err)
			require.Equal(t, g == FullGraph, lm.Info().Form == FullLogits, form)
			scores = append(scores, score(t, lm, model.Limits{Tokens: 128}, someSequences(4, lm.Info().Vocab)))
			require.NoError(t, lm.Close())
		}
		d := maxDiff(t, scores[0], scores[1])
		t.Logf("%s: largest difference %.2g", path, d)
		require.LessOrEqual(t, d, 1e-5)
	}
}

// A score must not depend on the batch it was computed in.
func TestScoresDoNotDependOnTheBatch(t *testing.T) {
	for i := range 2 * len(fixtures) {
		name, g := fixtures[i/2], []Graph{AutoGraph, FullGraph}[i%2]
		t.Run(fmt.Sprintf("%s %s", name, g), func(t *testing.T) {
			limit := 1e-5
			if name == "tiny-gqa-fp16" {
				limit = 5e-3 // half precision rounds each layer's output
			}
			lm := openFixture(t, name, Options{Threads: 1, Graph: g})
			two := openFixture(t, name, Options{Threads: 2, Graph: g})
			seqs := someSequences(60, lm.Info().Vocab)
			alone := score(t, lm, model.Limits{Tokens: 1}, seqs)

			reversed := make([]model.Sequence, len(seqs))
			for i := range seqs {
				reversed[len(seqs)-1-i] = seqs[i]
			}
			back := score(t, lm, model.Limits{Tokens: 300}, reversed)
			for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
				back[i], back[j] = back[j], back[i]
			}
			for what, scores := range map[string][]float32{
				"batches of 300 tokens":  score(t, lm, model.Limits{Tokens: 300}, seqs),
				"batches of 3 rows":      score(t, lm, model.Limits{Tokens: 1 << 20, Rows: 3}, seqs),
				"one batch":              score(t, lm, model.Limits{Tokens: 1 << 20}, seqs),
				"the other way round":    back,
				"the same a second time": score(t, lm, model.Limits{Tokens: 1}, seqs),
				"two threads":            score(t, two, model.Limits{Tokens: 300}, seqs),
			} {
				d := maxDiff(t, alone, scores)
				t.Logf("%s against one by one: largest difference %.2g", what, d)
				require.LessOrEqual(t, d, limit, what)
			}
		})
	}
}

// All fixtures hold the same weights, so all conventions give the same scores.
func TestConventionsAgree(t *testing.T) {
	want := openFixture(t, fixtures[0], Options{})
	seqs := someSequences(40, want.Info().Vocab)
	reference := score(t, want, model.Limits{Tokens: 512}, seqs)
	for _, name := range fixtures[1:] {
		limit := 1e-5
		switch name {
		case "tiny-gqa-fp16":
			limit = 2e-2
		case "tiny-bf16logits": // 8 bits of a logit of 10 are 0.03
			limit = 4e-2
		}
		d := maxDiff(t, reference, score(t, openFixture(t, name, Options{}), model.Limits{Tokens: 512}, seqs))
		t.Logf("%s against %s: largest difference %.2g", name, fixtures[0], d)
		require.LessOrEqual(t, d, limit, name)
	}
}

// The tiny models must be worth testing with: a model whose scores are all
// alike would pass every comparison.
func TestFixturesTellSequencesApart(t *testing.T) {
	lm := openFixture(t, "tiny-gqa", Options{})
	scores := score(t, lm, model.Limits{Tokens: 512}, someSequences(40, lm.Info().Vocab))
	lowest, highest := scores[0], scores[0]
	for _, s := range scores {
		lowest, highest = min(lowest, s), max(highest, s)
	}
	require.Greater(t, highest-lowest, float32(0.5))
}

func TestOpenRefusesWhatCannotScore(t *testing.T) {
	needLibrary(t)
	_, err := Open(context.Background(), fixture("tiny-lastlogits"), Options{})
	require.ErrorContains(t, err, "full logits")
	_, err = Open(context.Background(), fixture("tiny-gqa"), Options{Provider: "tpu"})
	require.ErrorContains(t, err, `want provider cpu, cuda or auto, got "tpu"`)
	_, err = Open(context.Background(), fixture("no-such-model"), Options{})
	require.ErrorContains(t, err, "no such file")
}

func TestCUDAFailsWithTheReason(t *testing.T) {
	needLibrary(t)
	if CheckCUDA(0) == nil {
		t.Skip("CUDA works here")
	}
	_, err := Open(context.Background(), fixture("tiny-gqa"), Options{Provider: CUDA})
	require.Regexp(t, `the cuda provider does not start: \S.+`, err)

	lm := openFixture(t, "tiny-gqa", Options{Provider: Auto})
	require.Equal(t, CPU, lm.Info().Provider)
	require.Len(t, lm.Info().Notes, 1)
	require.Contains(t, lm.Info().Notes[0], "runs on the cpu: the cuda provider does not start: ")
	require.Equal(t, openFixture(t, "tiny-gqa", Options{}).Trees(), lm.Trees(), "the graph is the cpu's")
}

func TestLargestChange(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		long, short []float32
		want        float64
		err         string
	}{
		{[]float32{1, -2, -inf}, []float32{1, -2.5, -inf}, 0.5, ""},
		{[]float32{1, -inf}, []float32{1, 3}, math.Inf(1), ""},
		{[]float32{1, inf}, []float32{1, inf}, 0, "got +Inf and +Inf"},
		{[]float32{float32(math.NaN())}, []float32{0}, 0, "got NaN and 0"},
		{[]float32{0}, []float32{float32(math.NaN())}, 0, "got 0 and NaN"},
	} {
		got, err := largestChange(c.long, c.short)
		if c.err != "" {
			require.ErrorContains(t, err, c.err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
}

func TestCancelStopsTheModel(t *testing.T) {
	lm := openFixture(t, "tiny-gqa", Options{Graph: FullGraph})
	long := &model.Batch{Rows: 256, Width: 512, TokenIDs: make([]int64, 256*512)}
	for range long.Rows {
		long.Lens = append(long.Lens, long.Width)
	}
	start := time.Now()
	_, err := lm.Forward(context.Background(), long)
	require.NoError(t, err)
	whole := time.Since(start)

	// On a busy machine a try may be slow for other reasons: one in five must be quick.
	// The first forward may have been slow likewise, so that a whole one fits into a try.
	quickest, stopped := whole, 0
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), whole/10)
		start = time.Now()
		_, err = lm.Forward(ctx, long)
		took := time.Since(start)
		if err == nil {
			whole, quickest = min(whole, took), min(quickest, took)
			cancel()
			continue
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
		stopped++
		quickest = min(quickest, took)

		_, err = lm.Forward(ctx, long)
		require.ErrorIs(t, err, context.DeadlineExceeded, "a context that has ended runs nothing")
		cancel()
	}
	require.Positive(t, stopped)
	t.Logf("a forward of %s stopped after %s", whole, quickest)
	require.Less(t, quickest, whole*3/4)

	seqs := someSequences(5, lm.Info().Vocab)
	again := score(t, lm, model.Limits{Tokens: 100}, seqs)
	require.Equal(t, score(t, openFixture(t, "tiny-gqa", Options{Graph: FullGraph}), model.Limits{Tokens: 100}, seqs), again,
		"a stopped session is as good as a new one")
}

// Where the processor has no VNNI the weights are made unsigned: where it has, that
// changes no score, and everywhere the scores are near those of the fp32 model. With
// signed weights and without VNNI some are 0.9 off.
func TestExactIntegersChangeNoScore(t *testing.T) {
	seqs := someSequences(20, 512)
	limits := model.Limits{Tokens: 200}
	hasVNNI := addsPairsWhole
	defer func() { addsPairsWhole = hasVNNI }()
	addsPairsWhole = false
	exact := score(t, openFixture(t, "tiny-int8", Options{}), limits, seqs)
	require.Less(t, maxDiff(t, exact, score(t, openFixture(t, "tiny-gqa", Options{}), limits, seqs)), 0.1)
	if hasVNNI {
		addsPairsWhole = true
		require.Less(t, maxDiff(t, exact, score(t, openFixture(t, "tiny-int8", Options{}), limits, seqs)), 1e-5)
	}
}
