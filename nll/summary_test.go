package nll

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ortscore/ortscore/io/job"
	"github.com/stretchr/testify/require"
)

func TestSummary(t *testing.T) {
	s := &Summary{}
	s.add(&Example{Pos: 1, Cuts: 2, SpanDiffers: true}, []float32{-1, -3}, false)
	s.add(&Example{Pos: 1}, []float32{-5, -4, -4.5}, false)
	s.add(&Example{Pos: 2}, []float32{-2, -2}, false) // no neg
	s.add(&Example{}, []float32{-8}, false)           // no pos, one passage
	require.Equal(t, 4, s.Rows)
	require.Equal(t, 8, s.Passages)
	require.Equal(t, 2, s.CutPassages)
	require.Equal(t, 1, s.SpanDiffers)
	require.Equal(t, -8.0, s.Min)
	require.Equal(t, -1.0, s.Max)
	require.InDelta(t, -29.5/8, s.Mean, 1e-12)
	// Deviations 1, sqrt(1/6) and 0, of the three rows with more than a passage.
	require.InDelta(t, (1+0.408248290463863)/3, s.Spread, 1e-12)
	require.Equal(t, 2, s.Labelled)
	require.Equal(t, 1, s.PosFirst)
}

// A teacher that gives every passage the same score finds no positive.
func TestSummaryTies(t *testing.T) {
	s := &Summary{}
	s.add(&Example{Pos: 1}, []float32{-2, -2, -2}, false)
	s.add(&Example{Pos: 1}, []float32{-2, -3, -2}, false)
	s.add(&Example{Pos: 2}, []float32{-3, -2, -2.5}, false)
	require.Equal(t, 3, s.Labelled)
	require.Equal(t, 1, s.PosFirst)
}

// The summaries of a file's parts add up to the file's own.
func TestSummaryAdd(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	var in []string
	for i := range 300 {
		in = append(in, randomLine(rng, i))
	}
	run := func(in ...string) *Summary {
		s, err := newJob(toy()).Run(t.Context(), reader(in...), &lines{})
		require.NoError(t, err)
		return s
	}
	want := run(in...)
	got := &Summary{}
	got.Add(&Summary{Counts: job.Counts{Rejected: 3}})
	for _, part := range [][]string{in[:1], in[1:1], in[1:100], in[100:107], in[107:]} {
		got.Add(run(part...))
	}
	got.Add(&Summary{})
	require.InDelta(t, want.Mean, got.Mean, 1e-12)
	require.InDelta(t, want.Spread, got.Spread, 1e-12)
	want.Mean, want.Spread, want.Rejected = got.Mean, got.Spread, 3
	require.Equal(t, want, got)
	require.NotZero(t, want.Spread)
	require.NotZero(t, want.PosFirst)
}

func TestSummaryJSON(t *testing.T) {
	text, err := json.Marshal(&Summary{})
	require.NoError(t, err)
	require.Equal(t, 16, strings.Count(string(text), ":"), "%s", text)
}
