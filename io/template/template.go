// Package template reads texts with places for fields, such as {query}, and fills them.
package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Template is a text with places for fields.
type Template struct {
	literals []string // one more than fields; they alternate
	fields   []string
}

var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// Parse reads a template in which fields of these names may stand. Any other word in
// braces is an error, so that a misspelt field is not shown as text; braces round
// anything else are text.
func Parse(text string, fields ...string) (*Template, error) {
	t := &Template{}
	at := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(text, -1) {
		name := text[m[2]:m[3]]
		if !slices.Contains(fields, name) {
			last := len(fields) - 1
			return nil, fmt.Errorf("want {%s} or {%s}, got {%s}", strings.Join(fields[:last], "}, {"), fields[last], name)
		}
		t.literals = append(t.literals, text[at:m[0]])
		t.fields = append(t.fields, name)
		at = m[1]
	}
	t.literals = append(t.literals, text[at:])
	return t, nil
}

// Count returns how often a field stands in the template.
func (t *Template) Count(field string) int {
	n := 0
	for _, f := range t.fields {
		if f == field {
			n++
		}
	}
	return n
}

// Literals are the parts of the text that are no fields.
func (t *Template) Literals() []string { return t.literals }

// EndsWith reports whether nothing follows a field that is the last.
func (t *Template) EndsWith(field string) bool {
	n := len(t.fields)
	return n > 0 && t.fields[n-1] == field && t.literals[n] == ""
}

// WithoutLast is the template without its last field and the text on both sides of it.
func (t *Template) WithoutLast() *Template {
	last := len(t.fields) - 1
	return &Template{literals: append(t.literals[:last:last], ""), fields: t.fields[:last]}
}

// Fill writes the template with each field in its place. The values are data: braces in
// them mean nothing.
func (t *Template) Fill(b *strings.Builder, write func(field string)) {
	for i, name := range t.fields {
		b.WriteString(t.literals[i])
		write(name)
	}
	b.WriteString(t.literals[len(t.fields)])
}
