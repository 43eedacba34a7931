package model

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// Limits bounds one batch.
type Limits struct {
	Tokens int // B*T, padding included; a longer sequence runs alone
	Rows   int // B; 0 for no bound of its own
}

// queue hands sequences out in batches, the longest first, so that neighbours are
// of like length (little padding) and a batch too big for the memory shows itself
// at once, not after days. Every sequence is handed out once, and the first of a
// batch is its longest.
type queue struct {
	seqs      []Sequence
	order     []int       // what is left, the longest first
	copies    map[int]int // by sequence: how many are the same as it
	positions int         // most answer tokens of a batch of more than one
	perToken  float64     // sequences, copies included, for each token that runs
}

// newQueue lays out the sequences that are not copies of others.
func newQueue(seqs []Sequence, copies map[int]int, positions int) *queue {
	q := &queue{seqs: seqs, copies: map[int]int{}, positions: positions}
	tokens := 0
	for i := range seqs {
		if as, copied := copies[i]; copied {
			q.copies[as]++
			continue
		}
		q.order = append(q.order, i)
		tokens += len(seqs[i].Tokens)
	}
	slices.SortStableFunc(q.order, func(a, b int) int { return cmp.Compare(len(seqs[b].Tokens), len(seqs[a].Tokens)) })
	q.perToken = float64(len(seqs)) / float64(max(1, tokens))
	return q
}

// next returns the sequences of a batch within the limits, none at the end.
func (q *queue) next(limits Limits) []int {
	if len(q.order) == 0 {
		return nil
	}
	rows := max(1, limits.Tokens/q.longest())
	if limits.Rows > 0 {
		rows = min(rows, limits.Rows)
	}
	rows = min(rows, len(q.order))
	answers := 0
	for k, i := range q.order[:rows] {
		if answers += q.seqs[i].Answer.Len(); answers > q.positions && k > 0 {
			rows = k
			break
		}
	}
	batch := q.order[:rows]
	q.order = q.order[rows:]
	return batch
}

// longest is the length of the longest sequence that is left, 0 at the end.
func (q *queue) longest() int {
	if len(q.order) == 0 {
		return 0
	}
	return len(q.seqs[q.order[0]].Tokens)
}

// putBack takes a batch back that did not run. None that is left is longer.
func (q *queue) putBack(batch []int) { q.order = slices.Concat(batch, q.order) }

// copiesOf is how many more sequences have the scores of a batch.
func (q *queue) copiesOf(batch []int) (n int) {
	for _, i := range batch {
		n += q.copies[i]
	}
	return n
}

// identical finds sequences that are the same as an earlier one: of each it tells
// the first.
func identical(seqs []Sequence) map[int]int {
	first := make(map[string]int, len(seqs))
	copies := map[int]int{}
	var key []byte
	for i, s := range seqs {
		key = binary.AppendUvarint(key[:0], uint64(s.Answer.From))
		key = binary.AppendUvarint(key, uint64(s.Answer.To))
		for _, id := range s.Tokens {
			key = binary.AppendUvarint(key, uint64(id))
		}
		if as, ok := first[string(key)]; ok {
			copies[i] = as
			continue
		}
		first[string(key)] = i
	}
	return copies
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
