package model

import (
	"cmp"
	"slices"
)

// Trees is what a Scorer tells of rows that hold several sequences, what these
// begin with in common once. The zero value takes one sequence a row.
type Trees struct {
	Tokens int // most tokens of a row
	// Pairs is how many pairs of tokens, one looking at the other, take as long as
	// all else that is done for one token. A row of T tokens is T*T pairs, since what
	// a token is not to look at is masked and not left out.
	Pairs int
}

// treeTokens bounds the tokens of a tree, whose memory grows with their square; one
// may also be a quarter longer than the sequence that joins it, or the one before.
const treeTokens = 1024

// tree is a row of a batch: sequences in the order of their tokens, each laid out
// from where it parts from the one before.
type tree struct {
	branches []branch
	tokens   int // that are laid out, T
	asks     int // targets of all branches
}

// branch is a sequence in a tree.
type branch struct {
	seq    int // its place in the list
	shared int // its first tokens, which are those of the branch before
	from   int // the place in the row of the token after these
}

// plant lays sequences out as trees: those at the places in order. A sequence joins the
// one before, of those sorted by their tokens, where that is less work and the tree
// does not become too long. Nothing but the sequences and the model decides, since a
// value's last bits depend on the tree.
func plant(seqs []Sequence, order []int, t Trees) []tree {
	if t.Tokens > 0 {
		slices.SortStableFunc(order, func(a, b int) int { return slices.Compare(seqs[a].Tokens, seqs[b].Tokens) })
	}
	trees := make([]tree, 0, len(order))
	for _, i := range order {
		if t.Tokens > 0 && len(trees) > 0 {
			last := &trees[len(trees)-1]
			before := seqs[last.branches[len(last.branches)-1].seq]
			shared := Common(before.Tokens, seqs[i].Tokens)
			limit := min(t.Tokens, max(treeTokens, 5*max(len(before.Tokens), len(seqs[i].Tokens))/4))
			if last.takes(seqs[i], shared, t.Pairs, limit) {
				last.add(seqs[i], i, shared)
				continue
			}
		}
		alone := tree{}
		alone.add(seqs[i], i, 0)
		trees = append(trees, alone)
	}
	return trees
}

func sortTrees(trees []tree) {
	slices.SortStableFunc(trees, func(a, b tree) int { return cmp.Compare(b.tokens, a.tokens) })
}

// Common is how many tokens a and b begin with in common.
func Common(a, b []int32) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// takes reports whether a sequence whose first tokens are shared is less work in
// the tree than by itself.
func (t *tree) takes(s Sequence, shared, pairs, tokens int) bool {
	n := len(s.Tokens)
	whole := t.tokens + n - shared
	more := whole*whole - t.tokens*t.tokens - n*n
	return shared*pairs > more && whole <= tokens
}

func (t *tree) add(s Sequence, i, shared int) {
	t.branches = append(t.branches, branch{i, shared, t.tokens})
	t.tokens += len(s.Tokens) - shared
	t.asks += len(s.Asks)
}

// place is where the row has the token at depth of its k-th branch.
func (t *tree) place(k, depth int) int {
	for t.branches[k].shared > depth {
		k-- // it begins as the one before
	}
	return t.branches[k].from + depth - t.branches[k].shared
}

// split makes a tree of each branch.
func (t *tree) split(seqs []Sequence) []tree {
	alone := make([]tree, len(t.branches))
	for k, b := range t.branches {
		alone[k].add(seqs[b.seq], b.seq, 0)
	}
	return alone
}
