package hf

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ortscore/ortscore/model"
)

// ChatTokenizer tokenises what a trusted template has made, a chat template or one
// of the user's own: the special tokens that the template wrote are control tokens,
// those that stood in the data are text. It is safe for use by several goroutines.
type ChatTokenizer struct {
	plain   *Tokenizer // takes special tokens for text
	control *Tokenizer // takes them for what they are
	special []string   // the longest first
	protect *strings.Replacer
}

// Marks stand for special tokens of the data while a template is rendered: the
// character firstMark+i is special[i]. They are of Unicode's private use, plane
// 15, which is in no text that a model can make sense of.
const (
	firstMark = 0xF0000
	openMark  = 0xFFFFC // the two stand round what Enclose encloses
	closeMark = 0xFFFFD
)

// LoadChatTokenizer reads the tokenizer.json that plain was read from once more.
func LoadChatTokenizer(path string, plain *Tokenizer) (*ChatTokenizer, error) {
	control, err := loadTokenizer(path, true)
	if err != nil {
		return nil, err
	}
	c := &ChatTokenizer{plain: plain, control: control, special: slices.Collect(maps.Keys(plain.Special))}
	slices.SortFunc(c.special, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	if len(c.special) > openMark-firstMark {
		c.special = c.special[:openMark-firstMark]
	}
	var pairs []string
	for i, s := range c.special {
		pairs = append(pairs, s, string(rune(firstMark+i)))
	}
	c.protect = strings.NewReplacer(pairs...)
	return c, nil
}

// Protect puts marks in the place of the special tokens in a text, which may then
// go through a template. Characters that could be taken for marks become U+FFFD.
func (c *ChatTokenizer) Protect(data string) string {
	data = strings.Map(func(r rune) rune {
		if isMark(r) {
			return '\uFFFD'
		}
		return r
	}, data)
	return c.protect.Replace(data)
}

func isMark(r rune) bool { return r >= firstMark && r <= closeMark }

// Enclose puts marks round a protected text, so that Enclosed finds it in what a
// template makes of it, and the white space at its ends stays.
func (c *ChatTokenizer) Enclose(text string) string {
	return string(rune(openMark)) + text + string(rune(closeMark))
}

// Enclosed returns the one text in a rendered text that Enclose has enclosed, and
// what stands before it.
func (c *ChatTokenizer) Enclosed(rendered string) (before, text string, ok bool) {
	before, rest, ok1 := strings.Cut(rendered, string(rune(openMark)))
	text, after, ok2 := strings.Cut(rest, string(rune(closeMark)))
	return before, text, ok1 && ok2 && !strings.ContainsFunc(before+text+after, func(r rune) bool { return r == openMark || r == closeMark })
}

// Encode tokenises a rendered text; a mark becomes the tokens of its special
// token's text. Spans are those in the rendered text. With special, what the
// tokenizer puts before a text (BOS) comes first, unless the text begins with it;
// without, nothing is added, as transformers' apply_chat_template does.
func (c *ChatTokenizer) Encode(rendered string, special bool) (model.Encoding, error) {
	var out model.Encoding
	add := func(t *Tokenizer, text string, at int) (err error) {
		part, err := t.goOn(text, len(out.IDs) > 0)
		out = join(out, part, at)
		return err
	}
	from := 0
	for from < len(rendered) {
		at := strings.IndexFunc(rendered[from:], isMark)
		if at < 0 {
			at = len(rendered) - from
		}
		if err := add(c.control, rendered[from:from+at], from); err != nil {
			return out, err
		}
		if from += at; from == len(rendered) {
			break
		}
		mark, size := utf8.DecodeRuneInString(rendered[from:])
		if err := c.addMarked(mark, model.Span{From: from, To: from + size}, &out); err != nil {
			return out, err
		}
		from += size
	}
	if err := c.control.narrow(rendered, out); err != nil {
		return out, err
	}
	if special && !beginsWith(out, c.plain.Before) {
		out.IDs = append(slices.Clone(c.plain.Before), out.IDs...)
		out.Offsets = append(make([]model.Span, len(c.plain.Before)), out.Offsets...)
	}
	return out, nil
}

// addMarked appends the tokens of the special token's text that a mark stands for.
func (c *ChatTokenizer) addMarked(mark rune, place model.Span, out *model.Encoding) error {
	i := int(mark - firstMark)
	if i >= len(c.special) {
		return nil
	}
	goesOn := len(out.IDs) > 0
	part, err := c.plain.goOn(c.special[i], goesOn)
	if err == nil {
		part, err = c.plain.withoutControls(c.special[i], goesOn, part)
	}
	out.IDs = append(out.IDs, part.IDs...)
	for range part.IDs {
		out.Offsets = append(out.Offsets, place)
	}
	return err
}

// narrow leaves white space beside a special token out of its span: a token may
// swallow it, and is no more part of an answer for that. A special token that does
// not stand in the text as it is comes out of the data, by way of the normalizer.
func (t *Tokenizer) narrow(text string, enc model.Encoding) error {
	for i, id := range enc.IDs {
		content, o := t.special[id], &enc.Offsets[i]
		if content == "" || id == t.unknown {
			continue
		}
		at := strings.Index(text[o.From:o.To], content)
		if at < 0 && utf8.RuneCountInString(content) > 1 && !isMark(first(text[o.From:])) {
			return fmt.Errorf("want text that does not become the special token %s, got %q", content, text[o.From:o.To])
		}
		if at >= 0 {
			*o = model.Span{From: o.From + at, To: o.From + at + len(content)}
		}
	}
	return nil
}

func first(text string) rune {
	r, _ := utf8.DecodeRuneInString(text)
	return r
}

func beginsWith(enc model.Encoding, ids []int32) bool {
	return len(enc.IDs) >= len(ids) && slices.Equal(enc.IDs[:len(ids)], ids)
}

// AfterSpecial returns what follows a text's last special token; all of it where
// there is none.
func (c *ChatTokenizer) AfterSpecial(text string) string {
	end := 0
	for _, s := range c.special {
		if at := strings.LastIndex(text, s); at >= 0 {
			end = max(end, at+len(s))
		}
	}
	return text[end:]
}

// Close releases the tokenizer that LoadChatTokenizer read.
func (c *ChatTokenizer) Close() error { return c.control.Close() }
