package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
	"github.com/ortscore/ortscore/ort"
)

// alone is a Scorer that takes one sequence a row.
type alone struct{ model.Scorer }

func (alone) Trees() model.Trees { return model.Trees{} }

// BenchmarkSharedBeginnings scores a page of families, whose sequences begin alike,
// each sequence by itself and the beginnings once, in turn. It reports the median of
// the ratios, the tokens alone against those that run, and the largest difference of
// a score.
func BenchmarkSharedBeginnings(b *testing.B) {
	needNative(b)
	onnx := filepath.Join(buildDir, "models", teachers[0])
	needFile(b, onnx)
	t := openTeacher(b, onnx, ort.AutoGraph)
	defer t.close()
	for _, f := range []struct{ families, common, own, each int }{
		{16, 75, 35, 2}, {8, 75, 35, 4}, {2, 75, 35, 24}, {8, 40, 70, 4}, {10, 120, 10, 3}, {4, 300, 30, 4}, {8, 10, 130, 4},
	} {
		b.Run(fmt.Sprintf("common=%d/own=%d/sequences=%d", f.common, f.own, f.each), func(b *testing.B) {
			seqs := inFamilies(t.info.Vocab, f.families, f.common, f.own, f.each)
			score := func(s model.Scorer) (scores []float32, tokens, seconds float64) {
				lm := &model.LM{Scorers: []model.Scorer{s}, Limits: model.Limits{Tokens: 1024},
					OnBatch: func(s model.BatchStats) { tokens += float64(s.Tokens) }}
				start := time.Now()
				scores, err := modeltest.LogLikelihoods(context.Background(), lm, seqs)
				require.NoError(b, err)
				return scores, tokens, time.Since(start).Seconds()
			}
			var ratio []float64
			var tokens, largest float64
			for b.Loop() {
				want, n0, s0 := score(alone{t.lms[0]})
				got, n1, s1 := score(t.lms[0])
				ratio, tokens = append(ratio, s0/s1), n0/n1
				for i := range want {
					largest = max(largest, math.Abs(float64(want[i])-float64(got[i])))
				}
			}
			b.ReportMetric(median(ratio), "ratio")
			b.ReportMetric(tokens, "tokens-ratio")
			b.ReportMetric(largest, "difference")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// inFamilies makes sequences of random tokens, of which each family begins alike.
func inFamilies(vocab, n, common, own, each int) (seqs []model.Sequence) {
	rng := rand.New(rand.NewPCG(71, 72))
	words := func(n int) (tokens []int32) {
		for range n {
			tokens = append(tokens, rng.Int32N(int32(vocab)))
		}
		return tokens
	}
	for range n {
		root := words(common)
		for range each {
			tokens := slices.Concat(root, words(own))
			seqs = append(seqs, model.Answer(tokens, model.Span{From: len(tokens) - min(own, 10), To: len(tokens)}))
		}
	}
	return seqs
}
