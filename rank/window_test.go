package rank

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/floats"
)

func TestCheckWindow(t *testing.T) {
	require.NoError(t, CheckWindow(20, 10))
	require.NoError(t, CheckWindow(2, 1))
	require.EqualError(t, CheckWindow(1, 1), "want a window of at least 2 passages, got 1")
	require.EqualError(t, CheckWindow(20, 0), "want a step from 1 to 19 for a window of 20, got 0")
	require.EqualError(t, CheckWindow(20, 20), "want a step from 1 to 19 for a window of 20, got 20")
}

func TestWindows(t *testing.T) {
	type list = [][2]int
	for _, c := range []struct {
		n, window, step int
		want            list
	}{
		{45, 20, 10, list{{25, 45}, {15, 35}, {5, 25}, {0, 20}}},
		{40, 20, 10, list{{20, 40}, {10, 30}, {0, 20}}},
		{21, 20, 10, list{{1, 21}, {0, 20}}},
		{20, 20, 10, list{{0, 20}}},
		{3, 20, 10, list{{0, 3}}},
		{4, 2, 1, list{{2, 4}, {1, 3}, {0, 2}}},
		{5, 3, 2, list{{2, 5}, {0, 3}}},
	} {
		require.Equal(t, c.want, windows(c.n, c.window, c.step))
	}
}

// drain ranks all windows by a key of each passage, the lowest first, and returns
// how many there were.
func drain(t *testing.T, s *Sort, key func(i int) float64) int {
	t.Helper()
	count := 0
	for w := s.Window(); w != nil; w = s.Window() {
		left := s.Left()
		places := make([]int, len(w))
		for k := range places {
			places[k] = k
		}
		slices.SortStableFunc(places, func(a, b int) int {
			if key(w[a]) < key(w[b]) {
				return -1
			}
			return 1
		})
		s.Apply(places, nil)
		require.Equal(t, left-1, s.Left())
		count++
	}
	return count
}

// Whatever the sizes, the best window-step passages come to the front in one
// pass, in order, from wherever they were shown, and none is lost.
func TestSortBringsTheBestToTheFront(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n < 70; n++ {
		for _, size := range [][2]int{{2, 1}, {5, 2}, {5, 4}, {20, 10}, {20, 1}, {100, 50}} {
			window, step := size[0], size[1]
			s := NewSort(rng.Perm(n), window, step, 1)
			count := drain(t, s, func(i int) float64 { return float64(i) })
			if n > 1 {
				require.Len(t, windows(n, window, step), count)
			}
			got := s.Order()
			best := min(n, window-step)
			if n <= window {
				best = n
			}
			for place := range best {
				require.Equal(t, place, got[place], "n %d, window %d, step %d", n, window, step)
			}
			slices.Sort(got)
			for i, passage := range got {
				require.Equal(t, i, passage)
			}
		}
	}
}

// Enough passes sort the whole list.
func TestSortPasses(t *testing.T) {
	reversed := []int{9, 8, 7, 6, 5, 4, 3, 2, 1, 0}
	s := NewSort(reversed, 4, 2, 5)
	require.Equal(t, 5*4, s.Left())
	drain(t, s, func(i int) float64 { return float64(i) })
	require.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, s.Order())
	require.Equal(t, 9, reversed[0], "what was shown is as it was")

	s = NewSort(reversed, 4, 2, 1)
	drain(t, s, func(i int) float64 { return float64(i) })
	require.NotEqual(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, s.Order())
}

func TestSortByHand(t *testing.T) {
	s := NewSort([]int{3, 1, 4, 0, 2}, 3, 2, 1)
	require.Equal(t, []int{4, 0, 2}, s.Window())
	s.Apply([]int{2, 0, 1}, nil)
	require.Equal(t, []int{3, 1, 2}, s.Window())
	s.Apply([]int{2, 0, 1}, nil)
	require.Nil(t, s.Window())
	require.Equal(t, []int{2, 3, 1, 4, 0}, s.Order())
}

func TestSortOfOne(t *testing.T) {
	s := NewSort([]int{0}, 20, 10, 3)
	require.Nil(t, s.Window())
	require.Equal(t, []int{0}, s.Order())
	require.Equal(t, []float64{0}, s.Worths())
}

// In one window the worths are those of its choices.
func TestSortWorthsOfOneWindow(t *testing.T) {
	s := NewSort([]int{2, 0, 1}, 20, 10, 1)
	require.True(t, math.IsNaN(s.Worths()[0]), "not known yet")
	p := []float64{0.6, 0.7, 1}
	s.Apply([]int{1, 2, 0}, p) // passages 0, 1, 2
	require.Equal(t, Worths(p), s.Worths())
}

// plackettLuce ranks the windows by true worths and says how sure it is, as a
// model would that had these worths.
func plackettLuce(s *Sort, worths []float64) {
	for w := s.Window(); w != nil; w = s.Window() {
		places := make([]int, len(w))
		for k := range places {
			places[k] = k
		}
		slices.SortFunc(places, func(a, b int) int {
			if worths[w[a]] > worths[w[b]] {
				return -1
			}
			return 1
		})
		p, left := make([]float64, len(w)), 0.0
		for k := len(w) - 1; k >= 0; k-- {
			left += worths[w[places[k]]]
			p[k] = worths[w[places[k]]] / left
		}
		s.Apply(places, p)
	}
}

// Windows that all follow one set of worths give it back, over their borders and
// over several passes: the last of a window, whose choice is always sure, is no
// cliff.
func TestSortWorthsOfManyWindows(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{2, 20, 21, 45, 90} {
		for passes := 1; passes <= 2; passes++ {
			want := make([]float64, n)
			for i := range want {
				want[i] = rng.Float64() + 0.05
			}
			floats.Scale(1/floats.Sum(want), want)
			s := NewSort(rng.Perm(n), 20, 10, passes)
			plackettLuce(s, want)
			got := s.Worths()
			floats.AddConst(-floats.LogSumExp(got), got)
			for i := range want {
				require.InDelta(t, math.Log(want[i]), got[i], 1e-6, "n %d, passage %d", n, i)
			}
		}
	}
}
