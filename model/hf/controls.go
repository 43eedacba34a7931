package hf

import (
	"fmt"
	"unicode/utf8"

	"github.com/ortscore/ortscore/model"
)

// withoutControls returns the encoding of a text without control tokens: enc,
// unless the model itself writes special tokens that stand in the text as one
// token. A Unigram or a WordLevel does so where they are in its vocabulary,
// whatever the library is told. Such a text is tokenised in parts, cut behind the
// first character of each. goesOn is as in goOn.
func (t *Tokenizer) withoutControls(text string, goesOn bool, enc model.Encoding) (model.Encoding, error) {
	cuts := t.controlCuts(text, enc)
	if len(cuts) == 0 {
		return enc, nil
	}
	var out model.Encoding
	from := 0
	for _, to := range append(cuts, len(text)) {
		part, err := t.goOn(text[from:to], goesOn || from > 0)
		if err == nil && len(t.controlCuts(text[from:to], part)) > 0 {
			err = fmt.Errorf("want text whose special tokens can be tokenized as text, got %q", text[from:to])
		}
		if err != nil {
			return out, err
		}
		out = join(out, part, from)
		from = to
	}
	return out, nil
}

// controlCuts returns a place within each special token that the encoding took for
// one. Tokens of one character, such as a newline, are text wherever they stand.
func (t *Tokenizer) controlCuts(text string, enc model.Encoding) (cuts []int) {
	for i, id := range enc.IDs {
		content, ok := t.special[id]
		o := enc.Offsets[i]
		if !ok || utf8.RuneCountInString(content) < 2 || id == t.unknown && text[o.From:o.To] != content {
			continue
		}
		if _, size := utf8.DecodeRuneInString(text[o.From:]); size < o.Len() {
			cuts = append(cuts, o.From+size)
		}
	}
	return cuts
}

// goOn tokenises a text or, where it goes on from others, what follows a newline
// in it: some tokenizers put a space before the first word of a text.
func (t *Tokenizer) goOn(text string, goesOn bool) (model.Encoding, error) {
	if text == "" || !goesOn {
		return t.encode(text)
	}
	enc, err := t.encode("\n" + text)
	if err != nil {
		return enc, err
	}
	first := 0
	for first < len(enc.Offsets) && enc.Offsets[first].To <= 1 {
		first++
	}
	if first < len(enc.Offsets) && enc.Offsets[first].From < 1 {
		// A token holds the newline and more: better a space than a lost character.
		return t.encode(text)
	}
	return join(model.Encoding{}, model.Encoding{IDs: enc.IDs[first:], Offsets: enc.Offsets[first:]}, -1), nil
}

// join appends the encoding of a text that begins at byte at.
func join(out, part model.Encoding, at int) model.Encoding {
	out.IDs = append(out.IDs, part.IDs...)
	for _, o := range part.Offsets {
		out.Offsets = append(out.Offsets, model.Span{From: o.From + at, To: o.To + at})
	}
	return out
}
