package model

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCutAfter(t *testing.T) {
	span := func(from, to int) Span { return Span{From: from, To: to} }
	for _, c := range []struct {
		name, text string
		offsets    []Span
		n          int
		want       string
	}{
		{"at a token", "abcdef", []Span{span(0, 2), span(2, 4), span(4, 6)}, 2, "abcd"},
		{"none", "abcdef", []Span{span(0, 2), span(2, 6)}, 0, ""},
		{"fewer than none", "abcdef", []Span{span(0, 2), span(2, 6)}, -3, ""},
		{"all", "abcdef", []Span{span(0, 2), span(2, 6)}, 2, "abcdef"},
		{"more than there are", "abcdef", []Span{span(0, 2), span(2, 6)}, 9, "abcdef"},
		{"no tokens", "abc", nil, 1, ""},
		{"within an emoji", "a🐝b", []Span{span(0, 1), span(1, 5), span(1, 5), span(5, 6)}, 2, "a"},
		{"tokens that overlap", " leading", []Span{span(0, 1), span(0, 2), span(2, 8)}, 2, " l"},
		{"trimmed white space", "ab  cd", []Span{span(0, 2), span(3, 3), span(4, 6)}, 2, "ab "},
		{"an empty token behind the cut", "abcd", []Span{span(0, 2), {}, span(2, 4)}, 1, "ab"},
		{"offsets that go back", "abcdef", []Span{span(0, 2), span(4, 6), span(2, 4)}, 2, "ab"},
		{"offsets within a character", "aéb", []Span{span(0, 2), span(2, 4)}, 1, "a"},
		{"offsets past the end", "abc", []Span{span(0, 9)}, 1, "abc"},
	} {
		enc := Encoding{IDs: make([]int32, len(c.offsets)), Offsets: c.offsets}
		require.Equal(t, c.want, CutAfter(c.text, enc, c.n), c.name)
	}
}
