package rank

import (
	"strings"
	"unicode/utf8"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// Prepared is an example ready for prompts: its texts clean, its passages
// tokenised, once for all prompts that will show them.
type Prepared struct {
	row       *dataset.Row
	query     string
	passages  []string         // [n] no longer than the longest allowed
	encodings []model.Encoding // [n] of the passages before they were cut
	lens      []int            // [n] tokens of each passage
}

// Prepare cleans an example and cuts each passage to its first maxLength tokens,
// as the tokenizer counts it alone. Errors are *dataset.Error.
func Prepare(tok model.Tokenizer, ex *Example, maxLength int) (*Prepared, error) {
	n := len(ex.Passages)
	p := &Prepared{row: ex.Row, query: Clean(ex.Query), passages: make([]string, n),
		encodings: make([]model.Encoding, n), lens: make([]int, n)}
	for i, text := range ex.Passages {
		text = Clean(text)
		enc, err := tok.Encode(text, false)
		if err != nil {
			return nil, ex.Row.Errorf(ex.passageField(i), "%v", err)
		}
		p.encodings[i], p.lens[i] = enc, min(len(enc.IDs), maxLength)
		p.passages[i] = p.cut(text, i, maxLength)
	}
	return p, nil
}

// cut returns the first limit tokens of passage i, of which text has as many or
// all. No space is left at the end.
func (p *Prepared) cut(text string, i, limit int) string {
	if limit >= len(p.encodings[i].IDs) {
		return text
	}
	return strings.TrimRight(model.CutAfter(text, p.encodings[i], limit), " ")
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
