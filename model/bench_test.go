package model

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkLogProb is the log-softmax of one answer token over a vocabulary of
// 49,152 words.
func BenchmarkLogProb(b *testing.B) {
	logits := make([]float32, 49152)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range logits {
		logits[i] = float32(r.NormFloat64() * 3)
	}
	for b.Loop() {
		logProb(logits, 7)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(logits)), "ns/word")
}
