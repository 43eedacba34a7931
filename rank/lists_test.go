package rank

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/job"
)

// numbered is a row with a passage for each number, all neg.
func numbered(numbers ...int) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = fmt.Sprintf(`"p %d"`, n)
	}
	return `{"query": "q", "neg": [` + strings.Join(texts, ", ") + `]}`
}

// rising are the numbers 1..n: where the best passage is the last.
func rising(n int) (out []int) {
	for i := range n {
		out = append(out, i+1)
	}
	return out
}

// relabelledNumbers are the numbers of a relabelled line's passages, by rank.
func relabelledNumbers(t *testing.T, line string) (out []int) {
	t.Helper()
	for _, text := range parseLine(t, line).passages() {
		out = append(out, worth(text))
	}
	return out
}

// requireLists wants as many prompts as Check has counted.
func requireLists(t *testing.T, want int, j *testJob, sum *Summary, in ...string) {
	t.Helper()
	count, err := j.count(t.Context(), reader(in...))
	require.NoError(t, err)
	require.Equal(t, want, count.Units)
	require.Equal(t, want, sum.Lists)
	require.Len(t, j.Teacher.(*rule).lists, want)
}

// From the very back, and from wherever a shuffle shows them, the ten best of 45
// reach the front in one pass, in order.
func TestWindowsBringTheBestToTheFront(t *testing.T) {
	in := numbered(rising(45)...)
	for _, order := range []OrderChoice{InputOrder, ShuffledOrder} {
		teacher := sorter()
		j := newJob(t, teacher)
		j.Order, j.Relabel = order, true
		got, sum := runJob(t, j, in)
		requireLists(t, 4, j, sum, in)
		for _, l := range teacher.lists {
			require.Equal(t, 20, l.N)
			require.Len(t, shown(l.Text), 20)
		}
		numbers := relabelledNumbers(t, got[0])
		require.Equal(t, []int{45, 44, 43, 42, 41, 40, 39, 38, 37, 36}, numbers[:10])
		require.ElementsMatch(t, rising(45), numbers)
		require.Equal(t, 1., parseLine(t, got[0]).PosScores[0])
	}

	teacher := sorter()
	j := newJob(t, teacher)
	j.Order = InputOrder
	_, _ = runJob(t, j, in)
	require.Equal(t, "p 26", shown(teacher.lists[0].Text)[0], "the last twenty come first")
	require.Equal(t, "p 45", shown(teacher.lists[1].Text)[10], "the best of them are in the next window")
	require.Equal(t, "p 1", shown(teacher.lists[3].Text)[0])
}

// Passes sort further; each shows what the last has left.
func TestPasses(t *testing.T) {
	in := numbered(rising(12)...)
	run := func(passes int) []int {
		j := newJob(t, sorter())
		j.Order, j.Relabel, j.Window, j.Step, j.Passes = InputOrder, true, 4, 2, passes
		got, sum := runJob(t, j, in)
		requireLists(t, 5*passes, j, sum, in)
		return relabelledNumbers(t, got[0])
	}
	want := slices.Clone(rising(12))
	slices.Reverse(want)
	require.Equal(t, want, run(6))
	require.Equal(t, want[:2], run(1)[:2])
	require.NotEqual(t, want, run(1))
	require.Equal(t, want[:4], run(2)[:4])
}

// A passage without another to be held against needs no teacher.
func TestListsOfOneNeedNoTeacher(t *testing.T) {
	teacher := &rule{read: func(l List, _ int) Reading { return refused(l) }}
	for kind, want := range map[Kind]float64{Reciprocal: 1, Linear: 1, DCG: 1, Confidence: 0, Reference: 1} {
		j := newJob(t, teacher)
		j.Kind, j.Permutations, j.Passes = kind, 3, 2
		got, sum := runJob(t, j, numbered(7), `{"query": "q", "pos": ["p"]}`)
		requireLists(t, 0, j, sum, numbered(7), `{"query": "q", "pos": ["p"]}`)
		require.Equal(t, []float64{want}, parseLine(t, got[0]).NegScores, "%s", kind)
		require.Equal(t, []float64{want}, parseLine(t, got[1]).PosScores, "%s", kind)
		require.Zero(t, sum.Shown)
	}
}

// Many rows of many lengths: what Check counts is what the teacher is shown.
func TestListsAreCounted(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	var in []string
	want := 0
	for n := 1; n < 40; n++ {
		in = append(in, line(rng, n, n))
		if n > 1 {
			want += 3 * 2 * len(windows(n, 7, 3))
		}
	}
	j := newJob(t, sorter())
	j.Permutations, j.Passes, j.Window, j.Step = 3, 2, 7, 3
	got, sum := runJob(t, j, in...)
	requireLists(t, want, j, sum, in...)
	for i, line := range got {
		require.Equal(t, 1., slices.Max(parseLine(t, line).scores()))
		require.Len(t, parseLine(t, line).scores(), i+1)
	}
}

// Each permutation shows the passages in an order of its own; a teacher that
// knows the truth never disagrees with itself.
func TestPermutationsOfTheTruth(t *testing.T) {
	const k = 5
	in := numbered(rising(9)...)
	for _, order := range []OrderChoice{InputOrder, ShuffledOrder} {
		teacher := sorter()
		j := newJob(t, teacher)
		j.Order, j.Permutations, j.Relabel = order, k, true
		got, sum := runJob(t, j, in)
		requireLists(t, k, j, sum, in)
		prompts := map[string]bool{}
		for _, l := range teacher.lists {
			prompts[l.Text] = true
		}
		require.Len(t, prompts, k, "all different")
		require.Equal(t, order == InputOrder, shown(teacher.lists[0].Text)[0] == "p 1", "the first alone can be the row's own")
		require.Equal(t, 1, teacher.ranks, "and all are asked at once")
		require.Zero(t, sum.Disagreement)
		require.Equal(t, []int{9, 8, 7, 6, 5, 4, 3, 2, 1}, relabelledNumbers(t, got[0]))
	}
}

// votes is a teacher that ranks the passages 0, 1, ... by a list of orders, one
// for each call; refusals where that is nil.
func votes(orders ...[]int) *rule {
	return &rule{read: func(l List, call int) Reading {
		if orders[call] == nil {
			return refused(l)
		}
		var order []int
		for _, passage := range orders[call] {
			order = append(order, slices.Index(shown(l.Text), fmt.Sprintf("p %d", passage)))
		}
		return ranked(order)
	}}
}

// Passage 0 wins every vote against another, passage 1 has the better mean rank.
func TestPermutationsAreAggregated(t *testing.T) {
	orders := [][]int{{0, 1, 2, 3}, {1, 2, 3, 0}, {0, 1, 2, 3}, {0, 1, 2, 3}, {1, 2, 3, 0}}
	for method, want := range map[Method][]int{Borda: {1, 0, 2, 3}, Kemeny: {0, 1, 2, 3}} {
		j := newJob(t, votes(orders...))
		j.Permutations, j.Aggregate, j.Relabel = 5, method, true
		got, sum := runJob(t, j, numbered(0, 1, 2, 3))
		require.Equal(t, want, relabelledNumbers(t, got[0]), "%s", method)
		require.InDelta(t, Disagreement(orders), sum.Disagreement, 1e-12)
		require.NotZero(t, sum.Disagreement)
	}
}

// Where two rankings are opposites, neither the row's own order nor its labels
// settle it, but the first shuffle.
func TestPermutationsTies(t *testing.T) {
	firsts := map[int]int{}
	for seed := range uint64(40) {
		j := newJob(t, votes([]int{0, 1}, []int{1, 0}))
		j.Permutations, j.Relabel, j.Seed = 2, true, seed
		got, _ := runJob(t, j, numbered(0, 1))
		first := relabelledNumbers(t, got[0])[0]
		require.Equal(t, fmt.Sprintf("p %d", first), shown(j.Teacher.(*rule).lists[0].Text)[0])
		firsts[first]++
	}
	require.Len(t, firsts, 2)
}

// The mean of two rankings' logarithms of probabilities: 3/4 and 1/4, and the
// other way round with 9/10 and 1/10.
func TestPermutationsConfidence(t *testing.T) {
	teacher := votes([]int{0, 1}, []int{1, 0}, []int{1, 0})
	read, p := teacher.read, []float64{3. / 4, 9. / 10, 9. / 10}
	teacher.read = func(l List, call int) Reading {
		r := read(l, call)
		r.Confidence = []float64{p[call], 1}
		return r
	}
	j := newJob(t, teacher)
	j.Permutations, j.Kind = 3, Confidence
	got, _ := runJob(t, j, numbered(0, 1))
	zero, one := (math.Log(3./4)+2*math.Log(1./10))/3, (math.Log(1./4)+2*math.Log(9./10))/3
	all := math.Log(math.Exp(zero) + math.Exp(one))
	require.InDeltaSlice(t, []float64{zero - all, one - all}, parseLine(t, got[0]).NegScores, 1e-6)
}

// A permutation without a ranking has no vote; the others are as good as ever.
func TestPermutationsRefused(t *testing.T) {
	orders := [][]int{{2, 1, 0}, {2, 0, 1}, {2, 0, 1}}
	run := func(orders ...[]int) (string, *Summary) {
		j := newJob(t, votes(orders...))
		j.Permutations = len(orders)
		got, sum := runJob(t, j, numbered(0, 1, 2))
		return got[0], sum
	}
	want, _ := run(orders...)
	got, sum := run(orders[0], orders[1], orders[2], nil)
	require.Equal(t, want, got)
	require.Equal(t, &Summary{Counts: job.Counts{Rows: 1, Passages: 3, OneSided: 1}, Lists: 4, Malformed: 1, Repairs: Repairs{Missing: 3, Refusal: 1}, Mass: 1, Disagreement: sum.Disagreement, Shown: 3, ShownFirst: sum.ShownFirst, FullTokens: 3, Permuted: 1}, sum)
	require.InDelta(t, Disagreement(orders), sum.Disagreement, 1e-12, "of those that are there")

	got, _ = run(nil, []int{2, 0, 1}, nil)
	want, _ = run([]int{2, 0, 1})
	require.Equal(t, want, got)
}

// A window without a ranking spoils its own ranking, of which no more windows
// are asked.
func TestWindowsRefused(t *testing.T) {
	in := numbered(rising(45)...)
	teacher := sorter()
	read := teacher.read
	teacher.read = func(l List, call int) Reading {
		if call == 2 { // the second window of the first of two
			return refused(l)
		}
		return read(l, call)
	}
	j := newJob(t, teacher)
	j.Permutations = 2
	got, sum := runJob(t, j, in)
	require.Equal(t, 2+2+1+1, sum.Lists)
	require.Equal(t, 1, sum.Malformed)
	require.Equal(t, 1, sum.Shown)
	require.Zero(t, sum.Permuted)

	// What is left is the second permutation's.
	second := NewSort(ShuffledOrder.Order(readExample(t, in), j.Seed, 1), 20, 10, 1)
	drain(t, second, func(i int) float64 { return -float64(i) })
	scores := parseLine(t, got[0]).NegScores
	for place, i := range second.Order() {
		require.InDelta(t, 1/float64(place+1), scores[i], 1e-7)
	}
}
