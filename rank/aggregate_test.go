package rank

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/floats"
)

func TestParseMethod(t *testing.T) {
	for _, m := range []Method{Borda, Kemeny} {
		got, err := ParseMethod(string(m))
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
	_, err := ParseMethod("mean")
	require.EqualError(t, err, `want borda or kemeny, got "mean"`)
}

func TestAggregate(t *testing.T) {
	type orders = [][]int
	for _, c := range []struct {
		name          string
		orders        orders
		ties          []int
		borda, kemeny []int
	}{
		{"one is itself", orders{{2, 0, 1}}, []int{0, 1, 2}, []int{2, 0, 1}, []int{2, 0, 1}},
		{"all agree", orders{{2, 0, 1}, {2, 0, 1}}, []int{0, 1, 2}, []int{2, 0, 1}, []int{2, 0, 1}},
		{"the majority", orders{{0, 1, 2}, {0, 1, 2}, {2, 1, 0}}, []int{2, 1, 0}, []int{0, 1, 2}, []int{0, 1, 2}},
		{"opposites: the best single rank, then ties", orders{{0, 1, 2}, {2, 1, 0}}, []int{1, 2, 0}, []int{2, 0, 1}, []int{2, 0, 1}},
		{"ties the other way", orders{{0, 1, 2}, {2, 1, 0}}, []int{0, 2, 1}, []int{0, 2, 1}, []int{0, 2, 1}},
		// Passage 0 wins every vote against another, 3 to 2; the mean rank prefers 1.
		{"Condorcet's winner is Kemeny's, not Borda's", orders{{0, 1, 2, 3}, {0, 1, 2, 3}, {0, 1, 2, 3}, {1, 2, 3, 0}, {1, 2, 3, 0}}, []int{0, 1, 2, 3},
			[]int{1, 0, 2, 3}, []int{0, 1, 2, 3}},
		{"one passage", orders{{0}, {0}}, []int{0}, []int{0}, []int{0}},
	} {
		require.Equal(t, c.borda, Aggregate(Borda, c.orders, c.ties), c.name)
		require.Equal(t, c.kemeny, Aggregate(Kemeny, c.orders, c.ties), c.name)
	}
}

// disagreements counts the pairs of passages that a ranking has otherwise.
func disagreements(order []int, orders [][]int) int {
	total := 0
	for _, other := range orders {
		places := inverse(other)
		for a := range order {
			for _, later := range order[a+1:] {
				if places[later] < places[order[a]] {
					total++
				}
			}
		}
	}
	return total
}

func randomOrders(rng *rand.Rand, k, n int) [][]int {
	orders := make([][]int, k)
	for i := range orders {
		orders[i] = rng.Perm(n)
	}
	return orders
}

// Kemeny against all orders there are: the cost is the least, and of those that
// have it, Borda's places decide from the front on.
func TestKemenyIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 6; n++ {
		all := permutations(n)
		for trial := range 20 {
			orders, ties := randomOrders(rng, trial%5+1, n), rng.Perm(n)
			places := inverse(Aggregate(Borda, orders, ties))
			best, least := []int(nil), math.MaxInt
			for _, order := range all {
				cost := disagreements(order, orders)
				byPlace := func(a, b int) int { return places[a] - places[b] }
				if cost < least || cost == least && slices.CompareFunc(order, best, byPlace) < 0 {
					best, least = order, cost
				}
			}
			require.Equal(t, best, Aggregate(Kemeny, orders, ties))
		}
	}
}

func TestKemenyAboveItsBoundIsBorda(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	orders, ties := randomOrders(rng, 3, MaxKemeny+1), rng.Perm(MaxKemeny+1)
	require.Equal(t, Aggregate(Borda, orders, ties), Aggregate(Kemeny, orders, ties))
	orders, ties = randomOrders(rng, 3, MaxKemeny), rng.Perm(MaxKemeny)
	require.Less(t, disagreements(Aggregate(Kemeny, orders, ties), orders), disagreements(Aggregate(Borda, orders, ties), orders))
}

// Neither the order in which rankings come nor the passages' numbers matter.
func TestAggregateIsNeutral(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for trial := range 200 {
		n := trial%8 + 1
		orders, ties := randomOrders(rng, trial%4+1, n), rng.Perm(n)
		renamed, names := make([][]int, len(orders)), rng.Perm(n)
		rename := func(order []int) []int {
			out := make([]int, n)
			for place, i := range order {
				out[place] = names[i]
			}
			return out
		}
		for k, place := range rng.Perm(len(orders)) {
			renamed[place] = rename(orders[k])
		}
		for _, m := range []Method{Borda, Kemeny} {
			require.Equal(t, rename(Aggregate(m, orders, ties)), Aggregate(m, renamed, rename(ties)))
		}
		require.InDelta(t, Disagreement(orders), Disagreement(renamed), 1e-12)
	}
}

func TestDisagreement(t *testing.T) {
	for _, c := range []struct {
		orders [][]int
		want   float64
	}{
		{[][]int{{0, 1, 2}}, 0},
		{[][]int{{0, 1, 2}, {0, 1, 2}}, 0},
		{[][]int{{0, 1, 2}, {2, 1, 0}}, 1},
		{[][]int{{0, 1, 2}, {1, 0, 2}}, 1. / 3},
		{[][]int{{0, 1, 2}, {1, 0, 2}, {2, 1, 0}}, (1./3 + 1 + 2./3) / 3},
		{[][]int{{0}, {0}}, 0},
		{[][]int{{}, {}}, 0},
	} {
		require.InDelta(t, c.want, Disagreement(c.orders), 1e-12)
	}
	orders := randomOrders(rand.New(rand.NewPCG(5, 6)), 6, 1000)
	require.InDelta(t, 0.5, Disagreement(orders), 0.02, "as much as not")
}

func TestMeanWorths(t *testing.T) {
	a, b := Worths([]float64{0.5, 0.5, 1}), Worths([]float64{0.9, 0.5, 1})
	shifted := slices.Clone(b)
	floats.AddConst(7, shifted)
	want := []float64{(math.Log(0.5) + math.Log(0.9)) / 2, (math.Log(0.25) + math.Log(0.05)) / 2, (math.Log(0.25) + math.Log(0.05)) / 2}
	require.InDeltaSlice(t, want, MeanWorths([][]float64{a, b}), 1e-12)
	require.InDeltaSlice(t, want, MeanWorths([][]float64{a, shifted}), 1e-12, "a constant does not matter")
	require.InDelta(t, math.Log(0.5), a[0], 1e-12, "what went in is as it was")
}
