package rank

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/job"
)

func TestSummary(t *testing.T) {
	s := &Summary{}
	add := func(pos int, cut map[int]bool, order []int, rankings ...[2][]int) {
		ex := &Example{Pos: pos, prepared: &Prepared{same: slices.Sorted(slices.Values(order))}, cut: cut}
		ex.prepared.passages = make([]string, len(order))
		var done []*permutation
		for _, k := range rankings {
			sort := NewSort(k[1], 20, 10, 1)
			done = append(done, &permutation{shown: k[0], sort: sort})
		}
		s.add(ex, order, done)
	}
	type both = [2][]int // shown, ranked
	add(1, map[int]bool{2: true, 0: true}, []int{0, 1, 2}, both{{0, 1, 2}, {0, 1, 2}}, both{{2, 1, 0}, {0, 2, 1}})
	add(1, nil, []int{2, 0, 1}, both{{2, 0, 1}, {2, 0, 1}}, both{{2, 1, 0}, {2, 0, 1}}) // a negative first
	add(2, nil, []int{1, 0}, both{{0, 1}, {1, 0}})                                      // no neg
	add(0, nil, []int{0}, both{{0}, {0}}, both{{0}, {0}})                               // no pos, one passage
	add(1, nil, []int{0, 1})                                                            // without a ranking
	require.Equal(t, &Summary{Counts: job.Counts{Rows: 5, Passages: 11, CutPassages: 2, OneSided: 2, PosFirst: 1, Labelled: 2}, NoRanking: 1, EqualScores: 1, Disagreement: s.Disagreement, ShownFirst: 3, Shown: 5, Permuted: 2}, s)
	require.InDelta(t, 1./6, s.Disagreement, 1e-12, "the mean of a third and of none")
}

func TestSummaryReadings(t *testing.T) {
	s := &Summary{}
	s.addReadings([]Reading{
		{Mass: 0.5, Full: 10},
		{Mass: 0.49, Full: 3, Ranking: Ranking{Repairs: Repairs{Duplicate: 2}}},
	})
	s.addReadings(nil)
	s.addReadings([]Reading{{Mass: 1, Failure: "?"}, {Mass: 1, Full: 5, Truncated: true, Failure: "?"}, {Mass: 0.01, Full: 1, Ranking: Ranking{Repairs: Repairs{Missing: 3, Refusal: 1}}}})
	require.InDelta(t, 0.6, s.Mass, 1e-12)
	s.Mass = 0
	require.Equal(t, &Summary{Lists: 5, FullTokens: 19, Malformed: 2, Failed: 1, Truncated: 1, LowMass: 2, Repairs: Repairs{Missing: 3, Duplicate: 2, Refusal: 1}}, s)
}

// The summaries of a file's parts add up to the file's own.
func TestSummaryAdd(t *testing.T) {
	in := manyLines(7, 120, 12)
	run := func(in ...string) *Summary {
		// One permutation of some rows is refused, all of others, by their words.
		teacher := &rule{read: func(l List, _ int) Reading {
			p := strings.Count(shown(l.Text)[0], "1")
			if strings.HasPrefix(l.Text, "q4") {
				return Reading{Mass: 1, Truncated: true, Failure: "cut off"}
			}
			if p == 1 || strings.HasPrefix(l.Text, "q3") {
				return refused(l)
			}
			r := ranked(InputOrder.Order(lettered(l.N), 0, 0)) // disagrees with itself
			r.Mass, r.Full = 1/float64(l.N), l.N
			return r
		}}
		j := newJob(t, teacher)
		j.Permutations, j.EqualScores, j.PassageMaxLength = 3, true, 4
		j.rejects = true
		s, err := j.Run(t.Context(), reader(append(slices.Clone(in), `{"query": 1}`)...), &lines{})
		require.NoError(t, err)
		return s
	}
	want := run(in...)
	got := &Summary{}
	for _, part := range [][]string{in[:1], in[1:1], in[1:50], in[50:57], in[57:]} {
		got.Add(run(part...))
	}
	got.Add(&Summary{})
	require.InDelta(t, want.Mass, got.Mass, 1e-12)
	require.InDelta(t, want.Disagreement, got.Disagreement, 1e-12)
	require.NotZero(t, want.Disagreement)
	require.Less(t, want.Mass, 1.)
	want.Mass, want.Disagreement = got.Mass, got.Disagreement
	want.Rejected += 4 // every part has a bad row
	require.Equal(t, want, got)
	for name, n := range map[string]int{"EqualScores": want.EqualScores, "Malformed": want.Malformed, "LowMass": want.LowMass, "PosFirst": want.PosFirst,
		"ShownFirst": want.ShownFirst, "OneSided": want.OneSided, "CutPassages": want.CutPassages, "FullTokens": want.FullTokens, "Permuted": want.Permuted, "Refusal": want.Repairs.Refusal, "Truncated": want.Truncated} {
		require.NotZero(t, n, name)
	}
	require.NotEqual(t, want.Labelled, want.PosFirst)
}

// A mean of nothing is 0 and not NaN, which JSON does not have.
func TestSummaryOfNothing(t *testing.T) {
	s := &Summary{}
	s.Add(&Summary{})
	require.Equal(t, &Summary{}, s)
	require.False(t, math.IsNaN(job.MergeMeans(0, 0, 0, 0)))
	text, err := json.Marshal(s)
	require.NoError(t, err)
	require.NotContains(t, string(text), `"Missing"`)
	require.Equal(t, 30, strings.Count(string(text), ":"), "%s", text)
}
