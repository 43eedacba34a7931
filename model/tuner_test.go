package model

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tune runs full batches on a machine with a given speed for each budget, and
// returns the budgets that were tried.
func tune(t *testing.T, tuner *Tuner, longest int, speed func(tokens int) float64) (tried []int) {
	t.Helper()
	for range 200 {
		budget := tuner.Tokens(longest)
		if len(tried) == 0 || tried[len(tried)-1] != budget {
			tried = append(tried, budget)
		}
		tuner.Ran(budget, budget, budget, seconds(float64(budget)/speed(budget)))
	}
	require.True(t, tuner.settled)
	return tried
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func TestTunerClimbsWhileItGains(t *testing.T) {
	// Best at 2,048; one more is tried, and left.
	saturates := func(tokens int) float64 { return 1000 * float64(min(tokens, 2048)) }
	require.Equal(t, []int{512, 1024, 2048, 4096, 2048}, tune(t, &Tuner{}, 100, saturates))
	// No gain at all: the smallest.
	require.Equal(t, []int{512, 1024, 512}, tune(t, &Tuner{}, 100, func(int) float64 { return 1000 }))
	// A gain for ever: up to the bound, which need be no power of two.
	require.Equal(t, []int{300, 600, 1000}, tune(t, &Tuner{Least: 300, Most: 1000}, 100, func(tokens int) float64 { return float64(tokens) }))
	// A budget that holds not even one sequence is not tried.
	require.Equal(t, []int{2048, 4096, 2048}, tune(t, &Tuner{}, 1500, func(int) float64 { return 1000 }))
	require.Equal(t, []int{1000}, tune(t, &Tuner{Most: 1000}, 900, func(int) float64 { return 1000 }))
}

func TestTunerFallsWhileItCostsNothing(t *testing.T) {
	falling := func() *Tuner { return &Tuner{Least: 512, Most: 8192, Falling: true} }
	saturates := func(tokens int) float64 { return 1000 * float64(min(tokens, 2048)) }
	require.Equal(t, []int{8192, 4096, 2048, 1024, 2048}, tune(t, falling(), 100, saturates))
	require.Equal(t, []int{8192, 4096, 2048, 1024, 512}, tune(t, falling(), 100, func(int) float64 { return 1000 }))
	require.Equal(t, []int{8192, 4096, 8192}, tune(t, falling(), 100, func(tokens int) float64 { return float64(tokens) }))
	// What is a little slower each time does not add up.
	require.Equal(t, []int{8192, 4096, 2048, 4096}, tune(t, falling(), 100, func(tokens int) float64 { return map[int]float64{8192: 1000, 4096: 980, 2048: 960}[tokens] }))
	require.Equal(t, []int{300}, tune(t, &Tuner{Least: 300, Most: 300, Falling: true}, 100, func(int) float64 { return 1000 }))
}

// What does not fit is not tried again, and what does is still judged.
func TestTunerAfterOutOfMemory(t *testing.T) {
	for _, tuner := range []*Tuner{{Least: 512, Most: 8192, Falling: true}, {Least: 512, Most: 8192}} {
		for tuner.Tokens(100) != 4096 {
			tuner.Ran(tuner.tokens, tuner.tokens, tuner.tokens, seconds(1))
		}
		tuner.bound(1500)
		for range 20 {
			budget := tuner.Tokens(100)
			require.LessOrEqual(t, budget, 1500)
			tuner.Ran(budget, budget, budget, seconds(1))
		}
		require.True(t, tuner.Settled())
	}
	least := &Tuner{Least: 512, Most: 8192}
	least.bound(100)
	require.Equal(t, 100, least.Tokens(10))
}

// One slow run in three, as on a busy machine or the first that takes memory, is
// not the budget's fault.
func TestTunerForgivesSlowRuns(t *testing.T) {
	n := 0
	speed := func(tokens int) float64 {
		if n++; n%3 == 1 {
			return 1
		}
		return 1000 * float64(min(tokens, 1024))
	}
	require.Equal(t, []int{512, 1024, 2048, 1024}, tune(t, &Tuner{}, 100, speed))
}

// What the budget did not fill, or another budget gave, tells nothing.
func TestTunerIgnores(t *testing.T) {
	tuner := &Tuner{}
	for range 10 {
		tuner.Ran(512, 300, 300, time.Second)   // the end of a page
		tuner.Ran(512, 2000, 2000, time.Second) // a sequence longer than the budget
		tuner.Ran(256, 256, 256, time.Second)   // handed out before
		tuner.Ran(512, 512, 512, 0)
	}
	require.Zero(t, tuner.runs)
	require.Equal(t, 512, tuner.Tokens(10))
}

// Padding is no work: a budget that only pads more is not faster.
func TestTunerCountsRealTokens(t *testing.T) {
	tuner := &Tuner{}
	for !tuner.settled {
		budget := tuner.Tokens(100)
		real := budget
		if budget > 512 {
			real = budget * 3 / 4
		}
		tuner.Ran(budget, budget, real, seconds(float64(budget)/1000))
	}
	require.Equal(t, 512, tuner.Tokens(100))
}
