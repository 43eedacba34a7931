package dataset

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two readers have the same content where every byte is the same, however it is
// compressed, and not else.
func TestContent(t *testing.T) {
	const text = "{\"a\": 1}\n\n{\"a\": 2}\n"
	content := func(text string) Content {
		r := NewReader("x.jsonl", strings.NewReader(text))
		_, _, final := readAll(t, r)
		require.Equal(t, io.EOF, final)
		return r.Content()
	}
	want := content(text)
	require.Equal(t, 3, want.Lines)
	require.Equal(t, want, content(text))
	for _, other := range []string{
		"", "{\"a\": 1}\n", "{\"a\": 1}\n{\"a\": 2}\n", "{\"a\": 1}\n\n{\"a\": 3}\n", "{\"a\": 1}\n\n{\"a\":  2}\n", "{\"a\": 1}\n\n{\"a\": 2}",
		"{\"a\": 2}\n\n{\"a\": 1}\n", "{\"a\": 1}\r\n\r\n{\"a\": 2}\r\n", "\ufeff{\"a\": 1}\n\n{\"a\": 2}\n", text + "bad\n", text + "\n", "{\"a\": 1}\n{\"a\": 2}\n\n",
	} {
		require.NotEqual(t, want, content(other), "%q", other)
	}
	long := func(last string) Content {
		r := NewReader("x.jsonl", strings.NewReader(strings.Repeat("x", 2*readSize)+last+"\n"))
		r.maxLine = 100
		_, bad, _ := readAll(t, r)
		require.Len(t, bad, 1)
		return r.Content()
	}
	require.Equal(t, long("a"), long("a"))
	require.NotEqual(t, long("a"), long("b"), "a line too long to keep counts as well")

	path := filepath.Join(t.TempDir(), "x.jsonl.gz")
	require.NoError(t, os.WriteFile(path, []byte(gz(t, text)), 0o666))
	r, err := Open(path)
	require.NoError(t, err)
	defer r.Close()
	_, _, _ = readAll(t, r)
	require.NoError(t, r.Changed(want))
}

func TestChanged(t *testing.T) {
	read := func(text string, rows int) *Reader {
		r := NewReader("x.jsonl", strings.NewReader(text))
		for range rows {
			_, _ = r.Next()
		}
		return r
	}
	two := read("{}\n{}\n", 3)
	require.NoError(t, read("{}\n{}\n", 3).Changed(two.Content()))
	require.NoError(t, read("{}\n{}\n{}\n", 2).Changed(two.Content()), "what was not read is nothing that changed")
	for text, want := range map[string]string{
		"{}\n{}\n{}\n": "x.jsonl: the file has changed since it was checked: want 2 lines, got 3",
		"{}\n":         "x.jsonl: the file has changed since it was checked: want 2 lines, got 1",
		"{}\n{ }\n":    "x.jsonl: the file has changed since it was checked: want the same 2 lines, got others",
	} {
		err := read(text, 4).Changed(two.Content())
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, ErrChanged)
	}
}
