package rank

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseOrderChoice(t *testing.T) {
	for _, c := range []OrderChoice{ShuffledOrder, InputOrder} {
		got, err := ParseOrderChoice(string(c))
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	_, err := ParseOrderChoice("random")
	require.EqualError(t, err, `want shuffle or input, got "random"`)
}

func lettered(n int) *Example {
	ex := &Example{Query: "q"}
	for i := range n {
		ex.Passages = append(ex.Passages, string(rune('a'+i)))
	}
	return ex
}

// Known answers: a release that changes them changes everybody's scores.
func TestOrderIsPinned(t *testing.T) {
	ex := lettered(8)
	require.Equal(t, []int{2, 4, 0, 1, 3, 5, 7, 6}, ShuffledOrder.Order(ex, 0, 0))
	require.Equal(t, []int{1, 4, 0, 2, 5, 6, 7, 3}, ShuffledOrder.Order(ex, 0, 1))
	require.Equal(t, []int{6, 0, 7, 1, 5, 4, 3, 2}, ShuffledOrder.Order(ex, 42, 0))
}

func TestOrderIsAPermutation(t *testing.T) {
	for n := 1; n <= 26; n++ {
		for k := range 3 {
			order := ShuffledOrder.Order(lettered(n), 1, k)
			slices.Sort(order)
			require.Equal(t, InputOrder.Order(lettered(n), 1, 0), order)
		}
	}
}

// Only the words of the row, the seed and the number of the permutation count.
func TestOrderDependsOnTheRowAlone(t *testing.T) {
	ex := lettered(20)
	order := ShuffledOrder.Order(ex, 1, 0)
	same := lettered(20)
	same.Row, same.Pos = parseRow(t, `{}`), 7
	require.Equal(t, order, ShuffledOrder.Order(same, 1, 0))

	require.NotEqual(t, order, ShuffledOrder.Order(ex, 2, 0), "another seed")
	require.NotEqual(t, order, ShuffledOrder.Order(ex, 1, 1), "another permutation")
	other := lettered(20)
	other.Query = "p"
	require.NotEqual(t, order, ShuffledOrder.Order(other, 1, 0), "another query")
	other = lettered(20)
	other.Passages[19] = "x"
	require.NotEqual(t, order, ShuffledOrder.Order(other, 1, 0), "another passage")
	other = lettered(20)
	other.Passages[0], other.Passages[1] = "ab", ""
	require.NotEqual(t, order, ShuffledOrder.Order(other, 1, 0), "the same letters, otherwise split")
}

func TestInputOrder(t *testing.T) {
	ex := lettered(20)
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, InputOrder.Order(ex, 1, 0))
	require.Equal(t, ShuffledOrder.Order(ex, 1, 1), InputOrder.Order(ex, 1, 1), "the others are shuffles")
}

// Over many queries, the first passage is shown at every place about as often.
func TestOrderSpreadsTheFirst(t *testing.T) {
	ex, at := lettered(10), make([]int, 10)
	for q := range 2000 {
		ex.Query = fmt.Sprint(q)
		at[slices.Index(ShuffledOrder.Order(ex, 1, 0), 0)]++
	}
	require.Greater(t, slices.Min(at), 140)
	require.Less(t, slices.Max(at), 260)
}
