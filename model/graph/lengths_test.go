package graph

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// constantOf is an initializer of integers; without dimensions it is a scalar.
func constantOf(name string, dims []int64, values ...int64) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return initializer(msg(tensor(name, Int64, dims), bytesField(9, raw)))
}

func TestLengthsOfAGraph(t *testing.T) {
	mask := input(value("attention_mask", Int64, "b", "t"))
	op := func(op, out string, ins ...string) []byte { return tensorNode(op, ins, []string{out}) }
	with := func(name string, v int64, n []byte) []byte {
		return bytesField(1, msg(n[2:], bytesField(5, msg(str(1, name), number(3, v)))))
	}
	axes := func(n []byte, v int64) []byte {
		ints := protowire.AppendVarint(protowire.AppendTag(nil, 8, protowire.VarintType), uint64(v))
		return bytesField(1, msg(n[2:], bytesField(5, msg(str(1, "axes"), ints))))
	}
	type nodes = [][]byte
	sum, minus := op("ReduceSum", "sum", "attention_mask", "one"), op("Sub", "less", "sum", "one")
	rows := nodes{sum, minus, with("to", int64(Int32), op("Cast", "n", "less"))}
	shape, width := op("Shape", "shape", "attention_mask"), op("Gather", "width", "shape", "scalar one")
	total := nodes{shape, width, with("to", int64(Int32), op("Cast", "t", "width"))}
	both := Lengths{Rows: "ortscore/seqlens_k", Total: "ortscore/total_sequence_length"}
	alone := Lengths{Rows: "ortscore/seqlens_k"}
	replaced := func(from nodes, i int, n ...[]byte) nodes { return slices.Concat(from[:i], n, from[i+1:]) }

	for name, c := range map[string]struct {
		nodes nodes
		want  Lengths
	}{
		"onnxruntime-genai":      {slices.Concat(rows, total), both},
		"the shape first":        {slices.Concat(total, rows), both},
		"Shape of one dimension": {slices.Concat(rows, nodes{with("start", 1, shape), op("Squeeze", "width", "shape", "zero"), total[2]}), both},
		"Shape from the end":     {slices.Concat(rows, nodes{with("end", 2, with("start", -1, shape)), op("Reshape", "width", "shape", "zero"), total[2]}), both},
		"Slice":                  {slices.Concat(rows, nodes{shape, op("Slice", "width", "shape", "one", "two", "zero"), total[2]}), both},
		"an axis of old":         {slices.Concat(nodes{axes(op("ReduceSum", "sum", "attention_mask"), 1), minus, rows[2]}, total), both},
		"the last axis":          {slices.Concat(nodes{op("ReduceSum", "sum", "attention_mask", "minus one"), minus, rows[2]}, total), both},
		"an addition":            {slices.Concat(replaced(rows, 1, op("Add", "less", "minus one", "sum")), total), both},
		"two steps":              {slices.Concat(replaced(rows, 1, op("Sub", "more", "sum", "two"), op("Add", "less", "more", "one")), total), both},
		"int32 before the sum":   {slices.Concat(nodes{with("to", int64(Int32), op("Cast", "narrow", "attention_mask")), op("ReduceSum", "sum", "narrow", "one")}, rows[1:], total), both},
		"bool in between":        {slices.Concat(nodes{with("to", int64(Bool), op("Cast", "b", "attention_mask")), with("to", int64(Int64), op("Cast", "i", "b")), op("ReduceSum", "sum", "i", "one")}, rows[1:], total), both},
		"the longest row":        {slices.Concat(rows, nodes{op("ReduceMax", "most", "sum"), with("to", int64(Int32), op("Cast", "t", "most"))}), both},
		"the longest, less one":  {slices.Concat(rows, nodes{op("ReduceMax", "most", "less"), op("Add", "more", "most", "one"), with("to", int64(Int32), op("Cast", "t", "more"))}), both},
		"rows alone":             {slices.Concat(rows, nodes{op("Shape", "shape", "input_ids"), width, total[2]}), alone},

		"nothing subtracted":       {slices.Concat(nodes{sum, with("to", int64(Int32), op("Cast", "n", "sum"))}, total), Lengths{}},
		"another number":           {slices.Concat(replaced(rows, 1, op("Sub", "less", "sum", "two")), total), Lengths{}},
		"turned round":             {slices.Concat(replaced(rows, 1, op("Sub", "less", "one", "sum")), total), Lengths{}},
		"a number for each row":    {slices.Concat(replaced(rows, 1, op("Sub", "less", "sum", "ones")), total), Lengths{}},
		"a number that is fed":     {slices.Concat(replaced(rows, 1, op("Sub", "less", "sum", "input_ids")), total), Lengths{}},
		"the sum of columns":       {slices.Concat(replaced(rows, 0, op("ReduceSum", "sum", "attention_mask", "zero")), total), Lengths{}},
		"the sum of all":           {slices.Concat(replaced(rows, 0, op("ReduceSum", "sum", "attention_mask")), total), Lengths{}},
		"the mean":                 {slices.Concat(replaced(rows, 0, op("ReduceMean", "sum", "attention_mask", "one")), total), Lengths{}},
		"fp16 before the sum":      {slices.Concat(nodes{with("to", int64(Float16), op("Cast", "half", "attention_mask")), op("ReduceSum", "sum", "half", "one")}, rows[1:], total), Lengths{}},
		"rows of the shape":        {slices.Concat(rows, replaced(total, 1, op("Gather", "width", "shape", "zero"))), Lengths{}},
		"rows by Shape":            {slices.Concat(rows, nodes{with("end", 1, shape), op("Squeeze", "width", "shape"), total[2]}), Lengths{}},
		"the width less one":       {slices.Concat(rows, nodes{shape, width, op("Sub", "less one", "width", "one"), with("to", int64(Int32), op("Cast", "t", "less one"))}), Lengths{}},
		"lengths as the total":     {slices.Concat(nodes{sum, minus, with("to", int64(Int32), op("Cast", "t", "less"))}, nodes{op("Shape", "n", "input_ids")}), Lengths{}},
		"the width compared":       {slices.Concat(rows, total, nodes{op("Greater", "long", "width", "one")}), Lengths{}},
		"the mask read elsewhere":  {slices.Concat(rows, total, nodes{op("CumSum", "positions", "attention_mask", "one")}), Lengths{}},
		"the mask as an output":    {slices.Concat(rows, total, nodes{output(value("attention_mask", Int64, "b", "t"))}), Lengths{}},
		"lengths as an output":     {slices.Concat(rows, total, nodes{output(value("n", Int32, "b"))}), Lengths{}},
		"read in a subgraph":       {slices.Concat(rows, total, nodes{tensorNode("If", []string{"c"}, []string{"d"}, bytesField(6, op("Neg", "x", "t")))}), Lengths{}},
		"half way read elsewhere":  {slices.Concat(rows, total, nodes{op("Neg", "x", "less")}), Lengths{}},
		"another operator's":       {slices.Concat(rows, total, nodes{inDomain(op("PagedAttention", "x", "n", "t"), "com.microsoft")}), Lengths{}},
		"a mask that nobody reads": {nodes{op("Shape", "n", "input_ids"), op("Shape", "t", "input_ids")}, Lengths{}},
	} {
		fields := slices.Concat(nodes{mask, constantOf("one", []int64{1}, 1), constantOf("two", []int64{1}, 2), constantOf("zero", []int64{1}, 0),
			constantOf("minus one", []int64{1}, -1), constantOf("scalar one", nil, 1), constantOf("ones", []int64{2}, 1, 1)}, c.nodes)
		data := attends(nil, nil, nil, fields...)
		for _, form := range []Form{Scoring, ScoringPresent, Decoding} {
			r := rewritten(t, data, form)
			require.Equal(t, c.want, r.Lengths, name)
			requireLengths(t, name, r)
		}
	}
}

// requireLengths looks at what the attention of a rewritten graph is told.
func requireLengths(t *testing.T, name string, r *Rewritten) {
	m, err := Parse(r.Data)
	require.NoError(t, err)
	require.Equal(t, !r.Lengths.Given(), contains(m.Inputs, "attention_mask"), name)
	g := bodyOf(t, r.Data)
	for _, n := range g.nodes {
		if n.op != "com.microsoft.GroupQueryAttention" {
			for _, input := range n.inputs {
				require.False(t, r.Lengths.Given() && input == "attention_mask", "%s: %s reads a mask that is not there", name, n.op)
			}
			continue
		}
		want := []string{"n", "t"}
		if r.Lengths.Rows != "" {
			want[0] = r.Lengths.Rows
		}
		if r.Lengths.Total != "" {
			want[1] = r.Lengths.Total
		}
		require.Equal(t, want, n.inputs[5:7], name)
	}
	for _, told := range []Tensor{{r.Lengths.Rows, Int32, []int64{-1}, []string{"ortscore/rows"}}, {r.Lengths.Total, Int32, []int64{}, []string{}}} {
		if told.Name != "" {
			require.Contains(t, m.Inputs, told, name)
		}
	}
}
