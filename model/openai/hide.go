package openai

import (
	"strconv"
	"strings"
)

// blank stands where a key stood.
const blank = "***"

// recognisable is the length from which a part of a key counts as the key: some
// servers repeat only its beginning.
const recognisable = 8

// escapes is how deep a key is looked for in escapes within escapes: a gateway
// quotes the JSON of the server behind it, which quotes an address.
const escapes = 4

// hide blanks every key in text, and every longer part of one, whichever way it
// is spelt there: as it is, with other capitals, or with the escapes of JSON,
// HTML and addresses.
func hide(keys []Key, text string) string {
	hidden := make([]bool, len(text))
	chars := plain(text)
	for range escapes {
		for _, key := range keys {
			key.mark(chars, hidden)
		}
		next := unescaped(chars)
		if len(next) == len(chars) {
			break
		}
		chars = next
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			b.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(blank)
		}
	}
	return b.String()
}

// Hide blanks the key, and every longer part of it, in a text.
func (k Key) Hide(text string) string { return hide([]Key{k}, text) }

// char is a byte and where its spelling stands in a text.
type char struct {
	is       byte
	from, to int
}

func plain(text string) []char {
	chars := make([]char, len(text))
	for i := range chars {
		chars[i] = char{text[i], i, i + 1}
	}
	return chars
}

// mark marks where the key stands. A key so short that it may be a common word
// counts only as a whole word.
func (k Key) mark(chars []char, hidden []bool) {
	if k.text == nil {
		return
	}
	text := make([]byte, len(chars))
	for i, c := range chars {
		text[i] = c.is
	}
	key, where := strings.ToLower(*k.text), strings.ToLower(string(latin(text)))
	for from := 0; from < len(where); {
		to := longestPart(key, where, from)
		if to == from {
			from++
			continue
		}
		for i := chars[from].from; i < chars[to-1].to; i++ {
			hidden[i] = true
		}
		from = to
	}
}

// latin replaces what is not ASCII, in which no key has a part: lower case could
// have another length there.
func latin(text []byte) []byte {
	for i, c := range text {
		if c >= 0x80 {
			text[i] = 0
		}
	}
	return text
}

// longestPart returns the end of the longest part of key that text has at from,
// and from where it has none.
func longestPart(key, text string, from int) int {
	if len(key) < recognisable {
		end := from + len(key)
		if strings.HasPrefix(text[from:], key) && !(from > 0 && isWord(text[from-1])) && !(end < len(text) && isWord(text[end])) {
			return end
		}
		return from
	}
	end := from
	for to := from + recognisable; to <= len(text) && strings.Contains(key, text[from:to]); to++ {
		end = to
	}
	return end
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z'
}

// unescaped takes one layer of escapes off.
func unescaped(chars []char) []char {
	out := make([]char, 0, len(chars))
	for i := 0; i < len(chars); {
		is, size := unescape(chars[i:])
		out = append(out, char{is, chars[i].from, chars[i+size-1].to})
		i += size
	}
	return out
}

// named are the characters that HTML has names for.
var named = map[string]byte{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\''}

// unescape reads the character at the start of chars and tells how many bytes
// spell it.
func unescape(chars []char) (is byte, size int) {
	head := make([]byte, 0, 8)
	for _, c := range chars[:min(len(chars), cap(head))] {
		head = append(head, c.is)
	}
	text := string(head)
	switch {
	case len(text) >= 3 && text[0] == '%':
		return hexByte(text, 1, 3)
	case len(text) >= 6 && text[0] == '\\' && text[1] == 'u' && text[2:4] == "00":
		return hexByte(text, 4, 6)
	case len(text) >= 4 && text[0] == '\\' && text[1] == 'x':
		return hexByte(text, 2, 4)
	case len(text) >= 2 && text[0] == '\\' && !isWord(text[1]|0x20):
		return text[1], 2
	case text[0] == '&':
		return entity(text)
	}
	return text[0], 1
}

// hexByte reads the hexadecimal digits text[from:to], behind which the escape
// ends.
func hexByte(text string, from, to int) (is byte, size int) {
	n, err := strconv.ParseUint(text[from:to], 16, 8)
	if err != nil {
		return text[0], 1
	}
	return byte(n), to
}

// entity reads one of HTML, such as &amp; or &#38; or &#x26;.
func entity(text string) (is byte, size int) {
	name, _, found := strings.Cut(text[1:], ";")
	size = len(name) + len("&;")
	if c, ok := named[name]; found && ok {
		return c, size
	}
	if number, ok := strings.CutPrefix(name, "#"); found && ok {
		base := 10
		if hex, ok := strings.CutPrefix(strings.ToLower(number), "x"); ok {
			number, base = hex, 16
		}
		if n, err := strconv.ParseUint(number, base, 8); err == nil {
			return byte(n), size
		}
	}
	return text[0], 1
}
