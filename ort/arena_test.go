package ort

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// The arena holds the weights, and grows for a batch that is larger than those
// before it.
func TestArena(t *testing.T) {
	lm := openFixture(t, "tiny-gqa", Options{Threads: 1})
	run := func(rows, width int) Arena {
		b := &model.Batch{Rows: rows, Width: width, TokenIDs: make([]int64, rows*width)}
		for range rows {
			b.Lens = append(b.Lens, width)
		}
		require.NoError(t, lm.LogProbs(context.Background(), b, []model.Position{{Target: 1}}, make([]float32, 1)))
		a, err := lm.Arena()
		require.NoError(t, err)
		return a
	}
	small := run(1, 20)
	require.Positive(t, small.Grown)
	require.Positive(t, small.inUse)
	require.LessOrEqual(t, small.inUse, small.Peak)
	require.LessOrEqual(t, small.Peak, small.Held)
	require.Equal(t, small, run(1, 20), "what was taken once is there")
	large := run(8, 250)
	require.Greater(t, large.Peak, small.Peak)
	require.Greater(t, large.Held, small.Held)
	require.NoError(t, lm.Close())
	_, err := lm.Arena()
	require.ErrorIs(t, err, errClosed)
}
