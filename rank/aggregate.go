package rank

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// Method says how several rankings of the same passages become one.
type Method string

const (
	// Borda orders by the mean rank, then by the best single rank.
	Borda Method = "borda"
	// Kemeny takes the order with which the rankings disagree over the fewest pairs
	// of passages, found exactly; of several such, the one that has Borda's first
	// passages in front. Above MaxKemeny passages it is Borda.
	Kemeny Method = "kemeny"
)

// MaxKemeny is the most passages for which Kemeny is exact: the work doubles with
// each, and some milliseconds are enough.
const MaxKemeny = 16

// ParseMethod checks the name of a method.
func ParseMethod(name string) (Method, error) {
	switch m := Method(name); m {
	case Borda, Kemeny:
		return m, nil
	}
	return "", fmt.Errorf("want borda or kemeny, got %q", name)
}

// Aggregate makes one order of several, one at least, of the same passages. The
// order in which they come does not matter. Where all else is equal, the passage
// that comes first in ties goes first: a shuffle, as the passages' own order has
// the labelled ones in front.
func Aggregate(method Method, orders [][]int, ties []int) []int {
	ranks := make([][]int, len(orders))
	for k, order := range orders {
		ranks[k] = inverse(order)
	}
	order := borda(ranks, ties)
	if method == Kemeny && len(order) <= MaxKemeny {
		order = kemeny(ranks, order)
	}
	return order
}

// inverse turns an order into the place of each passage, and back.
func inverse(order []int) []int {
	places := make([]int, len(order))
	for place, i := range order {
		places[i] = place
	}
	return places
}

func borda(ranks [][]int, ties []int) []int {
	sum, best := make([]int, len(ties)), slices.Clone(ranks[0])
	for _, places := range ranks {
		for i, place := range places {
			sum[i] += place
			best[i] = min(best[i], place)
		}
	}
	order := slices.Clone(ties)
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(sum[a], sum[b]), cmp.Compare(best[a], best[b]))
	})
	return order
}

// kemeny goes through all sets of passages that may be left when some are placed:
// cost[set] is the least disagreement among them. Sets are bits, bit b for
// passage order[b]; of equal choices the lowest bit wins.
func kemeny(ranks [][]int, order []int) []int {
	n := len(order)
	against := make([][]int, n) // [a][b] how many rankings have b before a
	for a := range n {
		against[a] = make([]int, n)
		for b := range n {
			for _, places := range ranks {
				if places[order[b]] < places[order[a]] {
					against[a][b]++
				}
			}
		}
	}
	cost, first := make([]int, 1<<n), make([]int, 1<<n)
	for set := 1; set < 1<<n; set++ {
		cost[set] = -1
		for rest := set; rest != 0; rest &= rest - 1 {
			a := bits.TrailingZeros(uint(rest))
			c := cost[set&^(1<<a)]
			for others := set &^ (1 << a); others != 0; others &= others - 1 {
				c += against[a][bits.TrailingZeros(uint(others))]
			}
			if cost[set] < 0 || c < cost[set] {
				cost[set], first[set] = c, a
			}
		}
	}
	out := make([]int, 0, n)
	for set := 1<<n - 1; set != 0; set &^= 1 << first[set] {
		out = append(out, order[first[set]])
	}
	return out
}

// Disagreement returns the mean, over all pairs of orders, of their Kendall tau
// distance: the share of pairs of passages that one has the other way round. 0
// says that all are the same, and is that of one order; 1 that two are opposites.
func Disagreement(orders [][]int) float64 {
	ranks := make([][]int, len(orders))
	for k, order := range orders {
		ranks[k] = inverse(order)
	}
	if len(orders) < 2 || len(orders[0]) < 2 {
		return 0
	}
	// A pair that m of k orders have one way round is discordant in m(k-m) pairs
	// of orders.
	k, n, discordant := len(orders), len(orders[0]), 0
	for a := range n {
		for b := range a {
			m := 0
			for _, places := range ranks {
				if places[a] < places[b] {
					m++
				}
			}
			discordant += m * (k - m)
		}
	}
	return float64(discordant) / float64(k*(k-1)/2) / float64(n*(n-1)/2)
}

// MeanWorths returns the mean of several rankings' worths, passage by passage:
// the geometric mean, as worths are logarithms. Each is first brought to a sum of
// 1, which Sort's need not have.
func MeanWorths(all [][]float64) []float64 {
	mean := make([]float64, len(all[0]))
	for _, worths := range all {
		floats.AddScaled(mean, 1/float64(len(all)), worths)
		floats.AddConst(-floats.LogSumExp(worths)/float64(len(all)), mean)
	}
	return mean
}
