package model

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"
)

// pack hands sequences of these lengths out in batches.
func pack(lens []int, limits Limits) (batches [][]int) {
	seqs := make([]Sequence, len(lens))
	for i, n := range lens {
		seqs[i].Tokens = make([]int32, n)
	}
	q := newQueue(seqs, rowsOf(seqs, Trees{}), Mixing{}, math.MaxInt, len(seqs))
	for b := q.next(limits); len(b) > 0; b = q.next(limits) {
		var places []int
		for _, row := range b {
			places = append(places, row.branches[0].seq)
		}
		batches = append(batches, places)
	}
	return batches
}

// alone makes a row of each sequence.
func alone(seqs []Sequence, places ...int) []tree {
	rows := make([]tree, len(places))
	for r, i := range places {
		rows[r].add(seqs[i], i, 0)
	}
	return rows
}

// checkPacking holds batches against the rules that a queue promises.
func checkPacking(lens []int, limits Limits, batches [][]int) error {
	seen := make([]int, len(lens))
	previous := int(^uint(0) >> 1)
	for n, b := range batches {
		if len(b) == 0 {
			return fmt.Errorf("batch %d is empty", n)
		}
		if limits.Rows > 0 && len(b) > limits.Rows {
			return fmt.Errorf("batch %d has %d rows of at most %d", n, len(b), limits.Rows)
		}
		if width := lens[b[0]]; len(b) > 1 && len(b)*width > limits.Tokens {
			return fmt.Errorf("batch %d is %d x %d tokens of at most %d", n, len(b), width, limits.Tokens)
		}
		for _, i := range b {
			seen[i]++
			if lens[i] > previous {
				return fmt.Errorf("batch %d: a sequence of %d tokens after one of %d", n, lens[i], previous)
			}
			previous = lens[i]
		}
	}
	if i := slices.IndexFunc(seen, func(n int) bool { return n != 1 }); i >= 0 {
		return fmt.Errorf("sequence %d is in %d batches", i, seen[i])
	}
	return nil
}

func TestPack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, limits := range []Limits{{1, 0}, {1, 7}, {64, 0}, {64, 3}, {2048, 0}, {2048, 4}, {1 << 40, 0}, {1 << 40, 5}, {0, 0}, {-1, 0}} {
		for range 50 {
			lens := make([]int, rng.IntN(300))
			for i := range lens {
				lens[i] = 2 + rng.IntN(400)
			}
			require.NoError(t, checkPacking(lens, limits, pack(lens, limits)), "%v %v", limits, lens)
		}
	}
}

func TestPackAnyLengths(t *testing.T) {
	holds := func(lens []uint16, tokens uint16, rows uint8) bool {
		wide := make([]int, len(lens))
		for i, n := range lens {
			wide[i] = 1 + int(n)
		}
		limits := Limits{Tokens: int(tokens), Rows: int(rows)}
		return checkPacking(wide, limits, pack(wide, limits)) == nil
	}
	require.NoError(t, quick.Check(holds, &quick.Config{MaxCount: 2000}))
}

func TestPackByHand(t *testing.T) {
	lens := []int{3, 9, 3, 5, 20, 4}
	for _, c := range []struct {
		limits Limits
		want   [][]int
	}{
		{Limits{Tokens: 20}, [][]int{{4}, {1, 3}, {5, 0, 2}}},
		{Limits{Tokens: 10}, [][]int{{4}, {1}, {3, 5}, {0, 2}}},
		{Limits{Tokens: 1000}, [][]int{{4, 1, 3, 5, 0, 2}}},
		{Limits{Tokens: 1000, Rows: 4}, [][]int{{4, 1, 3, 5}, {0, 2}}},
		{Limits{Tokens: 0}, [][]int{{4}, {1}, {3}, {5}, {0}, {2}}},
	} {
		require.Equal(t, c.want, pack(lens, c.limits), "%+v", c.limits)
	}
	require.Empty(t, pack(nil, Limits{Tokens: 8}))
}

// Sequences of like length stand together: on lengths as passages have them
// little is padded.
func TestPackPadsLittle(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	lens := make([]int, 2048)
	for i := range lens {
		lens[i] = 60 + int(120*rng.ExpFloat64())
	}
	real, padded := 0, 0
	for _, b := range pack(lens, Limits{Tokens: 2048}) {
		padded += len(b) * lens[b[0]]
		for _, i := range b {
			real += lens[i]
		}
	}
	padding := 1 - float64(real)/float64(padded)
	t.Logf("padding %.2f%%", 100*padding)
	require.Less(t, padding, 0.02)
}

func TestFill(t *testing.T) {
	seqs := []Sequence{{Tokens: []int32{1, 2}}, {Tokens: []int32{3, 4, 5, 6}}, {Tokens: []int32{7, 8, 9}}}
	var b Batch
	b.fill(seqs, alone(seqs, 1, 2, 0))
	require.Equal(t, Batch{Rows: 3, Width: 4, Lens: []int{4, 3, 2},
		TokenIDs: []int64{3, 4, 5, 6, 7, 8, 9, PadID, 1, 2, PadID, PadID}}, b)
	// The same memory, and nothing of the larger batch shows through.
	b.fill(seqs, alone(seqs, 0, 2))
	require.Equal(t, Batch{Rows: 2, Width: 3, Lens: []int{2, 3}, TokenIDs: []int64{1, 2, PadID, 7, 8, 9}}, b)
}

func TestRoundUp(t *testing.T) {
	for n, want := range map[int]int{1: 1, 63: 64, 300: 304, 320: 320, 500: 504, 630: 640, 1000: 1008, 1020: 1024, 3200: 3200, 3201: 3264, 5000: 5056} {
		require.Equal(t, want, roundUp(n, 1<<20), n)
		require.Equal(t, n, roundUp(n, 0), "not wanted")
	}
	require.Equal(t, 2046, roundUp(2046, 2046), "the model's context")
	require.Equal(t, 2040, roundUp(2036, 2046), "a smaller step fits")
}

// Rounded widths keep within the budget, and change no score.
func TestRoundedWidths(t *testing.T) {
	seqs := make([]Sequence, 40)
	for i := range seqs {
		seqs[i] = Answer(make([]int32, 400+i), Span{From: 1, To: 2})
	}
	q := newQueue(seqs, rowsOf(seqs, Trees{}), Mixing{}, math.MaxInt, len(seqs))
	q.widest = 1000
	widths := map[int]bool{}
	var b Batch
	for rows := q.next(Limits{Tokens: 2000}); len(rows) > 0; rows = q.next(Limits{Tokens: 2000}) {
		b.fillTo(q.width(rows[0].tokens), seqs, rows)
		widths[b.Width] = true
		require.LessOrEqual(t, b.Rows*b.Width, 2000)
		require.Zero(t, b.Width%8)
	}
	require.LessOrEqual(t, len(widths), 6)
}
