package rank

import (
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ortscore/ortscore/io/template"
)

// Template is the text of a prompt with places for {query}, {passages}, {n},
// {first}, {last} and {example}.
type Template struct{ *template.Template }

//go:embed default.txt
var defaultText string

// DefaultTemplate returns the template that is used where no other is given.
func DefaultTemplate() *Template {
	t, err := ParseTemplate(strings.TrimSuffix(defaultText, "\n"))
	if err != nil {
		panic(err) // not data: the text is built in
	}
	return t
}

// ParseTemplate reads a template. {passages} stands in it once, {query} at least
// once; {n} is how many passages there are, {first} and {last} are the lowest and
// the highest identifier, {example} is a ranking. A number in brackets is an error: the
// model would take it for the identifier of a passage.
func ParseTemplate(text string) (*Template, error) {
	t, err := template.Parse(text, "query", "passages", "n", "first", "last", "example")
	if err != nil {
		return nil, err
	}
	if t.Count("passages") != 1 || t.Count("query") == 0 {
		return nil, errors.New("want {query} and one {passages} in the template")
	}
	for _, literal := range t.Literals() {
		if id := bracketed.FindString(literal); id != "" {
			return nil, fmt.Errorf("want {example} in place of identifiers, got %s", id)
		}
	}
	return &Template{t}, nil
}

// Fill puts a query and passages, which are numbered from first on, in their
// places. They are data: braces in them mean nothing. They should be clean (see
// Clean), so that every line of {passages} is one passage.
func (t *Template) Fill(query string, passages []string, first int) string {
	var b strings.Builder
	t.Template.Fill(&b, func(name string) {
		switch name {
		case "query":
			b.WriteString(query)
		case "passages":
			writePassages(&b, passages, first)
		case "n":
			b.WriteString(strconv.Itoa(len(passages)))
		case "first":
			b.WriteString(strconv.Itoa(first))
		case "last":
			b.WriteString(strconv.Itoa(first + len(passages) - 1))
		case "example":
			b.WriteString(example(len(passages), first))
		}
	})
	return b.String()
}

// writePassages writes each passage on a line of its own behind its identifier.
func writePassages(b *strings.Builder, passages []string, first int) {
	for i, p := range passages {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(identifier(first + i))
		b.WriteByte(' ')
		b.WriteString(p)
	}
}

// example is the ranking that stands for {example}: the third identifier, the
// first and the second, as far as there are so many. It is neither the order
// shown nor that backwards, and is the same for all lists of a length, so that it
// knows nothing of the passages.
func example(n, first int) string {
	order := make([]int, 0, 3)
	for _, i := range []int{2, 0, 1} {
		if i < n {
			order = append(order, i)
		}
	}
	if n == 2 {
		order[0], order[1] = 1, 0
	}
	return Format(order, first)
}
