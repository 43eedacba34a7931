package nll

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/ortscore/ortscore/model"
)

// Template is the text of a task with places for a row's fields: {passage},
// {query}, {answer} and {context}.
type Template struct {
	literals []string // one more than fields; they alternate
	fields   []string
	strip    bool
}

// Fields are the values that fill a template.
type Fields struct{ Passage, Query, Answer, Context string }

// Text is a filled template.
type Text struct {
	Text   string
	Answer model.Span // the answer's bytes in Text
}

// NewText is a text that ends with the answer.
func NewText(before, answer string) Text {
	return Text{Text: before + answer, Answer: model.Span{From: len(before), To: len(before) + len(answer)}}
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// ParseTemplate reads a template. {answer} stands in it once, {passage} at least
// once. Any other word in braces is an error, so that a misspelt field is not
// scored as text; braces round anything else are text. With strip, white space
// round each field's value is left out, as the reference does for qa.
func ParseTemplate(text string, strip bool) (*Template, error) {
	t := &Template{strip: strip}
	at, count := 0, map[string]int{}
	for _, m := range placeholder.FindAllStringSubmatchIndex(text, -1) {
		name := text[m[2]:m[3]]
		switch name {
		case "passage", "query", "answer", "context":
		default:
			return nil, fmt.Errorf("want {passage}, {query}, {answer} or {context}, got {%s}", name)
		}
		count[name]++
		t.literals = append(t.literals, text[at:m[0]])
		t.fields = append(t.fields, name)
		at = m[1]
	}
	t.literals = append(t.literals, text[at:])
	if count["answer"] != 1 || count["passage"] == 0 {
		return nil, errors.New("want {passage} and one {answer} in the template")
	}
	return t, nil
}

// EndsWithAnswer reports whether nothing follows the answer.
func (t *Template) EndsWithAnswer() bool {
	n := len(t.fields)
	return t.fields[n-1] == "answer" && t.literals[n] == ""
}

// Fill puts the fields in their places. The values are data: braces in them
// mean nothing.
func (t *Template) Fill(f Fields) Text {
	var b strings.Builder
	var out Text
	for i, name := range t.fields {
		b.WriteString(t.literals[i])
		value := t.value(f, name)
		if name == "answer" {
			out.Answer = model.Span{From: b.Len(), To: b.Len() + len(value)}
		}
		b.WriteString(value)
	}
	b.WriteString(t.literals[len(t.fields)])
	out.Text = b.String()
	return out
}

func (t *Template) value(f Fields, name string) string {
	var v string
	switch name {
	case "passage":
		v = f.Passage
	case "query":
		v = f.Query
	case "answer":
		v = f.Answer
	case "context":
		v = f.Context
	}
	if t.strip {
		v = strip(v)
	}
	return v
}

// strip removes white space as Python's str.strip does: besides what Unicode
// calls so, the separators U+001C to U+001F.
func strip(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f })
}

// occurrences returns how often a field stands in the template.
func (t *Template) occurrences(field string) int {
	n := 0
	for _, f := range t.fields {
		if f == field {
			n++
		}
	}
	return n
}
