package dataset

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
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

func TestWriterRoundTrip(t *testing.T) {
	t.Chdir(t.TempDir())
	lines := []string{`{"a": 1}`, `{"b": "` + strings.Repeat("x", 300000) + `"}`, `{}`}
	for _, name := range []string{"f.json", "f.jsonl", "f.json.gz", "f.jsonl.gz", "f.jsonl.zst"} {
		w, err := Create(name, false)
		require.NoError(t, err)
		for _, line := range lines {
			require.NoError(t, w.Write([]byte(line)))
		}
		require.NoFileExists(t, name)
		require.NoError(t, w.Commit())
		require.NoError(t, w.Abort(), "a deferred Abort does no harm")

		r, err := Open(name)
		require.NoError(t, err)
		rows, bad, _ := readAll(t, r)
		require.NoError(t, r.Close())
		require.Empty(t, bad)
		require.Equal(t, lines, raws(rows), name)
	}
	plain, err := os.ReadFile("f.jsonl")
	require.NoError(t, err)
	require.Equal(t, strings.Join(lines, "\n")+"\n", string(plain))
	packed, err := os.ReadFile("f.jsonl.zst")
	require.NoError(t, err)
	require.Less(t, len(packed), 1000, "it is compressed")
}

func TestWriterAbort(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"f.jsonl", "f.jsonl.gz", "f.jsonl.zst"} {
		w, err := Create(name, false)
		require.NoError(t, err)
		require.NoError(t, w.Write([]byte("{}")))
		require.NoError(t, w.Abort())
		require.ErrorIs(t, w.Commit(), fs.ErrClosed)
	}
	left, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestCreateErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("out.jsonl", []byte("old"), 0o666))
	_, err := Create("out.jsonl", false)
	require.EqualError(t, err, "out.jsonl: want a new file, got one that exists")
	require.ErrorIs(t, err, fs.ErrExist)
	for path, want := range map[string]string{
		"out.csv":      `want a .json, .jsonl (also .gz, .zst) file, got "out.csv"`,
		Stdin:          `want a .json, .jsonl (also .gz, .zst) file, got "-"`,
		"no/out.jsonl": `no/out.jsonl: create: no such file or directory`,
	} {
		_, err := Create(path, true)
		require.EqualError(t, err, want)
	}
}

// rejected collects the bad rows of data as a run would.
func rejected(t *testing.T, data string) string {
	t.Helper()
	rejects, err := NewRejects("out.jsonl", true)
	require.NoError(t, err)
	defer rejects.Abort()
	r := NewReader("in.jsonl", strings.NewReader(data))
	r.maxLine = 1 << 20
	for {
		row, err := r.Next()
		if bad, ok := err.(*Error); ok {
			require.NoError(t, rejects.Add(bad))
			continue
		}
		if err != nil {
			break
		}
		require.NoError(t, rejects.Add(row.Errorf("neg[3]", "want a <string>, got a number")))
	}
	require.NoError(t, rejects.Commit())
	out, err := os.ReadFile(rejects.Path())
	require.NoError(t, err)
	return string(out)
}

func TestRejects(t *testing.T) {
	t.Chdir(t.TempDir())
	got := rejected(t, ` {"neg": [1.50],"x":"\ud83d"} `+"\r\n{\"a\": 1,}\n{\"b\": \"<\xff>\"}\n[1]\n\""+strings.Repeat("x", 1<<20)+"\"\n")
	require.Equal(t, `{"file": "in.jsonl", "line": 1, "error": "neg[3]: want a <string>, got a number", "row": {"neg": [1.50],"x":"\ud83d"}}
{"file": "in.jsonl", "line": 2, "error": "column 9: want valid JSON, got invalid character '}' looking for beginning of object key string", "row": "{\"a\": 1,}"}
{"file": "in.jsonl", "line": 3, "error": "column 9: want valid UTF-8, got byte 0xff", "row": "{\"b\": \"<\ufffd>\"}"}
{"file": "in.jsonl", "line": 4, "error": "want a JSON object, got a list", "row": [1]}
{"file": "in.jsonl", "line": 5, "error": "want a line of at most 1 MiB, got a longer one", "row": null}
`, got)
	rows, bad, _ := readAll(t, NewReader("r", strings.NewReader(got)))
	require.Empty(t, bad, "every line is valid JSON")
	require.Len(t, rows, 5)
}

func TestRejectsLifeCycle(t *testing.T) {
	t.Chdir(t.TempDir())
	const path = "out.jsonl.rejected.jsonl"
	bad := &Error{File: "f", Line: 1, Msg: "m", Raw: []byte("{}")}

	r, err := NewRejects("out.jsonl", false)
	require.NoError(t, err)
	require.Equal(t, path, r.Path())
	require.NoError(t, r.Commit())
	require.NoError(t, r.Abort())
	left, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Empty(t, left, "no bad rows, no file")

	r, err = NewRejects("out.jsonl", false)
	require.NoError(t, err)
	require.NoError(t, r.Add(bad))
	require.NoError(t, r.Abort())
	left, err = os.ReadDir(".")
	require.NoError(t, err)
	require.Empty(t, left, "an aborted run leaves nothing")

	r, err = NewRejects("out.jsonl", false)
	require.NoError(t, err)
	require.NoError(t, r.Add(bad))
	require.NoFileExists(t, path)
	require.NoError(t, r.Commit())
	require.FileExists(t, path)

	_, err = NewRejects("out.jsonl", false)
	require.EqualError(t, err, path+": want a new file, got one that exists")
	require.ErrorIs(t, err, fs.ErrExist)

	r, err = NewRejects("out.jsonl", true)
	require.NoError(t, err)
	require.NoError(t, r.Abort())
	require.FileExists(t, path, "an aborted run leaves the earlier file")
	r, err = NewRejects("out.jsonl", true)
	require.NoError(t, err)
	require.NoError(t, r.Commit())
	require.NoFileExists(t, path, "a clean run removes the stale file")
}

// brokenPacker fails where a compressor writes its last block to a full disk.
type brokenPacker struct{}

func (brokenPacker) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
func (brokenPacker) Close() error              { return syscall.ENOSPC }

func TestCommitOfABrokenCompressor(t *testing.T) {
	t.Chdir(t.TempDir())
	w, err := Create("f.jsonl.gz", false)
	require.NoError(t, err)
	w.packer, w.out = brokenPacker{}, brokenPacker{}
	require.ErrorIs(t, w.Write([]byte("{}")), syscall.ENOSPC)
	require.ErrorIs(t, w.Commit(), syscall.ENOSPC)
	left, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Empty(t, left, "neither the file nor a temporary one")
}
