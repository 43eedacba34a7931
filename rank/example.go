// Package rank lets a teacher language model order the passages of a query: a
// prompt shows them under numbers, the model writes a ranking such as
// "[2] > [0] > [1]", and every passage gets a score by its rank. It does the work
// of FlagEmbedding's Reinforced-IR teacher
// (research/Reinforced_IR/data_generation/generate_retriever_distill_data.py).
//
// Passages are counted from 0, pos then neg; an order lists them best first.
// Only the identifiers in prompts and answers may begin at 1.
package rank

import (
	"fmt"

	"github.com/ortscore/ortscore/io/dataset"
)

// Example is a row that was understood: what is to be ranked, still as text.
type Example struct {
	Row      *dataset.Row
	Query    string
	Passages []string // pos then neg, one at least; a text may come twice
	Pos      int      // how many of Passages are pos
}

// ReadExample finds in a row what is ranked. Errors are *dataset.Error.
func ReadExample(row *dataset.Row) (*Example, error) {
	pos, okPos, err := row.Strings("pos")
	if err != nil {
		return nil, err
	}
	neg, okNeg, err := row.Strings("neg")
	if err != nil {
		return nil, err
	}
	if !okPos && !okNeg {
		return nil, row.Errorf("pos", "want pos or neg, got neither of them")
	}
	query, ok, err := row.String("query")
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, row.Errorf("query", "want a string, got none")
	}
	if len(pos)+len(neg) == 0 {
		return nil, row.Errorf("pos", "want at least one passage in pos or neg, got none")
	}
	return &Example{Row: row, Query: query, Passages: append(pos[:len(pos):len(pos)], neg...), Pos: len(pos)}, nil
}

// distinct counts the passages that are not the same to the letter. Some of them may
// still be, once they are clean.
func (ex *Example) distinct() int {
	seen := make(map[string]bool, len(ex.Passages))
	for _, text := range ex.Passages {
		seen[text] = true
	}
	return len(seen)
}

// passageField names passage i as the row does: pos[0], neg[2].
func (ex *Example) passageField(i int) string {
	if i < ex.Pos {
		return fmt.Sprintf("pos[%d]", i)
	}
	return fmt.Sprintf("neg[%d]", i-ex.Pos)
}
