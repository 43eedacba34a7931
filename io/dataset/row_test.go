package dataset

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func parse(t testing.TB, line string) *Row {
	t.Helper()
	r, err := Parse("f.jsonl", 3, []byte(line))
	require.NoError(t, err)
	return r
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{``, `f.jsonl:3:1: want a whole JSON object on the line, got its end too early`},
		{`{`, `f.jsonl:3:2: want a whole JSON object on the line, got its end too early`},
		{`{"a": "b`, `f.jsonl:3:9: want a whole JSON object on the line, got its end too early`},
		{`{"a": 1,}`, `f.jsonl:3:9: want valid JSON, got invalid character '}' looking for beginning of object key string`},
		{`{"a": 01}`, `f.jsonl:3:8: want valid JSON, got invalid character '1' after object key:value pair`},
		{`{"a": NaN}`, `f.jsonl:3:7: want valid JSON, got invalid character 'N' looking for beginning of value`},
		{`{“a”: 1}`, `f.jsonl:3:2: want valid JSON, got invalid character '“' looking for beginning of object key string`},
		{`{"a": 1} x`, `f.jsonl:3:10: want valid JSON, got invalid character 'x' after top-level value`},
		{`{"a": 1}{"a": 2}`, `f.jsonl:3:9: want valid JSON, got invalid character '{' after top-level value`},
		{"{\"a\": \"\x00\"}", `f.jsonl:3:8: want valid JSON, got invalid character '\x00' in string literal`},
		{`hello`, `f.jsonl:3:1: want valid JSON, got invalid character 'h' looking for beginning of value`},
		{`[{"a": 1}]`, `f.jsonl:3: want a JSON object, got a list`},
		{` "text"`, `f.jsonl:3: want a JSON object, got a string`},
		{`-1`, `f.jsonl:3: want a JSON object, got a number`},
		{`true`, `f.jsonl:3: want a JSON object, got a boolean`},
		{`null`, `f.jsonl:3: want a JSON object, got null`},
		{`{"a": 1, "b": 2, "a": 3}`, `f.jsonl:3: a: want the field once, got it twice`},
		{`{"query": 1, "qu\u0065ry": 2}`, `f.jsonl:3: query: want the field once, got it twice`},
		{"{\"a\": \"é\xff\"}", `f.jsonl:3:10: want valid UTF-8, got byte 0xff`},
		{"{\"a\": \"\xed\xa0\x80\"}", `f.jsonl:3:8: want valid UTF-8, got byte 0xed`}, // an encoded surrogate
		{"{\"a\": \"x\xe2\x82", `f.jsonl:3:9: want valid UTF-8, got byte 0xe2`},
	} {
		t.Run(c.line, func(t *testing.T) {
			r, err := Parse("f.jsonl", 3, []byte(c.line))
			require.EqualError(t, err, c.want)
			require.Nil(t, r)
			var bad *Error
			require.ErrorAs(t, err, &bad)
			require.Equal(t, c.line, string(bad.Raw))
		})
	}
}

// A file that is one list, on one line or pretty-printed over many.
func TestParseListFile(t *testing.T) {
	for _, line := range []string{`[`, ` [{"a": 1},`, `[{"a": 1}]`} {
		_, err := Parse("f.json", 1, []byte(line))
		require.EqualError(t, err, "f.json:1: want one JSON object a line, got a list")
	}
}

func TestParseDeepNesting(t *testing.T) {
	deep := strings.Repeat(`[`, 9000) + strings.Repeat(`]`, 9000)
	r := parse(t, `{"deep": `+deep+`, "query": "q"}`)
	require.True(t, r.Has("query"))
	deep = strings.Repeat(`[`, 1e6) + strings.Repeat(`]`, 1e6)
	_, err := Parse("f.jsonl", 3, []byte(`{"deep": `+deep+`}`))
	require.EqualError(t, err, "f.jsonl:3:10009: want valid JSON, got invalid character '[' exceeded max depth")
}

func TestValues(t *testing.T) {
	r := parse(t, ` { "s" :"a\"b\\" , "nil":null,"list":["x", "y\n\u00e9\ud83d\ude00"],"none":[ ],"ids":[0, 2147483647],`+
		`"lists":[[1],[],[2 ,3]], "o": {"s": "inner", "l": ["]}"]}, "k\u0065y": true} `)

	for _, name := range []string{"s", "list", "none", "ids", "lists", "o", "key"} {
		require.True(t, r.Has(name), name)
	}
	require.False(t, r.Has("nil"), "null counts as absent")
	require.False(t, r.Has("S"), "names match exactly")
	require.False(t, r.Has("l"), "fields of inner objects are not the row's")

	s, ok, err := r.String("s")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, `a"b\`, s)

	list, ok, err := r.Strings("list")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []string{"x", "y\né😀"}, list)

	list, ok, err = r.Strings("none")
	require.NoError(t, err)
	require.True(t, ok)
	require.NotNil(t, list)
	require.Empty(t, list)

	list, ok, err = r.StringOrStrings("s")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []string{`a"b\`}, list)
	list, _, err = r.StringOrStrings("list")
	require.NoError(t, err)
	require.Len(t, list, 2)

	ids, ok, err := r.TokenIDs("ids")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []int32{0, 2147483647}, ids)

	lists, ok, err := r.TokenIDLists("lists")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, [][]int32{{1}, {}, {2, 3}}, lists)
}

// access calls every accessor by its name, for the tables below.
var access = map[string]func(r *Row, field string) (any, bool, error){
	"String":          func(r *Row, f string) (any, bool, error) { return r.String(f) },
	"Strings":         func(r *Row, f string) (any, bool, error) { return r.Strings(f) },
	"StringOrStrings": func(r *Row, f string) (any, bool, error) { return r.StringOrStrings(f) },
	"TokenIDs":        func(r *Row, f string) (any, bool, error) { return r.TokenIDs(f) },
	"TokenIDLists":    func(r *Row, f string) (any, bool, error) { return r.TokenIDLists(f) },
}

func TestAbsentValues(t *testing.T) {
	r := parse(t, `{"nil": null}`)
	for name, get := range access {
		for _, field := range []string{"nil", "missing"} {
			v, ok, err := get(r, field)
			require.NoError(t, err, name)
			require.False(t, ok, name)
			require.Empty(t, v, name)
		}
	}
}

func TestValueErrors(t *testing.T) {
	for _, c := range []struct{ get, value, want string }{
		{"String", `1`, `f: want a string, got a number`},
		{"String", `["a"]`, `f: want a string, got a list`},
		{"String", `{}`, `f: want a string, got an object`},
		{"String", `false`, `f: want a string, got a boolean`},
		{"String", `"né\u0000"`, `f: want text without NUL, got U+0000 at character 3`},
		{"String", `"\ud83d"`, `f: want whole surrogate pairs, got a lone \ud83d at character 1`},
		{"String", `"ab\ude00\ud83d"`, `f: want whole surrogate pairs, got a lone \ude00 at character 3`},
		{"String", `"\uD83D\n\uDE00"`, `f: want whole surrogate pairs, got a lone \uD83D at character 1`},
		{"String", `"\ud83d\u0041"`, `f: want whole surrogate pairs, got a lone \ud83d at character 1`},
		{"Strings", `1.5`, `f: want a list of strings, got a number`},
		{"Strings", `"one"`, `f: want a list of strings, got a string`},
		{"Strings", `["a", "b", "c", 4]`, `f[3]: want a string, got a number`},
		{"Strings", `["a", null]`, `f[1]: want a string, got null`},
		{"Strings", `[["a"]]`, `f[0]: want a string, got a list`},
		{"Strings", `["a", "\u0000"]`, `f[1]: want text without NUL, got U+0000 at character 1`},
		{"Strings", `["a", "b", "c", "d \ud83d e"]`, `f[3]: want whole surrogate pairs, got a lone \ud83d at character 3`},
		{"StringOrStrings", `1`, `f: want a string or a list of strings, got a number`},
		{"StringOrStrings", `"\u0000"`, `f: want text without NUL, got U+0000 at character 1`},
		{"StringOrStrings", `[true]`, `f[0]: want a string, got a boolean`},
		{"TokenIDs", `7`, `f: want a list of integers, got a number`},
		{"TokenIDs", `["7"]`, `f[0]: want an integer from 0 to 2147483647, got a string`},
		{"TokenIDs", `[1, -1]`, `f[1]: want an integer from 0 to 2147483647, got -1`},
		{"TokenIDs", `[1, 2, 3.0]`, `f[2]: want an integer from 0 to 2147483647, got 3.0`},
		{"TokenIDs", `[1e3]`, `f[0]: want an integer from 0 to 2147483647, got 1e3`},
		{"TokenIDs", `[2147483648]`, `f[0]: want an integer from 0 to 2147483647, got 2147483648`},
		{"TokenIDs", `[` + strings.Repeat("9", 1000) + `]`, `f[0]: want an integer from 0 to 2147483647, got 999999999999999999999999...`},
		{"TokenIDs", `[null]`, `f[0]: want an integer from 0 to 2147483647, got null`},
		{"TokenIDLists", `"x"`, `f: want a list of lists of integers, got a string`},
		{"TokenIDLists", `[[1], 2]`, `f[1]: want a list of integers, got a number`},
		{"TokenIDLists", `[[1], [2, {}]]`, `f[1][1]: want an integer from 0 to 2147483647, got an object`},
	} {
		t.Run(c.get+" "+c.value[:min(20, len(c.value))], func(t *testing.T) {
			r := parse(t, `{"f": `+c.value+`}`)
			v, ok, err := access[c.get](r, "f")
			require.EqualError(t, err, "f.jsonl:3: "+c.want)
			var bad *Error
			require.True(t, errors.As(err, &bad))
			require.Zero(t, bad.Column)
			require.False(t, ok)
			require.Empty(t, v)
		})
	}
}

// Text that nobody reads may be anything JSON allows.
func TestUnreadFieldsMayHoldAnything(t *testing.T) {
	r := parse(t, `{"x": "\u0000\ud83d", "\ud83d": 1, "\ud83e": 2, "\u0000": 3, "query": "q"}`)
	q, ok, err := r.String("query")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "q", q)
}

func TestErrorf(t *testing.T) {
	r := parse(t, `{"answers": []}`)
	require.EqualError(t, r.Errorf("answers", "want %d or more, got none", 1), "f.jsonl:3: answers: want 1 or more, got none")
	require.EqualError(t, r.Errorf("", "want less"), "f.jsonl:3: want less")
}

func BenchmarkParse200kB(b *testing.B) {
	var line strings.Builder
	line.WriteString(`{"query": "q", "answers": ["a"], "pos": [`)
	for i := range 200 {
		if i > 0 {
			line.WriteString(", ")
		}
		line.WriteString(`"` + strings.Repeat(`word \"quoted\" caf\u00e9 `, 42) + `"`)
	}
	line.WriteString(`], "query_id": 7}`)
	raw := []byte(line.String())
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := Parse("f.jsonl", 1, raw)
		if err != nil {
			b.Fatal(err)
		}
		if v, _, err := r.Strings("pos"); err != nil || len(v) != 200 {
			b.Fatal(len(v), err)
		}
	}
}
