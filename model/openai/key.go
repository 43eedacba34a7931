package openai

import (
	"fmt"
	"strings"
)

// Key is an API key. The zero Key is none.
//
// It holds a pointer, which package fmt prints as an address at any depth: no
// verb shows the key, nor does encoding/json.
type Key struct{ text *string }

// ParseKey takes a key from a file's content or a variable. White space around
// it is cut; nothing but white space is no key. The error for what cannot be a
// key does not hold it.
func ParseKey(text string) (Key, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return Key{}, nil
	}
	for i := range len(text) {
		// A quote or a backslash comes from a shell or a JSON file, and would be
		// escaped where a server repeats the key, past all redacting.
		if c := text[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return Key{}, fmt.Errorf("want a key of printable ASCII without spaces, quotes and backslashes, got another character at byte %d of %d", i, len(text))
		}
	}
	return Key{&text}, nil
}

// recognisable is the length from which a part of the key counts as the key:
// some servers repeat only its beginning.
const recognisable = 8

// redact replaces the key in text, and every longer part of it.
func (k Key) redact(text string) string {
	if k.text == nil {
		return text
	}
	key := *k.text
	least := min(len(key), recognisable)
	var b strings.Builder
	for i := 0; i < len(text); {
		end := i
		for to := i + least; to <= len(text) && strings.Contains(key, text[i:to]); to++ {
			end = to
		}
		if end == i {
			b.WriteByte(text[i])
			i++
			continue
		}
		b.WriteString("***")
		i = end
	}
	return b.String()
}
