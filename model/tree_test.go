package model

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func sequence(answer int, tokens ...int32) Sequence {
	return Answer(tokens, Span{From: len(tokens) - answer, To: len(tokens)})
}

// rowsOf plants all sequences.
func rowsOf(seqs []Sequence, t Trees) []tree {
	order := make([]int, len(seqs))
	for i := range order {
		order[i] = i
	}
	return plant(seqs, order, t)
}

func TestPlantByHand(t *testing.T) {
	seqs := []Sequence{
		sequence(1, 1, 2, 3, 4),
		sequence(2, 7, 8, 9),
		sequence(1, 1, 2, 5, 6, 6),
		sequence(1, 1, 2),
		sequence(2, 1, 2, 5, 6, 7),
		Answer([]int32{1, 2}, Span{1, 2}), // as the fourth
	}
	rows := rowsOf(seqs, Trees{Tokens: 100, Pairs: 1000})
	require.Equal(t, []tree{
		{[]branch{{3, 0, 0}, {5, 2, 2}, {0, 2, 2}, {2, 2, 4}, {4, 4, 7}}, 8, 6},
		{[]branch{{1, 0, 0}}, 3, 2},
	}, rows)

	var b Batch
	b.fill(seqs, rows)
	require.Equal(t, Batch{Rows: 2, Width: 8, Lens: []int{8, 3},
		TokenIDs: []int64{1, 2, 3, 4, 5, 6, 6, 7, 7, 8, 9, PadID, PadID, PadID, PadID, PadID},
		Parents:  []int{-1, 0, 1, 2, 1, 4, 5, 5, -1, 0, 1, 2, 3, 4, 5, 6}}, b)
	b.fill(seqs, rows[1:])
	require.Empty(t, b.Parents, "a batch of sequences alone needs none")
}

func TestPlantKeepsBounds(t *testing.T) {
	var seqs []Sequence
	for i := range int32(40) {
		seqs = append(seqs, sequence(2, 1, 2, 3, 4, 5, 6, 7, 8, i, i))
	}
	for _, c := range []struct {
		trees Trees
		rows  int
	}{
		{Trees{}, 40},
		{Trees{Tokens: 1000, Pairs: 1000}, 1},
		{Trees{Tokens: 28, Pairs: 1000}, 4},
		{Trees{Tokens: 9, Pairs: 1000}, 40},
		{Trees{Tokens: 1000, Pairs: 0}, 5}, // up to 24 tokens: one more is 100 pairs in the row, and 100 alone
	} {
		rows := rowsOf(seqs, c.trees)
		require.Len(t, rows, c.rows, "%+v", c)
	}
	long := make([]int32, 3000)
	seqs = []Sequence{sequence(1, append(slices.Clone(long), 1)...)}
	for i := range int32(2000) {
		seqs = append(seqs, sequence(1, append(slices.Clone(long), 2, i)...))
	}
	rows := rowsOf(seqs, Trees{Tokens: 1 << 20, Pairs: 1 << 30})
	require.Equal(t, 3002*5/4, rows[0].tokens, "a quarter longer than the longest sequence")
}

// A tree is never more work than its sequences alone, as Trees.Pairs weighs it.
func TestPlantSavesWork(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	for range 300 {
		pairs := rng.IntN(3000)
		seqs := trieSequences(rng, 1+rng.IntN(60))
		planted, single := 0, 0
		for _, row := range rowsOf(seqs, Trees{Tokens: 2000, Pairs: pairs}) {
			planted += row.tokens * (pairs + row.tokens)
		}
		for _, s := range seqs {
			single += len(s.Tokens) * (pairs + len(s.Tokens))
		}
		require.LessOrEqual(t, planted, single)
	}
}

// trieSequences makes sequences that begin like others.
func trieSequences(rng *rand.Rand, n int) []Sequence {
	var seqs []Sequence
	for range n {
		var tokens []int32
		if len(seqs) > 0 && rng.IntN(4) > 0 {
			other := seqs[rng.IntN(len(seqs))].Tokens
			tokens = slices.Clone(other[:rng.IntN(len(other)+1)])
		}
		for range 2 + rng.IntN(30) {
			tokens = append(tokens, rng.Int32N(30))
		}
		to := 2 + rng.IntN(len(tokens)-1)
		seqs = append(seqs, Answer(tokens, Span{From: 1 + rng.IntN(to-1), To: to}))
	}
	return seqs
}

// Every sequence stands in the rows token by token, along its parents.
func TestPlantAnySequences(t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 54))
	var b Batch
	for range 200 {
		seqs := trieSequences(rng, 1+rng.IntN(50))
		rows := rowsOf(seqs, Trees{Tokens: 300, Pairs: rng.IntN(2000)})
		b.fill(seqs, rows)
		seen := map[int]bool{}
		for r, row := range rows {
			require.Len(t, b.TokenIDs, len(rows)*b.Width)
			for k, br := range row.branches {
				require.False(t, seen[br.seq])
				seen[br.seq] = true
				parent := -1
				for depth, id := range seqs[br.seq].Tokens {
					at := row.place(k, depth)
					require.Equal(t, int64(id), b.TokenIDs[r*b.Width+at])
					if len(b.Parents) > 0 {
						require.Equal(t, parent, b.Parents[r*b.Width+at])
					} else {
						require.Equal(t, parent, at-1)
					}
					parent = at
				}
			}
		}
		require.Len(t, seen, len(seqs))
	}
}
