package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

var lineSeeds = []string{
	`{"query": "q", "answers": ["a"], "pos": ["p"], "neg": ["n1", "n2"], "query_id": 7}`,
	`{"query":"q","answers":"a","teacher_scores":[1,2],"x":null}`,
	`{"t\u0065acher_scores": [1], "\ud83d\ude00": {"a": ["]}\""]}}`,
	` { } `,
	`{"a" : 1 , "teacher_scores" : null }`,
	`{"a": 1, "a": 2}`,
	`{"a": "\ud83d", "\u0000": "\\", "b": "\\\""}`,
	`{"ids": [[1, 2], [], [2147483648]], "f": [1.0, -0, 1e999]}`,
	`[1, {"a": 2}]`,
	`{"a": tru`,
	"{\"a\": \"\xff\"}",
	"\ufeff{}",
}

// FuzzParse: no line makes Parse or an accessor panic, and what Parse lets
// through can be spliced: the new line is valid, its other fields are the old
// ones byte for byte and in order, and splicing again changes nothing.
func FuzzParse(f *testing.F) {
	for _, s := range lineSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		row, err := Parse("f", 2, line)
		if err != nil {
			var bad *Error
			require.ErrorAs(t, err, &bad)
			require.LessOrEqual(t, bad.Column, len(line)+1)
			return
		}
		for _, f := range row.fields {
			for _, get := range access {
				if v, ok, err := get(row, f.name); err == nil && ok {
					checkText(t, v)
				}
			}
		}
		scores := Field{"teacher_scores", []byte("[-1.5, -2.0]")}
		set := row.Splice([]Field{scores}, nil)
		requireSpliced(t, row, set, "teacher_scores", string(scores.Value))
		again, err := Parse("f", 2, set)
		require.NoError(t, err)
		require.Equal(t, string(set), string(again.Splice([]Field{scores}, nil)))

		dropped := again.Splice(nil, []string{"teacher_scores"})
		requireSpliced(t, again, dropped, "teacher_scores", "")
		require.Equal(t, before, line)
	})
}

func checkText(t *testing.T, v any) {
	if s, ok := v.(string); ok {
		require.True(t, utf8.ValidString(s))
		require.NotContains(t, s, "\x00")
	}
}

// requireSpliced checks that line is row with the named field of this value, or
// without it where the value is "".
func requireSpliced(t *testing.T, row *Row, line []byte, name, value string) {
	require.True(t, json.Valid(line), "%q", line)
	got, err := Parse("f", 2, line)
	require.NoError(t, err)
	type pair struct{ key, value string }
	others := func(r *Row) (all []pair) {
		for _, f := range r.fields {
			if f.name == name {
				require.Equal(t, len(value) > 0 || r == row, true, "it should be gone")
				if r == got {
					require.Equal(t, value, string(r.Raw[f.value:f.end]))
				}
				continue
			}
			end := skipString(r.Raw, f.key)
			all = append(all, pair{string(r.Raw[f.key:end]), string(r.Raw[f.value:f.end])})
		}
		return all
	}
	require.Equal(t, others(row), others(got))
	require.Equal(t, value != "", got.Has(name))
}

// FuzzReader: no bytes make the reader panic or go on for ever, and how they
// come in makes no difference. The kind picks plain text, gzip or zstd.
func FuzzReader(f *testing.F) {
	for _, s := range lineSeeds {
		f.Add([]byte(s+"\r\n\n"+s), uint8(0))
		f.Add([]byte(gz(f, s)), uint8(1))
		f.Add([]byte(zst(f, s)), uint8(2))
	}
	f.Fuzz(func(t *testing.T, data []byte, kind uint8) {
		read := func(in io.Reader) (rows []*Row, bad []string, final error) {
			r := NewReader("f", in)
			r.maxLine = 1 << 16
			defer r.Close()
			if kind %= 3; kind > 0 {
				r.decompress([]string{"", ".gz", ".zst"}[kind])
			}
			return readAll(t, r)
		}
		rows, bad, final := read(bytes.NewReader(data))
		if kind == 0 {
			require.Equal(t, io.EOF, final)
			require.LessOrEqual(t, len(rows)+len(bad), bytes.Count(data, []byte("\n"))+1)
		}
		rows2, bad2, final2 := read(iotest.HalfReader(bytes.NewReader(data)))
		require.Equal(t, raws(rows), raws(rows2))
		require.Equal(t, bad, bad2)
		require.Equal(t, errors.Is(final, io.EOF), errors.Is(final2, io.EOF))
	})
}
