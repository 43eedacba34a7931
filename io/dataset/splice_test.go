package dataset

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplice(t *testing.T) {
	scores := Field{"teacher_scores", []byte("[-1.5, -2.0]")}
	label := Field{"pos_scores", []byte("[-1.5]")}
	for _, c := range []struct {
		name, line string
		set        []Field
		drop       []string
		want       string
	}{
		{"nothing", ` {"a" : 1 ,"b":2 } `, nil, nil, ` {"a" : 1 ,"b":2 } `},
		{"appended as Python writes", `{"a": 1, "b": "x"}`, []Field{scores, label}, nil,
			`{"a": 1, "b": "x", "teacher_scores": [-1.5, -2.0], "pos_scores": [-1.5]}`},
		{"appended to a compact line", `{"a":1,"b":"x"}`, []Field{scores}, nil,
			`{"a":1,"b":"x","teacher_scores":[-1.5, -2.0]}`},
		{"white space before the brace stays", `{"a": 1 }`, []Field{scores}, nil,
			`{"a": 1, "teacher_scores": [-1.5, -2.0] }`},
		{"replaced where it stands", `{"a":1,"teacher_scores" : [0],"b":2}`, []Field{scores}, nil,
			`{"a":1,"teacher_scores" : [-1.5, -2.0],"b":2}`},
		{"an escaped name is the same name", `{"t\u0065acher_scores": null, "b":2}`, []Field{scores}, nil,
			`{"t\u0065acher_scores": [-1.5, -2.0], "b":2}`},
		{"replaced and appended", `{"teacher_scores": 1, "b": 2}`, []Field{label, scores}, nil,
			`{"teacher_scores": [-1.5, -2.0], "b": 2, "pos_scores": [-1.5]}`},
		{"the empty object", `{}`, []Field{scores, label}, nil,
			`{"teacher_scores": [-1.5, -2.0], "pos_scores": [-1.5]}`},
		{"the empty object with a space", ` { } `, []Field{label}, nil, ` {"pos_scores": [-1.5] } `},
		{"first dropped", `{"a": 1, "b": 2,"c": 3}`, nil, []string{"a"}, `{"b": 2,"c": 3}`},
		{"middle dropped", `{"a": 1, "b": 2,"c": 3}`, nil, []string{"b"}, `{"a": 1,"c": 3}`},
		{"last dropped", `{"a": 1, "b": 2 , "c": 3 }`, nil, []string{"c"}, `{"a": 1, "b": 2 }`},
		{"first two dropped", `{"a":1, "b":2 ,  "c":3}`, nil, []string{"b", "a"}, `{"c":3}`},
		{"all dropped", `{ "a": 1, "b": 2 }`, nil, []string{"a", "b"}, `{  }`},
		{"none of it there", `{"a": 1}`, nil, []string{"z"}, `{"a": 1}`},
		{"dropped and appended", `{"ids":[1,2],"a":1}`, []Field{scores}, []string{"ids"},
			`{"a":1,"teacher_scores":[-1.5, -2.0]}`},
		{"all dropped and appended", `{"ids":[1,2]}`, []Field{label}, []string{"ids"}, `{"pos_scores":[-1.5]}`},
		{"set wins over drop", `{"pos_scores": 1}`, []Field{label}, []string{"pos_scores"}, `{"pos_scores": [-1.5]}`},
		{"inner fields are left alone", `{"o": {"pos_scores": 1, "a": 2}}`, []Field{label}, []string{"a"},
			`{"o": {"pos_scores": 1, "a": 2}, "pos_scores": [-1.5]}`},
		{"odd bytes are kept", `{"a\/b": 1.50E+03, "é": "\u00e9\ud83d"}`, []Field{label}, nil,
			`{"a\/b": 1.50E+03, "é": "\u00e9\ud83d", "pos_scores": [-1.5]}`},
		{"a name with quotes", `{}`, []Field{{`"x"`, []byte("1")}}, nil, `{"\"x\"": 1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parse(t, c.line)
			got := r.Splice(c.set, c.drop)
			require.Equal(t, c.want, string(got))
			require.True(t, json.Valid(got))
			require.Equal(t, c.line, string(r.Raw), "the row is not changed")
		})
	}
}

func TestFloats(t *testing.T) {
	for _, c := range []struct {
		v    []float32
		want string
	}{
		{nil, `[]`},
		{[]float32{1, -2.5, 0, 100}, `[1.0, -2.5, 0.0, 100.0]`},
		{[]float32{-3.1415927, 0.1, -1.0 / 3}, `[-3.1415927, 0.1, -0.33333334]`},
		{[]float32{float32(math.Copysign(0, -1))}, `[-0.0]`},
		{[]float32{16777216, 3.4028235e38, 1e-45, 1.5e-7, 1e16}, `[16777216.0, 3.4028235e+38, 1e-45, 1.5e-07, 1e+16]`},
	} {
		got, err := Floats(c.v)
		require.NoError(t, err)
		require.Equal(t, c.want, string(got))
		var back []float32
		require.NoError(t, json.Unmarshal(got, &back))
		for i := range c.v {
			require.Equal(t, math.Float32bits(c.v[i]), math.Float32bits(back[i]))
		}
	}
	for x, want := range map[float32]string{
		float32(math.NaN()):   "want finite numbers, got NaN at index 1",
		float32(math.Inf(1)):  "want finite numbers, got +Inf at index 1",
		float32(math.Inf(-1)): "want finite numbers, got -Inf at index 1",
	} {
		_, err := Floats([]float32{1, x})
		require.EqualError(t, err, want)
	}
}
