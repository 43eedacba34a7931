package rank

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
)

// parseRow makes a row of line 7 of rows.jsonl.
func parseRow(t testing.TB, line string) *dataset.Row {
	t.Helper()
	row, err := dataset.Parse("rows.jsonl", 7, []byte(line))
	require.NoError(t, err)
	return row
}

// readExample reads a row that is good.
func readExample(t testing.TB, line string) *Example {
	t.Helper()
	ex, err := ReadExample(parseRow(t, line))
	require.NoError(t, err)
	return ex
}

// requireBad wants an error of the data with this text, after its place.
func requireBad(t testing.TB, err error, want string, about ...any) {
	t.Helper()
	var bad *dataset.Error
	require.True(t, errors.As(err, &bad), "want an error of the data, got %v (%v)", err, about)
	require.Equal(t, "rows.jsonl:7: "+want, err.Error(), about...)
}

func TestReadExample(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       Example
	}{
		{"pos then neg", `{"query": "q", "pos": ["p"], "neg": ["n", "m"]}`, Example{Query: "q", Passages: []string{"p", "n", "m"}, Pos: 1}},
		{"one passage", `{"query": "q", "pos": ["p"], "neg": []}`, Example{Query: "q", Passages: []string{"p"}, Pos: 1}},
		{"no neg", `{"query": "q", "pos": ["p", "o"]}`, Example{Query: "q", Passages: []string{"p", "o"}, Pos: 2}},
		{"null is as good as none", `{"query": "q", "pos": null, "neg": ["n"]}`, Example{Query: "q", Passages: []string{"n"}}},
		{"the same text twice", `{"query": "q", "pos": ["p"], "neg": ["p"]}`, Example{Query: "q", Passages: []string{"p", "p"}, Pos: 1}},
		{"texts as they stand, empty ones too", `{"query": " ", "pos": [""], "neg": [" [3]\n"]}`, Example{Query: " ", Passages: []string{"", " [3]\n"}, Pos: 1}},
		{"other fields are no concern", `{"query": "q", "answers": 7, "pos": ["p"], "history": "h", "pos_scores": [1]}`, Example{Query: "q", Passages: []string{"p"}, Pos: 1}},
	} {
		row := parseRow(t, c.line)
		c.want.Row = row
		got, err := ReadExample(row)
		require.NoError(t, err, c.name)
		require.Equal(t, &c.want, got, c.name)
	}
}

func TestReadExampleRefuses(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`{}`, "pos: want pos or neg, got neither of them"},
		{`{"query": "q", "pos": null}`, "pos: want pos or neg, got neither of them"},
		{`{"query": "q", "pos": [], "neg": []}`, "pos: want at least one passage in pos or neg, got none"},
		{`{"query": "q", "neg": []}`, "pos: want at least one passage in pos or neg, got none"},
		{`{"pos": ["p"]}`, "query: want a string, got none"},
		{`{"query": null, "pos": ["p"]}`, "query: want a string, got none"},
		{`{"query": ["q"], "pos": ["p"]}`, "query: want a string, got a list"},
		{`{"query": "q", "pos": "p", "neg": []}`, "pos: want a list of strings, got a string"},
		{`{"query": "q", "pos": ["p"], "neg": ["n", 7]}`, "neg[1]: want a string, got a number"},
		{`{"query": "q", "pos": ["p", null]}`, "pos[1]: want a string, got null"},
		{`{"query": "a\u0000b", "pos": ["p"]}`, "query: want text without NUL, got U+0000 at character 2"},
		{`{"query": "q", "pos": ["a\ud83d"]}`, `pos[0]: want whole surrogate pairs, got a lone \ud83d at character 2`},
	} {
		_, err := ReadExample(parseRow(t, c.line))
		requireBad(t, err, c.want, c.line)
	}
}
