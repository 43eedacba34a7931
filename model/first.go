package model

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A long text is tokenized from its beginning, as much of it as settles the tokens
// that are asked for.
const (
	firstPrefix  = 8 << 10 // bytes that are tried first; then twice as many, and so on
	longText     = 2 * firstPrefix
	mostPrefix   = 1 << 20 // bytes that are tried last,
	mostPerToken = 64      // or so many for each token, where that is more
	settling     = 128     // tokens behind the last that must have settled too
)

// EncodeFirst tokenizes a text for its first n tokens, without special tokens:
// these are the whole text's, and where the text has more, the encoding has some
// of them too. A long text is read from its beginning and only as far as two
// prefixes, one twice as long as the other, agree; what is read is bounded, and
// where they never agree within it, that is an error.
func EncodeFirst(tok Tokenizer, text string, n int) (Encoding, error) {
	if len(text) <= longText || n >= len(text) {
		return tok.Encode(text, false)
	}
	most := max(mostPrefix, mostPerToken*n)
	var before Encoding
	for size := firstPrefix; ; size *= 2 {
		if size >= len(text) && len(text) <= most {
			return tok.Encode(text, false)
		}
		if size > most {
			return Encoding{}, fmt.Errorf("want a text whose first %d tokens end within %d bytes, got %d bytes in which they do not: shorten it, or break up its long words", n, most, len(text))
		}
		enc, err := tok.Encode(text[:wordEnd(text, size)], false)
		if err != nil {
			return Encoding{}, err
		}
		if agree(before, enc, n+settling) {
			return enc, nil
		}
		before = enc
	}
}

// agree reports whether two encodings have the same first n tokens.
func agree(a, b Encoding, n int) bool {
	return len(a.IDs) >= n && len(b.IDs) >= n && slices.Equal(a.IDs[:n], b.IDs[:n]) && slices.Equal(a.Offsets[:n], b.Offsets[:n])
}

// wordEnd returns the end of the last word that ends within size bytes; where
// there is none in the last half of them, that of the last character.
func wordEnd(text string, size int) int {
	for !utf8.RuneStart(text[size]) {
		size--
	}
	if space := strings.LastIndexFunc(text[:size+1], unicode.IsSpace); space > size/2 {
		if end := len(strings.TrimRightFunc(text[:space], unicode.IsSpace)); end > size/2 {
			return end
		}
	}
	return size
}

// longAlone is how many bytes of a text are tokenised with all that stands round it
// without a look at the text alone.
const longAlone = 64 << 10

// ExceedsAlone says whether a text alone has more than n tokens, without tokenising all
// of it. Of a text of up to 64 KiB it says no: that is soon tokenised with what stands
// round it.
func ExceedsAlone(tok Tokenizer, text string, n int) (bool, error) {
	if len(text) <= longAlone {
		return false, nil
	}
	enc, err := EncodeFirst(tok, text, n)
	return err == nil && len(enc.IDs) > n, err
}
