package hf

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// ChatTokenizer tokenises what a chat template rendered: the special tokens that
// the template wrote are control tokens, those that stood in the data are text.
// It is safe for use by several goroutines.
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
	lastMark  = 0xFFFFD
)

// LoadChatTokenizer reads the tokenizer.json that plain was read from once more.
func LoadChatTokenizer(path string, plain *Tokenizer) (*ChatTokenizer, error) {
	control, err := loadTokenizer(path)
	if err != nil {
		return nil, err
	}
	c := &ChatTokenizer{plain: plain, control: control, special: slices.Collect(maps.Keys(plain.Special))}
	slices.SortFunc(c.special, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	if len(c.special) > lastMark-firstMark {
		c.special = c.special[:lastMark-firstMark]
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

func isMark(r rune) bool { return r >= firstMark && r <= lastMark }

// Encode tokenises a rendered text and adds nothing to it, as transformers'
// apply_chat_template does; a mark becomes the tokens of its special token's text.
func (c *ChatTokenizer) Encode(rendered string) ([]int32, error) {
	var ids []int32
	add := func(t *Tokenizer, text string) error {
		more, err := t.goOn(text, len(ids) > 0)
		ids = append(ids, more...)
		return err
	}
	for {
		at := strings.IndexFunc(rendered, isMark)
		if at < 0 {
			return ids, add(c.control, rendered)
		}
		mark := []rune(rendered[at : at+4])[0] // four bytes, as all of plane 15
		text := ""
		if i := int(mark - firstMark); i < len(c.special) {
			text = c.special[i]
		}
		if err := add(c.control, rendered[:at]); err != nil {
			return nil, err
		}
		if err := add(c.plain, text); err != nil {
			return nil, err
		}
		rendered = rendered[at+4:]
	}
}

// goOn tokenises a text or, where it goes on from others, what follows a newline
// in it: some tokenizers put a space before the first word of a text.
func (t *Tokenizer) goOn(text string, goesOn bool) ([]int32, error) {
	if text == "" {
		return nil, nil
	}
	if goesOn {
		enc, err := t.encode("\n"+text, false)
		if err != nil {
			return nil, err
		}
		first := 0
		for first < len(enc.Offsets) && enc.Offsets[first][1] <= 1 {
			first++
		}
		if first == len(enc.Offsets) || enc.Offsets[first][0] >= 1 {
			return toInt32(enc.IDs[first:]), nil
		}
		// A token holds the newline and more: better a space than a lost character.
	}
	enc, err := t.encode(text, false)
	return toInt32(enc.IDs), err
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
