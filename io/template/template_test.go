package template

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func fill(t *Template) string {
	var b strings.Builder
	t.Fill(&b, func(field string) { b.WriteString("<{" + field + "}>") })
	return b.String()
}

func TestTemplate(t *testing.T) {
	tmpl, err := Parse("a {q} {} { q } {{p}} {q}", "q", "p", "r")
	require.NoError(t, err)
	require.Equal(t, "a <{q}> {} { q } {<{p}>} <{q}>", fill(tmpl))
	require.Equal(t, []int{2, 1, 0}, []int{tmpl.Count("q"), tmpl.Count("p"), tmpl.Count("r")})
	require.True(t, tmpl.EndsWith("q"))
	require.False(t, tmpl.EndsWith("p"))
	require.Equal(t, "a <{q}> {} { q } {<{p}>", fill(tmpl.WithoutLast()))
	require.Equal(t, []string{"a ", " {} { q } {", "} ", ""}, tmpl.Literals())

	_, err = Parse("a {x}", "q", "p", "r")
	require.EqualError(t, err, "want {q}, {p} or {r}, got {x}")
	none, err := Parse("text", "q", "p")
	require.NoError(t, err)
	require.False(t, none.EndsWith("q"))
}

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.txt")
	parse := func(text string) (*Template, error) { return Parse(text, "q", "p") }
	for text, want := range map[string]string{"\ufeffa {q}\r\n": "a <{q}>", "a\n\n": "a\n", "": ""} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
		tmpl, err := ReadFile(path, parse)
		require.NoError(t, err)
		require.Equal(t, want, fill(tmpl))
	}
	require.NoError(t, os.WriteFile(path, []byte("{x}"), 0o666))
	_, err := ReadFile(path, parse)
	require.EqualError(t, err, path+": want {q} or {p}, got {x}")
	require.NoError(t, os.WriteFile(path, []byte("a\x00"), 0o666))
	_, err = ReadFile(path, parse)
	require.EqualError(t, err, path+": want a text in UTF-8, got other bytes")
}
