package modeltest

import (
	"context"

	"github.com/ortscore/ortscore/model"
)

// LogProbs is what an LM gives for sequences of one block, in their order.
func LogProbs(ctx context.Context, lm *model.LM, seqs []model.Sequence) ([][]float32, error) {
	out := make([][]float32, len(seqs))
	err := lm.LogProbs(ctx, []model.Block{{Sequences: seqs}}, func(_, i int, logProbs []float32) { out[i] = logProbs })
	return out, err
}

// LogLikelihoods are the means of the values that LogProbs gives.
func LogLikelihoods(ctx context.Context, lm *model.LM, seqs []model.Sequence) ([]float32, error) {
	all, err := LogProbs(ctx, lm, seqs)
	if err != nil {
		return nil, err
	}
	means := make([]float32, len(seqs))
	for i, values := range all {
		sum := 0.0
		for _, v := range values {
			sum += float64(v)
		}
		means[i] = float32(sum / float64(len(values)))
	}
	return means, nil
}
