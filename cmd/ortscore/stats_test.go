package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/progress"
	"github.com/ortscore/ortscore/model"
)

// A shape is rows and columns: as many tokens in another number of rows are another.
func TestShapesOfBatches(t *testing.T) {
	s := runStats{bar: progress.New(progress.Options{})}
	for _, b := range []model.BatchStats{
		{Rows: 4, Tokens: 90, Padding: 10},
		{Rows: 4, Tokens: 99, Padding: 1},
		{Rows: 2, Tokens: 100},
		{Rows: 4, Tokens: 100, Padding: 4},
	} {
		s.add(b)
	}
	require.Equal(t, 4, s.Batches)
	require.Equal(t, 3, s.Shapes)
}
