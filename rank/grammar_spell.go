package rank

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/ortscore/ortscore/model"
)

// separator stands between the identifiers of a ranking.
const separator = " > "

// identifier is how a ranking names a passage.
func identifier(id int) string { return "[" + strconv.Itoa(id) + "]" }

// speller finds the tokens of identifiers from whole rankings, so that every
// token is one that the tokenizer would put there. A ranking is cut into items,
// all at the same byte between "]" and the next digit, such that no token ever
// reaches over it.
type speller struct {
	tok        model.Tokenizer
	tail, lead string
	before     []int32 // the tokens of tail
	base       int     // the first identifier

	cut          int       // the bytes of " > [" that belong to the item before
	first, later [][]int32 // [most] tokens of each item at the first and at later places; nil while unknown
}

// spell learns the items of so many passages. The places to cut are tried from "]"
// on: most tokenizers have a token's end right there, but for some the separator
// clings to it, the next "[" included.
func spell(tok model.Tokenizer, tail, lead string, base, most int) (*speller, error) {
	before, err := tok.Encode(tail, false)
	if err != nil {
		return nil, err
	}
	var failed error
	for cut := range len(separator+"[") + 1 {
		s := &speller{tok: tok, tail: tail, lead: lead, before: before.IDs, base: base, cut: cut,
			first: make([][]int32, most), later: make([][]int32, most)}
		if err := s.learnAll(); err == nil {
			return s, nil
		} else if failed == nil {
			failed = err
		}
	}
	return nil, failed
}

// learnAll meets every passage at the first place and, among several neighbours,
// at later ones.
func (s *speller) learnAll() error {
	n := len(s.first)
	for i := range n {
		if err := s.learn([]int{i, (i + 1) % n, i, (i + n/2) % n, i, n - 1 - i}); err != nil {
			return err
		}
	}
	return errors.Join(s.checkApart(s.first), s.checkApart(s.later))
}

// learn takes in the items of a ranking, the last one excepted, or holds them
// against what is known. A passage may come more than once.
func (s *speller) learn(order []int) error {
	found, err := s.split(order)
	if err != nil {
		return err
	}
	for place, ids := range found {
		known := &s.later[order[place]]
		if place == 0 {
			known = &s.first[order[place]]
		}
		if *known == nil {
			*known = ids
		}
		if !slices.Equal(*known, ids) {
			return fmt.Errorf("want the same tokens for %s wherever it stands, got %v and %v",
				identifier(s.base+order[place]), *known, ids)
		}
	}
	return nil
}

// split returns the tokens of a ranking's items, the last one excepted.
func (s *speller) split(order []int) ([][]int32, error) {
	text := s.tail + s.lead
	var ends []int
	for place, i := range order {
		if place > 0 {
			ends = append(ends, len(text)+s.cut)
			text += separator
		}
		text += identifier(s.base + i)
	}
	enc, err := s.tok.Encode(text, false)
	if err != nil {
		return nil, err
	}
	from := len(s.before)
	if len(enc.IDs) < from || !slices.Equal(enc.IDs[:from], s.before) {
		return nil, fmt.Errorf("want the prompt's end to keep its tokens before a ranking, got others for %q", s.tail)
	}
	var out [][]int32
	for _, end := range ends {
		to := from
		for to < len(enc.IDs) && enc.Offsets[to].To <= end {
			to++
		}
		if to < len(enc.IDs) && enc.Offsets[to].From < end {
			return nil, fmt.Errorf("want a token to end between two identifiers, got %q", text[enc.Offsets[to].From:enc.Offsets[to].To])
		}
		out = append(out, enc.IDs[from:to:to])
		from = to
	}
	return out, nil
}

// checkApart refuses items of which one begins with another: their text would
// not say where it ends.
func (s *speller) checkApart(tokens [][]int32) error {
	sorted := newItems(tokens).sorted
	for k := range len(sorted) - 1 {
		a, b := sorted[k], sorted[k+1]
		if len(tokens[b]) >= len(tokens[a]) && slices.Equal(tokens[a], tokens[b][:len(tokens[a])]) {
			return fmt.Errorf("want tokens that tell %s from %s, got %v and %v",
				identifier(s.base+a), identifier(s.base+b), tokens[a], tokens[b])
		}
	}
	return nil
}
