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
// which is 5.4; with integers the multiplies are twice as fast, so that 2 is on the
// safe side.
const pairsPerNumber = 2

// tryTrees runs two sequences in one row and each by itself, and has rows be trees
// where it makes no difference.
func (lm *LM) tryTrees(ctx context.Context) error {
	if lm.rewritten == nil || lm.rewritten.Trees.Depths == "" {
		return nil
	}
	// 1 2 3 4 and 1 2 5 6
	both := &model.Batch{Rows: 1, Width: 6, TokenIDs: []int64{1, 2, 3, 4, 5, 6}, Lens: []int{6}, Parents: []int{-1, 0, 1, 2, 1, 4}}
	alone := &model.Batch{Rows: 2, Width: 4, TokenIDs: []int64{1, 2, 3, 4, 1, 2, 5, 6}, Lens: []int{4, 4}}
	got, err := lm.words(ctx, both, []place{{0, 2}, {0, 3}, {0, 4}, {0, 5}})
	if err != nil {
		return err
	}
	want, err := lm.words(ctx, alone, []place{{0, 2}, {0, 3}, {1, 2}, {1, 3}})
	if err != nil {
		return err
	}
	change, err := largestChange(want, got)
	if err != nil {
		return err
	}
	if change > leakLimit(lm.out.typ) {
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

// probeWords is how many words, spread over the vocabulary, a probe of a graph
// rewritten for scoring asks for at each place.
const probeWords = 64

// words returns the log-probabilities of some words at places of a batch, one place
// after another.
func (lm *LM) words(ctx context.Context, b *model.Batch, at []place) ([]float32, error) {
	n := min(probeWords, lm.info.Vocab)
	var asked []model.Position
	for _, p := range at {
		for i := range n {
			asked = append(asked, model.Position{Row: p.row, At: p.column, Target: int32(i * (lm.info.Vocab - 1) / max(1, n-1))})
		}
	}
	out := make([]float32, len(asked))
	return out, lm.LogProbs(ctx, b, asked, out)
}
