package graph

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func named(typ ElemType, names ...string) (out []Tensor) {
	for _, n := range names {
		out = append(out, tens(n, typ, -1, 2, -1, 16))
	}
	return out
}

func TestPresentGoesWithPast(t *testing.T) {
	past := named(Float16, "past_key_values.0.key", "past_key_values.0.value", "past_key_values.10.key", "past_key_values.10.value")
	for _, c := range []struct {
		name          string
		past, outputs []Tensor
		paired        bool
	}{
		{"genai and optimum, in any order", past, named(Float16, "present.10.value", "present.0.key", "present.10.key", "present.0.value"), true},
		{"present_key_values", past, named(Float16, "present_key_values.0.key", "present_key_values.0.value", "present_key_values.10.key", "present_key_values.10.value"), true},
		{"short names", named(Float16, "past_key_0", "past_value_0"), named(Float16, "present_value_0", "present_key_0"), true},
		{"cache_in and cache_out", named(Float16, "cache_in.0", "cache_in.1"), named(Float16, "cache_out.0", "cache_out.1"), true},
		{"one is missing", past, named(Float16, "present.0.key", "present.0.value", "present.10.key"), false},
		{"another type", past, named(Float32, "present.0.key", "present.0.value", "present.10.key", "present.10.value"), false},
		{"names that do not tell", past, named(Float16, "out_0", "out_1", "out_2", "out_3"), false},
		{"no cache", nil, named(Float16, "present.0.key"), false},
	} {
		present := pair(c.past, c.outputs)
		require.Equal(t, c.paired, present != nil, c.name)
		for i, p := range present {
			require.Equal(t, cacheWords.ReplaceAllString(c.past[i].Name, ""), cacheWords.ReplaceAllString(p.Name, ""), c.name)
		}
	}
}

func TestCacheOfFixtures(t *testing.T) {
	for name, want := range map[string]struct{ cached, inPlace bool }{
		"tiny-gqa": {true, true}, "tiny-gqa-fp16": {true, true}, "tiny-explicit": {true, false},
		"tiny-numlogits": {true, false}, "tiny-rawnames": {false, false},
	} {
		m, err := Read(filepath.Join("..", "..", "testdata", name, "model.onnx"))
		require.NoError(t, err)
		c, err := Detect(m, nil)
		require.NoError(t, err)
		require.Equal(t, want.cached, c.Present != nil, name)
		require.Equal(t, want.inPlace, c.InPlace(m), name)
	}
}
