package model

import (
	"cmp"
	"slices"
)

// Limits bounds one batch.
type Limits struct {
	Tokens int // B*T, padding included; a longer sequence runs alone
	Rows   int // B; 0 for no bound of its own
}

// pack divides sequences into batches, the longest first, so that neighbours
// are of like length (little padding) and a batch too big for the memory shows
// itself at once, not after days. It returns indices into lens; every sequence
// stands in exactly one batch, and the first of a batch is its longest.
func pack(lens []int, limits Limits) [][]int {
	order := make([]int, len(lens))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lens[b], lens[a]) })
	var batches [][]int
	for len(order) > 0 {
		rows := max(1, limits.Tokens/max(1, lens[order[0]]))
		if limits.Rows > 0 {
			rows = min(rows, limits.Rows)
		}
		rows = min(rows, len(order))
		batches = append(batches, order[:rows])
		order = order[rows:]
	}
	return batches
}

// cutBatches cuts batches so that the sizes of none add up to more than most, but
// where a sequence is larger alone.
func cutBatches(batches [][]int, most int, size func(i int) int) [][]int {
	var out [][]int
	for _, b := range batches {
		from, sum := 0, 0
		for k, i := range b {
			if sum += size(i); sum > most && k > from {
				out = append(out, b[from:k])
				from, sum = k, size(i)
			}
		}
		out = append(out, b[from:])
	}
	return out
}

// fill lays the sequences at the given indices out in b, padded on the right.
func (b *Batch) fill(seqs []Sequence, indices []int) {
	b.Rows, b.Width = len(indices), 0
	b.Lens = b.Lens[:0]
	for _, i := range indices {
		b.Lens = append(b.Lens, len(seqs[i].Tokens))
		b.Width = max(b.Width, len(seqs[i].Tokens))
	}
	b.TokenIDs = slices.Grow(b.TokenIDs[:0], b.Rows*b.Width)[:b.Rows*b.Width]
	for r, i := range indices {
		row := b.TokenIDs[r*b.Width : (r+1)*b.Width]
		for t, id := range seqs[i].Tokens {
			row[t] = int64(id)
		}
		for t := len(seqs[i].Tokens); t < b.Width; t++ {
			row[t] = PadID
		}
	}
}
