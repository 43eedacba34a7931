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
		// A quote or a backslash is left over from a shell or a JSON file.
		if c := text[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return Key{}, fmt.Errorf("want a key of printable ASCII without spaces, quotes and backslashes, got another character at byte %d of %d", i, len(text))
		}
	}
	return Key{&text}, nil
}
