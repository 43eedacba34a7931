package ort

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// tiny-packed is tiny-gqa with query, key and value in one multiply, and gate and up
// in another (scripts/export_onnx.py --pack all).
func TestPackedScoresAndTextsAreTheSame(t *testing.T) {
	plain, packed := openFixture(t, "tiny-gqa", Options{}), openFixture(t, "tiny-packed", Options{})
	require.Equal(t, plain.Info().Form, packed.Info().Form)
	require.Equal(t, plain.Trees(), packed.Trees())
	require.Empty(t, packed.Info().Notes)
	seqs := append(someSequences(30, plain.Info().Vocab), beginAlike(plain.Info().Vocab)...)
	for _, limits := range []model.Limits{{Tokens: 1}, {Tokens: 500}} {
		require.Less(t, maxDiff(t, score(t, plain, limits, seqs), score(t, packed, limits, seqs)), 1e-5)
	}
	present, err := openLM(t.Context(), fixture("tiny-packed"), Options{}, scoringPresent)
	require.NoError(t, err)
	defer present.Close()
	require.Less(t, maxDiff(t, score(t, plain, model.Limits{Tokens: 500}, seqs), score(t, present, model.Limits{Tokens: 500}, seqs)), 1e-5)

	in := prompts(9)
	want := written(t, openDecoder(t, "tiny-gqa"), model.Limits{Rows: 4, Tokens: 64}, model.Sampling{}, in)
	require.Equal(t, want, written(t, openDecoder(t, "tiny-packed"), model.Limits{Rows: 4, Tokens: 64}, model.Sampling{}, in))
}
