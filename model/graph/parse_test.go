package graph

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const testdata = "../../testdata"

var fixtures = []string{"tiny-gqa", "tiny-gqa-fp16", "tiny-explicit", "tiny-numlogits", "tiny-rawnames", "tiny-lastlogits", "tiny-nan"}

func readFixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testdata, name, "model.onnx"))
	require.NoError(t, err)
	return data
}

// cache lists the cache's tensors of a tiny model.
func cache(prefix, length string, typ ElemType) []Tensor {
	var out []Tensor
	for _, name := range []string{"0.key", "0.value", "1.key", "1.value"} {
		out = append(out, Tensor{prefix + "." + name, typ, []int64{-1, 2, -1, 16}, []string{"batch_size", "", length, ""}})
	}
	return out
}

func row(name, second string) Tensor {
	return Tensor{name, Int64, []int64{-1, -1}, []string{"batch_size", second}}
}

func TestReadFixtures(t *testing.T) {
	rows := []Tensor{row("input_ids", "sequence_length"), row("attention_mask", "total_sequence_length")}
	positions := append(rows[:2:2], row("position_ids", "sequence_length"))
	past, present := "past_key_values", "present"
	out := func(name string, typ ElemType, dims []int64, symbols ...string) Tensor {
		return Tensor{name, typ, dims, symbols}
	}
	full := out("logits", Float32, []int64{-1, -1, 512}, "batch_size", "sequence_length", "")
	const oldLen, newLen = "past_sequence_length", "total_sequence_length"
	join := func(a []Tensor, b ...Tensor) []Tensor { return append(a[:len(a):len(a)], b...) }

	// Counted with the onnx package for Python.
	for _, c := range []struct {
		name            string
		inputs, outputs []Tensor
		ops             map[string]int // some of them
		nodes           int            // all
		params, size    int64
	}{
		{"tiny-gqa", join(rows, cache(past, oldLen, Float32)...), join([]Tensor{full}, cache(present, newLen, Float32)...),
			map[string]int{"GroupQueryAttention": 2, "MatMul": 15, "SkipSimplifiedLayerNormalization": 4}, 36, 49_314, 213_120},
		{"tiny-gqa-fp16", join(rows, cache(past, oldLen, Float16)...),
			join([]Tensor{out("logits", Float16, []int64{-1, -1, 512}, "batch_size", "sequence_length", "")}, cache(present, newLen, Float16)...),
			map[string]int{"GroupQueryAttention": 2}, 36, 49_314, 114_752},
		{"tiny-explicit", join(positions, cache(past, oldLen, Float32)...), join([]Tensor{full}, cache(present, newLen, Float32)...),
			map[string]int{"MatMul": 19, "Softmax": 2, "Mul": 27, "Concat": 12, "GroupQueryAttention": 0}, 159, 49_345, 213_120},
		{"tiny-numlogits", join(join(positions, cache(past, oldLen, Float32)...), Tensor{"num_logits_to_keep", Int64, []int64{}, []string{}}),
			join([]Tensor{out("logits", Float32, []int64{-1, -1, 512}, "batch_size", "num_logits", "")}, cache(present, newLen, Float32)...),
			map[string]int{"Slice": 1, "Neg": 1}, 162, 49_348, 213_120},
		{"tiny-rawnames", []Tensor{{"tokens", Int64, []int64{-1, -1}, []string{"s0", "s1"}}, {"mask", Int64, []int64{-1, -1}, []string{"s0", "s1"}}},
			[]Tensor{out("output", Float32, []int64{-1, -1, 512}, "s0", "s1", "")},
			map[string]int{"Unsqueeze": 9}, 156, 49_345, 213_120},
		{"tiny-lastlogits", join(rows, cache(past, oldLen, Float32)...),
			join([]Tensor{out("logits", Float32, []int64{-1, 1, 512}, "batch_size", "", "")}, cache(present, newLen, Float32)...),
			map[string]int{"Slice": 1}, 37, 49_317, 213_120},
		{"tiny-nan", join(rows, cache(past, oldLen, Float32)...), join([]Tensor{full}, cache(present, newLen, Float32)...),
			map[string]int{"Transpose": 0}, 35, 65_698, 282_624},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(testdata, c.name, "model.onnx")
			m, err := Read(path)
			require.NoError(t, err)
			require.Equal(t, "ortscore", m.Producer)
			require.Equal(t, c.inputs, m.Inputs)
			require.Equal(t, c.outputs, m.Outputs)
			nodes := 0
			for _, n := range m.Ops {
				nodes += n
			}
			require.Equal(t, c.nodes, nodes)
			for op, n := range c.ops {
				require.Equal(t, n, m.Ops[op], op)
				require.Equal(t, n > 0, m.Has(op), op)
			}
			require.Equal(t, c.params, m.Params)
			require.Equal(t, []External{{"model.onnx.data", c.size}}, m.External)
		})
	}
}

func TestParseSubgraphs(t *testing.T) {
	m, err := Parse(onnxModel(nested(maxDepth), logits()))
	require.NoError(t, err)
	require.Equal(t, map[string]int{"If": maxDepth, "Identity": 1}, m.Ops)

	for _, depth := range []int{maxDepth + 1, 100, 2000} {
		_, err = Parse(onnxModel(nested(depth), logits()))
		require.ErrorContains(t, err, "deep, got more")
	}

	// Inputs and outputs of a body are not the model's; its weights are.
	body := msg(input(value("i", Int64)), output(value("cond", Bool)),
		initializer(tensor("w", Float32, []int64{2, 3}, "location", "body.data", "length", "24")))
	m, err = Parse(onnxModel(node("Loop", bytesField(11, body)), logits()))
	require.NoError(t, err)
	require.Empty(t, m.Inputs)
	require.Len(t, m.Outputs, 1)
	require.Equal(t, []External{{"body.data", 24}}, m.External)
	require.EqualValues(t, 6, m.Params)
}

// Weights can hide in more places than the list of initializers.
func TestParseFindsExternalDataEverywhere(t *testing.T) {
	in := func(file string) []byte { return tensor("w", Float32, []int64{4}, "location", file) }
	data := msg(onnxModel(
		node("Constant", bytesField(5, in("t"))),
		node("Custom", bytesField(10, in("tensors"))),
		node("Constant", bytesField(22, bytesField(1, in("sparse attribute")))),
		bytesField(15, msg(bytesField(1, in("sparse values")), bytesField(2, in("sparse indices")))),
		initializer(in("initializer")),
		logits(),
	), bytesField(25, msg(str(1, "f"), bytesField(7, node("Constant", bytesField(5, in("function")))[2:]))))
	m, err := Parse(data)
	require.NoError(t, err)
	var locations []string
	for _, ext := range m.External {
		require.EqualValues(t, 16, ext.Size, "four float32, though no length is given: %s", ext.Location)
		locations = append(locations, ext.Location)
	}
	require.Equal(t, []string{"t", "tensors", "sparse attribute", "sparse values", "sparse indices", "initializer", "function"}, locations)
	require.Equal(t, 3, m.Ops["Constant"])
}

func TestParseExternalSizes(t *testing.T) {
	ext := func(entries ...string) []byte {
		return initializer(tensor("w", Float16, []int64{5, 2}, append([]string{"location", "d"}, entries...)...))
	}
	for _, c := range []struct {
		name    string
		weights []byte
		size    int64
		want    string
	}{
		{"offset and length", ext("offset", "4096", "length", "20"), 4116, ""},
		{"length alone", ext("length", "20"), 20, ""},
		{"no length: the tensor's own", ext("offset", "100"), 120, ""},
		{"the largest of all", msg(ext("offset", "50", "length", "20"), ext("offset", "10", "length", "20")), 70, ""},
		{"negative", ext("offset", "-1"), 0, `tensor "w": external data: want a number of bytes as offset, got "-1"`},
		{"no number", ext("length", "1e3"), 0, `tensor "w": external data: want a number of bytes as length, got "1e3"`},
		{"too long a number", ext("length", "99999999999999999999"), 0, `tensor "w": external data: want a number of bytes as length, got "99999999999999999999"`},
		{"a sum too large", ext("offset", "9223372036854775807", "length", "1"), 0,
			`tensor "w": external data: want an end below 2^63, got offset 9223372036854775807 and length 1`},
	} {
		m, err := Parse(onnxModel(c.weights, logits()))
		if c.want != "" {
			require.EqualError(t, err, c.want, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, []External{{"d", c.size}}, m.External, c.name)
	}
}

func TestParseOddities(t *testing.T) {
	data := msg(str(2, "torch"), str(3, "2.11"), onnxModel(
		// The old way: weights stand among the inputs too.
		input(value("input_ids", Int64, "b", "s")), input(value("w", Float32, 4, 4)),
		initializer(tensor("w", Float32, []int64{4, 4})),
		initializer(msg(number(1, 3), number(1, 5), str(8, "dims one by one"))),
		initializer(tensor("a scalar", Float32, nil)),
		initializer(tensor("negative", Float32, []int64{-4})),
		initializer(tensor("too many", Float32, []int64{1 << 62, 1 << 62})),
		initializer(tensor("nearly all", Float32, []int64{1<<63 - 1})),
		input(value("odd", Int64, -7, "s", "", 1<<40)),
		input(msg(str(1, "a sequence type"), bytesField(2, bytesField(4, nil)))),
		input(msg(str(1, "no shape"), bytesField(2, bytesField(1, number(1, 7))))),
		input(value("scalar", Bool)),
		input(msg(str(1, strings.Repeat("n", 5000)))),
		logits(),
	))
	m, err := Parse(data)
	require.NoError(t, err)
	require.Equal(t, "torch 2.11", m.Producer)
	require.Equal(t, []Tensor{
		{"input_ids", Int64, []int64{-1, -1}, []string{"b", "s"}},
		{"odd", Int64, []int64{-1, -1, -1, -1}, []string{"", "s", "", ""}},
		{"a sequence type", 0, nil, nil},
		{"no shape", Int64, nil, nil},
		{"scalar", Bool, []int64{}, []string{}},
	}, m.Inputs[:5])
	require.Len(t, m.Inputs[5].Name, maxName)
	// 16 + 15 + 1; what is negative or overflows counts nothing.
	require.EqualValues(t, 32, m.Params)
}

func TestElemType(t *testing.T) {
	for typ, want := range map[ElemType]struct {
		name  string
		size  int
		float bool
	}{
		Float32: {"fp32", 4, true}, Float16: {"fp16", 2, true}, BFloat16: {"bf16", 2, true},
		Int32: {"int32", 4, false}, Int64: {"int64", 8, false}, Bool: {"bool", 1, false}, 3: {"onnx type 3", 0, false},
	} {
		require.Equal(t, want.name, typ.String())
		require.Equal(t, want.size, typ.Size())
		require.Equal(t, want.float, typ.IsFloat())
	}
}
