package nll

import (
	"errors"
	"strings"
	"unicode"

	"github.com/ortscore/ortscore/io/template"
	"github.com/ortscore/ortscore/model"
)

// Template is the text of a task with places for a row's fields: {passage},
// {query}, {answer} and {context}.
type Template struct {
	*template.Template
	strip bool
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

// ParseTemplate reads a template. {answer} stands in it once, {passage} at least
// once. With strip, white space round each field's value is left out, as the reference
// does for qa.
func ParseTemplate(text string, strip bool) (*Template, error) {
	t, err := template.Parse(text, "passage", "query", "answer", "context")
	if err != nil {
		return nil, err
	}
	if t.Count("answer") != 1 || t.Count("passage") == 0 {
		return nil, errors.New("want {passage} and one {answer} in the template")
	}
	return &Template{t, strip}, nil
}

// EndsWithAnswer reports whether nothing follows the answer.
func (t *Template) EndsWithAnswer() bool { return t.EndsWith("answer") }

// Fill puts the fields in their places. The values are data: braces in them
// mean nothing.
func (t *Template) Fill(f Fields) Text {
	var b strings.Builder
	var out Text
	t.Template.Fill(&b, func(name string) {
		value := t.value(f, name)
		if name == "answer" {
			out.Answer = model.Span{From: b.Len(), To: b.Len() + len(value)}
		}
		b.WriteString(value)
	})
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
