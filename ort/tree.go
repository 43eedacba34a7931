package ort

import (
	"context"
	"fmt"
	"math"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
)

// bias makes the input that says which tokens a token does not look at, fp32
// [B, 1, T, T], of a forward's parents: 0 for itself, its parent and whatever that
// looks at, else -Inf. Where every token follows the one to its left, the operator's
// causal mask says it all, and zeros for one row serve for every row.
func bias() inputMaker {
	var table []float32
	return func(f *forward) (onnx.Value, error) {
		rows, width := 1, f.width
		if len(f.parents) > 0 {
			rows = f.rows
		}
		resize(&table, rows*width*width)
		if len(f.parents) == 0 {
			clear(table)
		}
		for i, parent := range f.parents {
			row := table[i*width : (i+1)*width]
			if parent < 0 {
				for t := range row {
					row[t] = float32(math.Inf(-1))
				}
			} else {
				copy(row, table[(i-i%width+parent)*width:])
			}
			row[i%width] = 0
		}
		return onnx.NewTensor(onnx.NewShape(int64(rows), 1, int64(width), int64(width)), table)
	}
}

// Trees implements model.Scorer.
func (lm *LM) Trees() model.Trees { return lm.trees }

// pairsPerNumber is how many pairs of tokens in an attention take as long as all
// else that is done for a token, for each of the numbers that its heads' queries
// have. On a CPU SmolLM2 in fp32 takes 1.24 ms for a token and 0.4 us for a pair,
// which is 5.4; weights of fewer bits may be faster, so that 2 is on the safe side.
const pairsPerNumber = 2

// probeBranch is how many tokens the first of two sequences has for itself in the
// probe of a tree: what counts places in the row and not in the sequence puts the
// second so far away.
const probeBranch = 32

// tryTrees runs two sequences in one row and each by itself, and has rows be trees
// where it makes no difference.
func (lm *LM) tryTrees(ctx context.Context) error {
	if lm.rewritten == nil || lm.rewritten.Trees.Depths == "" {
		return nil
	}
	both, alone := treeProbe(lm.info.Vocab, lm.rewritten.Trees.MostTokens)
	end, second := both.Width-2, alone.Width
	got, err := lm.words(ctx, both, placesOf(0, end-1, 0, end, 0, end+1))
	if err != nil {
		return err
	}
	want, err := lm.words(ctx, alone, placesOf(0, second-1, 1, 2, 1, 3))
	if err != nil {
		return err
	}
	change, err := largestChange(want, got)
	if err != nil {
		return err
	}
	if change > lm.changeLimit(want) {
		lm.info.Notes = append(lm.info.Notes, fmt.Sprintf(
			"what sequences begin with in common is computed for each: once for all of them changes the logits by %.3g", change))
		return nil
	}
	t := lm.rewritten.Trees
	lm.trees = model.Trees{Tokens: t.MostTokens, Pairs: pairsPerNumber * t.Heads * lm.info.HeadDim}
	if lm.trees.Tokens == 0 {
		lm.trees.Tokens = math.MaxInt
	}
	return nil
}

// treeProbe is two sequences with two tokens in common, as one row of at most so
// many tokens (0 for no bound) and as two.
func treeProbe(vocab, most int) (both, alone *model.Batch) {
	n := probeBranch
	if most > 0 {
		n = max(1, min(n, most-4))
	}
	both, alone = &model.Batch{Rows: 1, Width: n + 4, Lens: []int{n + 4}}, &model.Batch{Rows: 2, Width: n + 2, Lens: []int{n + 2, 4}}
	alone.TokenIDs = make([]int64, 2*alone.Width)
	for i := range n + 4 {
		id, parent := int64((7*i+1)%vocab), i-1
		if i == n+2 {
			parent = 1
		}
		both.TokenIDs, both.Parents = append(both.TokenIDs, id), append(both.Parents, parent)
	}
	copy(alone.TokenIDs, both.TokenIDs[:n+2])
	copy(alone.TokenIDs[n+2:], both.TokenIDs[:2])
	copy(alone.TokenIDs[n+4:], both.TokenIDs[n+2:])
	return both, alone
}

// probeWords is how many words, spread over the vocabulary, a probe of a graph
// rewritten for scoring asks for at each place.
const probeWords = 16

// placesOf makes places of pairs of a row and a position.
func placesOf(pairs ...int) (at []model.Position) {
	for i := 0; i < len(pairs); i += 2 {
		at = append(at, model.Position{Row: pairs[i], At: pairs[i+1]})
	}
	return at
}

// words returns the log-probabilities of some words at places of a batch, one place
// after another.
func (lm *LM) words(ctx context.Context, b *model.Batch, at []model.Position) ([]float32, error) {
	n := min(probeWords, lm.info.Vocab)
	var targets []int64
	for range at {
		for i := range n {
			targets = append(targets, int64(i*(lm.info.Vocab-1)/max(1, n-1)))
		}
	}
	out := make([]float32, len(targets))
	return out, lm.logProbs(ctx, b, at, targets, out)
}
