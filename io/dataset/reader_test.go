package dataset

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// readAll reads to the end; bad rows are listed by their text. It fails where
// the reader does not come to an end.
func readAll(t testing.TB, r *Reader) (rows []*Row, bad []string, final error) {
	t.Helper()
	for range 1 << 20 {
		row, err := r.Next()
		var rowErr *Error
		switch {
		case err == nil:
			rows = append(rows, row)
		case errors.As(err, &rowErr):
			require.Nil(t, row)
			bad = append(bad, err.Error())
		default:
			_, again := r.Next()
			require.Equal(t, err, again, "the end stays the end")
			return rows, bad, err
		}
	}
	t.Fatal("the reader goes on without end")
	return nil, nil, nil
}

func raws(rows []*Row) (lines []string) {
	for _, r := range rows {
		lines = append(lines, string(r.Raw))
	}
	return lines
}

func lineNumbers(rows []*Row) (numbers []int) {
	for _, r := range rows {
		numbers = append(numbers, r.Line)
	}
	return numbers
}

func gz(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

func zst(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	require.NoError(t, err)
	_, err = w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// open writes data under name in a new folder, changes to it and opens it.
func open(t *testing.T, name, data string) *Reader {
	t.Helper()
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile(name, []byte(data), 0o666))
	r, err := Open(name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func TestReaderLines(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       []string
		lines      []int
	}{
		{"nothing", "", nil, nil},
		{"only blank lines", "\n \r\n\t\n", nil, nil},
		{"plain", "{\"a\": 1}\n{\"a\": 2}\n", []string{`{"a": 1}`, `{"a": 2}`}, []int{1, 2}},
		{"no last line end", "{\"a\": 1}\n{\"a\": 2}", []string{`{"a": 1}`, `{"a": 2}`}, []int{1, 2}},
		{"CRLF", "{\"a\": 1}\r\n{\"a\": 2}\r\n", []string{`{"a": 1}`, `{"a": 2}`}, []int{1, 2}},
		{"blank lines count", "\n{\"a\": 1}\n\n  \n{\"a\": 2}\n\n", []string{`{"a": 1}`, `{"a": 2}`}, []int{2, 5}},
		{"byte order mark", "\ufeff{\"a\": 1}\n{\"a\": 2}\n", []string{`{"a": 1}`, `{"a": 2}`}, []int{1, 2}},
		{"only a byte order mark", "\ufeff", nil, nil},
		{"spaces are the line's own", " {} \n", []string{` {} `}, []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, in := range []io.Reader{strings.NewReader(c.data), iotest.OneByteReader(strings.NewReader(c.data))} {
				rows, bad, final := readAll(t, NewReader("-", in))
				require.Equal(t, io.EOF, final)
				require.Empty(t, bad)
				require.Equal(t, c.want, raws(rows))
				require.Equal(t, c.lines, lineNumbers(rows))
			}
		})
	}
}

func TestReaderGoesOnAfterABadRow(t *testing.T) {
	data := "{\"a\": 1}\n{\"a\":\nhello\n\n{\"a\": \"\xff\"}\n[]\n{\"a\": 2}\n{"
	rows, bad, final := readAll(t, NewReader("f.jsonl", strings.NewReader(data)))
	require.Equal(t, io.EOF, final)
	require.Equal(t, []int{1, 7}, lineNumbers(rows))
	require.Equal(t, []string{
		"f.jsonl:2:6: want a whole JSON object on the line, got its end too early",
		"f.jsonl:3:1: want valid JSON, got invalid character 'h' looking for beginning of value",
		"f.jsonl:5:8: want valid UTF-8, got byte 0xff",
		"f.jsonl:6: want a JSON object, got a list",
		"f.jsonl:8:2: want a whole JSON object on the line, got its end too early",
	}, bad)
}

func TestRowsOwnTheirBytes(t *testing.T) {
	var data strings.Builder
	for i := range 1000 {
		data.WriteString(`{"x": "` + strings.Repeat(string(rune('a'+i%26)), 1000) + "\"}\n")
	}
	rows, _, _ := readAll(t, NewReader("-", strings.NewReader(data.String())))
	require.Equal(t, data.String(), strings.Join(raws(rows), "\n")+"\n")
}

func TestReaderLineLimit(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", ""} {
		fits := `{"a":"` + strings.Repeat("x", 1<<20-8) + `"}`
		r := NewReader("f.jsonl", strings.NewReader("{}\n"+fits+end))
		r.maxLine = 1 << 20
		rows, bad, _ := readAll(t, r)
		require.Empty(t, bad)
		require.Equal(t, []int{1, 2}, lineNumbers(rows))

		r = NewReader("f.jsonl", strings.NewReader("{}\n "+fits+end))
		r.maxLine = 1 << 20
		rows, bad, _ = readAll(t, r)
		require.Equal(t, []string{"f.jsonl:2: want a line of at most 1 MiB, got a longer one"}, bad)
		require.Equal(t, []int{1}, lineNumbers(rows))
	}
}

// A line of 400 MB: its end is never kept, and the row after it is read.
func TestReaderMemoryIsBounded(t *testing.T) {
	long := io.LimitReader(endless('x'), 400<<20)
	r := NewReader("f.jsonl", io.MultiReader(long, strings.NewReader("\n{}\n")))
	row, err := r.Next()
	require.Nil(t, row)
	require.EqualError(t, err, "f.jsonl:1: want a line of at most 64 MiB, got a longer one")
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	require.Less(t, m.HeapAlloc, uint64(2*MaxLine))
	row, err = r.Next()
	require.NoError(t, err)
	require.Equal(t, 2, row.Line)
}

type endless byte

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(e)
	}
	return len(p), nil
}

func TestOpenByExtension(t *testing.T) {
	one, two := "{\"a\": 1}\n{\"a\"", ": 2}\n{\"a\": 3}\n"
	for name, data := range map[string]string{
		"f.json":                 one + two,
		"f.jsonl":                one + two,
		"f.json.gz":              gz(t, one+two),
		"f.jsonl.gz":             gz(t, one) + gz(t, two), // a frame may end inside a line
		"f.json.zst":             zst(t, one+two),
		"v1.2.jsonl.zst":         zst(t, one) + zst(t, "") + zst(t, two),
		"no-rows-at-all.json.gz": gz(t, ""),
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, name, data)
			rows, bad, final := readAll(t, r)
			require.Equal(t, io.EOF, final)
			require.Empty(t, bad)
			if name != "no-rows-at-all.json.gz" {
				require.Equal(t, []string{`{"a": 1}`, `{"a": 2}`, `{"a": 3}`}, raws(rows))
				require.Equal(t, name, rows[0].File)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("folder.json", 0o777))
	for path, want := range map[string]string{
		"x.csv":         `want a .json, .jsonl (also .gz, .zst) file or -, got "x.csv"`,
		"x.gz":          `want a .json, .jsonl (also .gz, .zst) file or -, got "x.gz"`,
		"x.jsonl.bz2":   `want a .json, .jsonl (also .gz, .zst) file or -, got "x.jsonl.bz2"`,
		"":              `want a .json, .jsonl (also .gz, .zst) file or -, got ""`,
		"folder.json":   `folder.json: want a file, got a folder`,
		"missing.jsonl": `open missing.jsonl: no such file or directory`,
	} {
		_, err := Open(path)
		require.EqualError(t, err, want)
	}
}

func TestOpenStandardInput(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "in")
	require.NoError(t, os.WriteFile(path, []byte("{\"a\": 1}\n{"), 0o666))
	in, err := os.Open(path)
	require.NoError(t, err)
	defer in.Close()
	old := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = old }()

	r, err := Open(Stdin)
	require.NoError(t, err)
	rows, bad, final := readAll(t, r)
	require.Equal(t, io.EOF, final)
	require.Len(t, rows, 1)
	require.Equal(t, []string{"-:2:2: want a whole JSON object on the line, got its end too early"}, bad)
	require.NoError(t, r.Close())
	_, err = in.Stat()
	require.NoError(t, err, "standard input stays open")
}

// Wherever a compressed file is cut, its end is no ordinary end, and the error
// is final: skipping bad rows must not loop on it.
func TestTruncatedStreams(t *testing.T) {
	text := strings.Repeat("{\"a\": \"some text to pack\"}\n", 50) + `{"b": 1}`
	for name, data := range map[string]string{"f.jsonl.gz": gz(t, text), "f.jsonl.zst": zst(t, text)} {
		kind := map[string]string{"f.jsonl.gz": "gzip", "f.jsonl.zst": "zstd"}[name]
		for cut := range len(data) {
			r := open(t, name, data[:cut])
			_, bad, final := readAll(t, r)
			require.Empty(t, bad, "cut at %d", cut)
			require.NotErrorIs(t, final, io.EOF, "cut at %d", cut)
			require.Regexp(t, `^`+name+`:\d+: want a whole `+kind+` stream, got (unexpected EOF|an empty file)$`, final.Error(), "cut at %d", cut)
		}
	}
}

func TestDamagedStreams(t *testing.T) {
	text := strings.Repeat("{\"a\": 1}\n", 3)
	broken := []byte(gz(t, text))
	broken[len(broken)-5] ^= 0xff // in the checksum
	for _, c := range []struct {
		name, data, want string
		rows             int
	}{
		{"f.jsonl.gz", string(broken), "f.jsonl.gz:4: want a whole gzip stream, got gzip: invalid checksum", 3},
		{"f.jsonl.gz", gz(t, text) + "garbage here", "f.jsonl.gz:4: want a whole gzip stream, got gzip: invalid header", 3},
		{"f.jsonl.gz", text, "f.jsonl.gz:1: want a whole gzip stream, got gzip: invalid header", 0},
		{"f.jsonl.zst", text, "f.jsonl.zst:1: want a whole zstd stream, got invalid input: magic number mismatch", 0},
		{"f.jsonl.zst", "", "f.jsonl.zst:1: want a whole zstd stream, got an empty file", 0},
	} {
		rows, _, final := readAll(t, open(t, c.name, c.data))
		require.EqualError(t, final, c.want)
		require.Len(t, rows, c.rows)
	}
}

func TestSourceErrorIsFinal(t *testing.T) {
	cause := errors.New("disk on fire")
	r := NewReader("f.jsonl", io.MultiReader(strings.NewReader("{}\n{\"half\":"), iotest.ErrReader(cause)))
	rows, bad, final := readAll(t, r)
	require.Len(t, rows, 1)
	require.Empty(t, bad, "the half line is not taken for a bad row")
	require.EqualError(t, final, "f.jsonl:2: disk on fire")
	require.ErrorIs(t, final, cause)
}
