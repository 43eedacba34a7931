package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Row is one line: a JSON object whose values stay undecoded until asked for.
// It is not changed after Parse, so it may be read from several goroutines.
type Row struct {
	File string
	Line int
	Raw  []byte // the line without its end; not to be modified

	fields []field
	index  map[string]int // from a field's name to its place in fields
}

// field is where one field stands in Raw. Key and value have no white space
// around them.
type field struct {
	name       string
	key        int // offset of the key's opening quote
	value, end int // the value is Raw[value:end]
}

// Parse checks a line and finds its fields. The line must be one JSON object in
// valid UTF-8 with no top-level field twice; any error is an *Error. The row
// keeps raw.
func Parse(file string, line int, raw []byte) (*Row, error) {
	r := &Row{File: file, Line: line, Raw: raw}
	if !utf8.Valid(raw) {
		at := invalidUTF8(raw)
		return nil, r.errorAt(at, "want valid UTF-8, got byte 0x%02x", raw[at])
	}
	start := skipSpace(raw, 0)
	if line == 1 && start < len(raw) && raw[start] == '[' {
		// The usual mistake, and the list may well go on over many lines.
		return nil, r.Errorf("", "want one JSON object a line, got a list")
	}
	if !json.Valid(raw) {
		return nil, r.syntaxError()
	}
	if raw[start] != '{' {
		return nil, r.Errorf("", "want a JSON object, got %s", kind(raw[start:]))
	}
	if err := r.findFields(start); err != nil {
		return nil, err
	}
	return r, nil
}

// findFields fills fields and index from the valid object at offset start.
func (r *Row) findFields(start int) error {
	r.index = make(map[string]int, 8)
	at := skipSpace(r.Raw, start+1)
	for r.Raw[at] != '}' {
		f := field{key: at}
		keyEnd := skipString(r.Raw, at)
		f.name = fieldName(r.Raw[at:keyEnd])
		colon := skipSpace(r.Raw, keyEnd)
		f.value = skipSpace(r.Raw, colon+1)
		f.end = skipValue(r.Raw, f.value)
		if _, twice := r.index[f.name]; twice {
			return r.Errorf(f.name, "want the field once, got it twice")
		}
		r.index[f.name] = len(r.fields)
		r.fields = append(r.fields, f)
		at = skipSpace(r.Raw, f.end)
		if r.Raw[at] == ',' {
			at = skipSpace(r.Raw, at+1)
		}
	}
	return nil
}

// fieldName decodes a key. A key that is no text (it holds half a surrogate
// pair, say) goes by its literal spelling: nobody asks for it by name, and two
// such keys must not pass for one.
func fieldName(key []byte) string {
	name, err := unquote(key)
	if err != nil {
		return string(key)
	}
	return name
}

// Errorf makes an error at this row. Field is empty where the row as a whole is
// bad.
func (r *Row) Errorf(field, format string, args ...any) *Error {
	return &Error{File: r.File, Line: r.Line, Field: field, Msg: fmt.Sprintf(format, args...), Raw: r.Raw}
}

// errorAt makes an error at an offset of the line.
func (r *Row) errorAt(offset int, format string, args ...any) *Error {
	e := r.Errorf("", format, args...)
	e.Column = offset + 1
	return e
}

// ignored takes any JSON value and keeps nothing of it.
type ignored struct{}

func (*ignored) UnmarshalJSON([]byte) error { return nil }

// syntaxError says where and why Raw is not valid JSON.
func (r *Row) syntaxError() *Error {
	var syntax *json.SyntaxError
	if err := json.Unmarshal(r.Raw, new(ignored)); !errors.As(err, &syntax) {
		return r.Errorf("", "want valid JSON, got %v", err)
	}
	msg := syntax.Error()
	if msg == "unexpected end of JSON input" {
		// Also what the first line of an object spread over several looks like.
		return r.errorAt(len(r.Raw), "want a whole JSON object on the line, got its end too early")
	}
	at := int(syntax.Offset) - 1
	if c := r.Raw[at]; c >= utf8.RuneSelf {
		// encoding/json takes the first byte for the character; people paste
		// curly quotes and should see them.
		char, _ := utf8.DecodeRune(r.Raw[at:])
		msg = strings.Replace(msg, strconv.QuoteRune(rune(c)), strconv.QuoteRune(char), 1)
	}
	return r.errorAt(at, "want valid JSON, got %s", msg)
}

// invalidUTF8 is the offset of the first byte that is not part of valid UTF-8.
func invalidUTF8(b []byte) int {
	at := 0
	for at < len(b) {
		char, size := utf8.DecodeRune(b[at:])
		if char == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}
