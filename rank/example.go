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
	"github.com/ortscore/ortscore/io/dataset"
)

// Example is a row on its way from its line to its scores.
type Example struct {
	Row      *dataset.Row
	Query    string
	Passages []string // pos then neg, one at least; a text may come twice
	Pos      int      // how many of Passages are pos

	prepared     *Prepared
	permutations []*permutation
	applied      int            // answers, to the permutations
	cut          map[int]bool   // distinct passages that were not shown whole
	bad          *dataset.Error // of a prompt after the first
}

// ReadExample finds in a row what is ranked. Errors are *dataset.Error.
func ReadExample(row *dataset.Row) (*Example, error) {
	passages, pos, ok, err := row.Passages()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, row.Errorf("pos", "want pos or neg, got neither of them")
	}
	query, ok, err := row.String("query")
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, row.Errorf("query", "want a string, got none")
	}
	if len(passages) == 0 {
		return nil, row.Errorf("pos", "want at least one passage in pos or neg, got none")
	}
	return &Example{Row: row, Query: query, Passages: passages, Pos: pos}, nil
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

// cutPassages counts the passages that were not shown whole.
func (ex *Example) cutPassages() (n int) {
	for _, k := range ex.prepared.same {
		if ex.cut[k] {
			n++
		}
	}
	return n
}
