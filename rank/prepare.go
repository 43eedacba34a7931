package rank

import (
	"strings"
	"unicode/utf8"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// Prepared is an example ready for prompts: its texts clean, its passages
// tokenised, once for all prompts that will show them. Passages that are the same
// then, clean and cut, are one: the teacher sees it once, and all have its place.
type Prepared struct {
	row       *dataset.Row
	query     string
	passages  []string         // [m] distinct ones, no longer than the longest allowed
	encodings []model.Encoding // [m] of the passages before they were cut, of long ones only the beginning
	lens      []int            // [m] tokens of each passage
	same      []int            // [n] of each of the example's passages, the one in passages that it is
}

// Prepare cleans an example and cuts each passage to its first maxLength tokens,
// as the tokenizer counts it alone. Errors are *dataset.Error.
func Prepare(tok model.Tokenizer, ex *Example, maxLength int) (*Prepared, error) {
	p := &Prepared{row: ex.Row, query: Clean(ex.Query)}
	at := map[string]int{}
	for i, text := range ex.Passages {
		text = Clean(text)
		enc, err := model.EncodeFirst(tok, text, maxLength)
		if err != nil {
			return nil, ex.Row.Errorf(dataset.PassageField(i, ex.Pos), "%v", err)
		}
		text = cutTo(text, enc, maxLength)
		k, seen := at[text]
		if !seen {
			k = len(p.passages)
			at[text] = k
			p.passages, p.encodings = append(p.passages, text), append(p.encodings, enc)
			p.lens = append(p.lens, min(len(enc.IDs), maxLength))
		}
		p.same = append(p.same, k)
	}
	return p, nil
}

// distinct turns an order of all passages into one of those that are not the same
// as one before.
func (p *Prepared) distinct(order []int) []int {
	out, seen := make([]int, 0, len(p.passages)), make([]bool, len(p.passages))
	for _, i := range order {
		if k := p.same[i]; !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	return out
}

// all turns an order of distinct passages into one of all, those that are the same
// side by side, and so their scores.
func (p *Prepared) all(order []int, scores []float32) (allOrder []int, allScores []float32) {
	places := make([][]int, len(order))
	for i, k := range p.same {
		places[k] = append(places[k], i)
		allScores = append(allScores, scores[k])
	}
	for _, k := range order {
		allOrder = append(allOrder, places[k]...)
	}
	return allOrder, allScores
}

// copies returns the places of passage i of the example and of those that are the
// same.
func (p *Prepared) copies(i int) (out []int) {
	for place, k := range p.same {
		if k == p.same[i] {
			out = append(out, place)
		}
	}
	return out
}

// repeats says whether some of the passages are the same.
func (p *Prepared) repeats() bool { return len(p.passages) < len(p.same) }

// cut returns the first limit tokens of passage i.
func (p *Prepared) cut(i, limit int) string { return cutTo(p.passages[i], p.encodings[i], limit) }

// cutTo returns the first limit tokens of a text, of which enc may have more than
// text has left. No space is left at the end.
func cutTo(text string, enc model.Encoding, limit int) string {
	if limit >= len(enc.IDs) {
		return text
	}
	return strings.TrimRight(model.CutAfter(text, enc, limit), " ")
}

// Words is a tokenizer for where the model's own is not at hand: a token is a run
// of anything but white space. Their ids are all 0.
type Words struct{}

// Encode implements model.Tokenizer.
func (Words) Encode(text string, _ bool) (model.Encoding, error) {
	var enc model.Encoding
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRuneInString(text[at:])
		if isSpace(r) {
			at += size
			continue
		}
		end := at + strings.IndexFunc(text[at:], isSpace)
		if end < at {
			end = len(text)
		}
		enc.IDs = append(enc.IDs, 0)
		enc.Offsets = append(enc.Offsets, model.Span{From: at, To: end})
		at = end
	}
	return enc, nil
}
