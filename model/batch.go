package model

import (
	"encoding/binary"
	"slices"
)

// Limits bounds one batch.
type Limits struct {
	Tokens int // B*T, padding included; a longer sequence runs alone
	Rows   int // B; 0 for no bound of its own
}

// queue hands sequences out in batches, rows of like length together, the longest
// first, so that little is padded and a batch too big for the memory shows itself at
// once, not after days. Every sequence is handed out once, and the first row of a
// batch is its longest.
type queue struct {
	seqs      []Sequence
	trees     []tree // what is left, the longest first
	mixing    Mixing
	widest    int     // widths are rounded up to so many tokens at most
	positions int     // most targets of a batch of more than one row
	perToken  float64 // sequences that are wanted, for each token that runs
}

// newQueue sorts rows, of which so many sequences are wanted.
func newQueue(seqs []Sequence, rows []tree, mixing Mixing, positions, wanted int) *queue {
	q := &queue{seqs: seqs, trees: rows, mixing: mixing, positions: positions}
	sortTrees(q.trees)
	run := 0
	for _, t := range q.trees {
		run += t.tokens
	}
	q.perToken = float64(wanted) / float64(max(1, run))
	return q
}

// width is the T of a batch whose longest row has n tokens.
func (q *queue) width(n int) int { return roundUp(n, q.widest) }

// roundUp rounds a width up to a multiple of 64, 32, 16 or 8, the largest that adds
// less than 2%, within most: a device sees fewer shapes, and prepares for fewer.
func roundUp(n, most int) int {
	for step := 64; step >= 8; step /= 2 {
		if up := (n + step - 1) / step * step; up <= most && 50*(up-n) < n {
			return up
		}
	}
	return n
}

// next returns the rows of a batch within the limits, none at the end.
func (q *queue) next(limits Limits) []tree {
	if len(q.trees) == 0 {
		return nil
	}
	rows := max(1, limits.Tokens/q.width(q.longest()))
	if limits.Rows > 0 {
		rows = min(rows, limits.Rows)
	}
	rows = min(rows, len(q.trees))
	asks := 0
	for k, t := range q.trees[:rows] {
		asks += t.asks
		if k > 0 && (asks > q.positions || !q.mixing.Takes(q.longest(), t.tokens)) {
			rows = k
			break
		}
	}
	batch := q.trees[:rows]
	q.trees = q.trees[rows:]
	return batch
}

// longest is the length of the longest row that is left, 0 at the end.
func (q *queue) longest() int {
	if len(q.trees) == 0 {
		return 0
	}
	return q.trees[0].tokens
}

// putBack takes a batch back that did not run, for want of memory. Of all that is
// left, rows of several sequences that are longer than a batch may be from now on
// are taken apart: each would run out of memory in its turn.
func (q *queue) putBack(batch []tree, tokens int) {
	var left []tree
	before, after := 0, 0
	for _, t := range slices.Concat(batch, q.trees) {
		before += t.tokens
		rows := []tree{t}
		if len(t.branches) > 1 && t.tokens > tokens {
			rows = t.split(q.seqs)
		}
		for _, row := range rows {
			after += row.tokens
		}
		left = append(left, rows...)
	}
	q.trees = left
	q.perToken *= float64(before) / float64(after)
	sortTrees(q.trees)
}

// identical finds sequences that are the same: of each it tells the first, which may
// be itself.
func identical(seqs []Sequence) []int {
	first := make(map[string]int, len(seqs))
	same := make([]int, len(seqs))
	var key []byte
	for i, s := range seqs {
		key = binary.AppendUvarint(key[:0], uint64(len(s.Asks)))
		for _, ask := range s.Asks {
			key = binary.AppendUvarint(key, uint64(ask.At))
			key = binary.AppendUvarint(key, uint64(ask.Token))
		}
		for _, id := range s.Tokens {
			key = binary.AppendUvarint(key, uint64(id))
		}
		as, ok := first[string(key)]
		if !ok {
			as = i
			first[string(key)] = i
		}
		same[i] = as
	}
	return same
}

// fill lays rows out in b, padded on the right to the longest.
func (b *Batch) fill(seqs []Sequence, rows []tree) {
	width := 0
	for _, row := range rows {
		width = max(width, row.tokens)
	}
	b.fillTo(width, seqs, rows)
}

// fillTo lays rows out in b, padded on the right to the given width.
func (b *Batch) fillTo(width int, seqs []Sequence, rows []tree) {
	b.Rows, b.Width = len(rows), width
	b.Lens = b.Lens[:0]
	branched := false
	for _, row := range rows {
		b.Lens = append(b.Lens, row.tokens)
		branched = branched || len(row.branches) > 1
	}
	n := b.Rows * b.Width
	b.TokenIDs = slices.Grow(b.TokenIDs[:0], n)[:n]
	for i := range b.TokenIDs {
		b.TokenIDs[i] = PadID
	}
	for r, row := range rows {
		for _, br := range row.branches {
			for i, id := range seqs[br.seq].Tokens[br.shared:] {
				b.TokenIDs[r*b.Width+br.from+i] = int64(id)
			}
		}
	}
	b.Parents = b.Parents[:0]
	if branched {
		b.parents(rows)
	}
}

// parents tells the place before each token in its own sequence.
func (b *Batch) parents(rows []tree) {
	for _, row := range rows {
		first := len(b.Parents)
		for t := range b.Width {
			b.Parents = append(b.Parents, t-1)
		}
		for k, br := range row.branches {
			if br.shared > 0 && br.from < row.tokens { // it may have no token of its own
				b.Parents[first+br.from] = row.place(k, br.shared-1)
			}
		}
	}
}
