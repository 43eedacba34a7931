package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Everything here walks bytes that json.Valid has passed, so that there is no
// error to look for, only ends.

func skipSpace(b []byte, at int) int {
	for at < len(b) && (b[at] == ' ' || b[at] == '\t' || b[at] == '\r' || b[at] == '\n') {
		at++
	}
	return at
}

// skipString gives the offset after the string whose opening quote is at at.
func skipString(b []byte, at int) int {
	at++
	for {
		quote := at + bytes.IndexByte(b[at:], '"')
		slashes := 0
		for quote-slashes > at && b[quote-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return quote + 1
		}
		at = quote + 1
	}
}

// skipValue gives the offset after the value that starts at at.
func skipValue(b []byte, at int) int {
	switch b[at] {
	case '"':
		return skipString(b, at)
	case '{', '[':
		return skipNested(b, at)
	}
	for ; at < len(b); at++ {
		switch b[at] {
		case ',', ']', '}', ' ', '\t', '\r', '\n':
			return at
		}
	}
	return at
}

// skipNested gives the offset after the list or object that starts at at. It
// counts instead of recursing: depth costs no stack.
func skipNested(b []byte, at int) int {
	depth := 0
	for {
		switch b[at] {
		case '"':
			at = skipString(b, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
			if depth == 0 {
				return at + 1
			}
		}
		at++
	}
}

// elements goes over the values of a list.
func elements(list []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		at := skipSpace(list, 1)
		for i := 0; list[at] != ']'; i++ {
			end := skipValue(list, at)
			if !yield(i, list[at:end]) {
				return
			}
			at = skipSpace(list, end)
			if list[at] == ',' {
				at = skipSpace(list, at+1)
			}
		}
	}
}

// kind names the type of a value in a message.
func kind(json []byte) string {
	switch json[0] {
	case '"':
		return "a string"
	case '[':
		return "a list"
	case '{':
		return "an object"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// unquote decodes a string. It is an error where the escapes spell a NUL or half
// a surrogate pair, which encoding/json would turn into U+FFFD in silence;
// the error counts characters from 1.
func unquote(literal []byte) (string, error) {
	s := literal[1 : len(literal)-1]
	slash := bytes.IndexByte(s, '\\')
	if slash < 0 {
		return string(s), nil
	}
	out := make([]byte, 0, len(s))
	for slash >= 0 {
		out = append(out, s[:slash]...)
		char, size, err := unescape(s[slash:])
		if err != nil {
			return "", fmt.Errorf("%w at character %d", err, utf8.RuneCount(out)+1)
		}
		out = utf8.AppendRune(out, char)
		s = s[slash+size:]
		slash = bytes.IndexByte(s, '\\')
	}
	return string(append(out, s...)), nil
}

var (
	errNUL       = errors.New("want text without NUL, got U+0000")
	shortEscapes = map[byte]rune{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}
)

// unescape decodes the escape at the start of s and gives its length.
func unescape(s []byte) (char rune, size int, err error) {
	if s[1] != 'u' {
		if char, ok := shortEscapes[s[1]]; ok {
			return char, 2, nil
		}
		return rune(s[1]), 2, nil // a quote, a slash or a backslash
	}
	char = hex4(s[2:])
	switch {
	case char == 0:
		return 0, 0, errNUL
	case !utf16.IsSurrogate(char):
		return char, 6, nil
	}
	if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if both := utf16.DecodeRune(char, hex4(s[8:])); both != utf8.RuneError {
			return both, 12, nil
		}
	}
	return 0, 0, fmt.Errorf("want whole surrogate pairs, got a lone %s", s[:6])
}

func hex4(s []byte) rune {
	n, _ := strconv.ParseUint(string(s[:4]), 16, 16)
	return rune(n)
}
