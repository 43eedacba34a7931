package dataset

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOutPath(t *testing.T) {
	for in, want := range map[string]string{
		"train.jsonl":      "train.scored.NAME.jsonl",
		"d/train.jsonl.gz": "d/train.scored.NAME.jsonl.gz",
		"d.x/v1.2.json":    "d.x/v1.2.scored.NAME.json",
		"/a/b.json.zst":    "/a/b.scored.NAME.json.zst",
	} {
		require.Equal(t, want, OutPath(in, "scored", "NAME"))
	}
}

func TestSameFile(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("d", 0o777))
	for _, name := range []string{"a.jsonl", "b.jsonl"} {
		require.NoError(t, os.WriteFile(name, nil, 0o666))
	}
	require.NoError(t, os.Symlink("../a.jsonl", "d/link.jsonl"))
	require.NoError(t, os.Symlink("d", "e"))
	require.NoError(t, os.Link("a.jsonl", "hard.jsonl"))
	abs, err := filepath.Abs("a.jsonl")
	require.NoError(t, err)
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"a.jsonl", "a.jsonl", true},
		{"a.jsonl", "./d/../a.jsonl", true},
		{"a.jsonl", abs, true},
		{"a.jsonl", "d/link.jsonl", true},
		{"a.jsonl", "e/link.jsonl", true},
		{"a.jsonl", "hard.jsonl", true},
		{"a.jsonl", "b.jsonl", false},
		{"a.jsonl", "new.jsonl", false},
		{"new.jsonl", "./new.jsonl", true},
		{"d/new.jsonl", "e/new.jsonl", true},
		{"d/new.jsonl", "new.jsonl", false},
		{"no/new.jsonl", "no/./new.jsonl", true},
		{"no/new.jsonl", "d/new.jsonl", false},
		{Stdin, Stdin, false},
		{Stdin, "a.jsonl", false},
	} {
		require.Equal(t, c.want, SameFile(c.a, c.b), "%s, %s", c.a, c.b)
		require.Equal(t, c.want, SameFile(c.b, c.a), "%s, %s", c.b, c.a)
	}
}
