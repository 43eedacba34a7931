package graph

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a batch shares is read off the graphs that have it, and off no other.
func TestBatchwide(t *testing.T) {
	for path, want := range map[string]Batchwide{
		"batchwide/window":            {Windows: []int{8}},
		"batchwide/columns":           {Windows: []int{8}},
		"batchwide/quantized":         {Quantizer: "DynamicQuantizeLinear", Rounds: true},
		"batchwide/longrope":          {Breaks: []int{39, 40, 41}},
		"batchwide/longrope-explicit": {Breaks: []int{39, 40, 41}},
		"batchwide/padding":           {},
		"batchwide/half":              {Half: true},
		"tiny-gqa-fp16/model":         {Half: true},
		"tiny-gqa/model":              {},
		"tiny-explicit/model":         {},
		"tiny-int8/model":             {Rounds: true},
		"heads/dynamic":               {Quantizer: "DynamicQuantizeLinear", Rounds: true},
		"heads/wide":                  {},
	} {
		data, err := os.ReadFile(filepath.Join("..", "..", "testdata", path+".onnx"))
		require.NoError(t, err)
		m, err := Parse(data)
		require.NoError(t, err)
		require.Equal(t, want, m.Batchwide, path)
		require.Equal(t, map[bool]int{true: 24, false: 512}[strings.HasPrefix(path, "heads/")], m.Embeddings, path)
	}
}

// operatorNode is a node with inputs and outputs.
func operatorNode(op string, inputs []string, output string, attributes ...[]byte) []byte {
	var out []byte
	for _, name := range inputs {
		out = append(out, str(1, name)...)
	}
	out = append(out, str(2, output)...)
	out = append(out, str(4, op)...)
	for _, a := range attributes {
		out = append(out, bytesField(5, a)...)
	}
	return bytesField(1, out)
}

// A comparison is a break if it holds a size of the batch against a number, however
// these are written, and a window where a number is taken off what is compared.
func TestComparisons(t *testing.T) {
	limit := func(typ ElemType, data []byte) []byte {
		return initializer(msg(number(2, int64(typ)), str(8, "limit"), data))
	}
	whole := limit(Int64, packed(7, 64))
	sized := [][]byte{operatorNode("Shape", []string{"mask"}, "shape"), operatorNode("Gather", []string{"shape", "one"}, "size")}
	for name, c := range map[string]struct {
		nodes [][]byte
		want  Batchwide
	}{
		"width > limit":  {append(sized, whole, operatorNode("Greater", []string{"size", "limit"}, "b")), Batchwide{Breaks: []int{63, 64, 65}}},
		"limit <= width": {append(sized, whole, operatorNode("LessOrEqual", []string{"limit", "size"}, "b")), Batchwide{Breaks: []int{63, 64, 65}}},
		"as a float": {append(sized, limit(Float32, bytesField(9, []byte{0, 0, 0x80, 0x42})),
			operatorNode("Cast", []string{"size"}, "float"), operatorNode("Greater", []string{"float", "limit"}, "b")), Batchwide{Breaks: []int{63, 64, 65}}},
		"as 32 bits": {append(sized, limit(Int32, packed(5, 64)), operatorNode("Less", []string{"size", "limit"}, "b")), Batchwide{Breaks: []int{63, 64, 65}}},
		"a constant through a cast": {append(sized, operatorNode("Constant", nil, "c", msg(str(1, "value_int"), number(3, 64))),
			operatorNode("Cast", []string{"c"}, "limit"), operatorNode("Greater", []string{"size", "limit"}, "b")), Batchwide{Breaks: []int{63, 64, 65}}},
		"the largest position": {[][]byte{whole, operatorNode("ReduceMax", []string{"positions"}, "most"),
			operatorNode("GreaterOrEqual", []string{"most", "limit"}, "b")}, Batchwide{Breaks: []int{63, 64, 65}}},
		"each position": {[][]byte{whole, operatorNode("Greater", []string{"positions", "limit"}, "b")}, Batchwide{}},
		"each column": {append(sized, whole, operatorNode("Range", []string{"zero", "size", "one"}, "columns"),
			operatorNode("Greater", []string{"columns", "limit"}, "b")), Batchwide{}},
		"whether there is a past": {append(sized, limit(Int64, packed(7, 1)), operatorNode("Greater", []string{"size", "limit"}, "b")), Batchwide{}},
		"a window": {[][]byte{whole, operatorNode("Sub", []string{"queries", "limit"}, "first"),
			operatorNode("Greater", []string{"keys", "first"}, "b")}, Batchwide{Windows: []int{64}}},
		"a window below 0": {[][]byte{limit(Int64, packed(7, -64)), operatorNode("Add", []string{"queries", "limit"}, "first"),
			operatorNode("Less", []string{"first", "keys"}, "b")}, Batchwide{Windows: []int{64}}},
		"no sum of two tokens' places": {append(sized, operatorNode("Greater", []string{"size", "other"}, "b")), Batchwide{}},
	} {
		m, err := Parse(onnxModel(append(c.nodes, logits())...))
		require.NoError(t, err, name)
		require.Equal(t, c.want, m.Batchwide, name)
	}
}

// What many comparisons are made of is looked through once.
func TestComparisonsOfOneSize(t *testing.T) {
	const many = 8000
	nodes := [][]byte{initializer(msg(number(2, int64(Int64)), str(8, "limit"), packed(7, 64))), operatorNode("Shape", []string{"mask"}, "n0")}
	for i := range many {
		name := fmt.Sprint("n", i)
		nodes = append(nodes, operatorNode("Add", []string{name, name}, fmt.Sprint("n", i+1)), operatorNode("Greater", []string{fmt.Sprint("n", i+1), "limit"}, fmt.Sprint("b", i)))
	}
	start := time.Now()
	m, err := Parse(onnxModel(append(nodes, logits())...))
	require.NoError(t, err)
	require.Equal(t, []int{63, 64, 65}, m.Batchwide.Breaks)
	require.Less(t, time.Since(start), 5*time.Second)
}
