package graph

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// integer is an initializer that holds one integer.
func integer(name string, v int64) []byte {
	return initializer(msg(packed(1, 1), number(2, int64(Int64)), str(8, name), bytesField(9, binary.LittleEndian.AppendUint64(nil, uint64(v)))))
}

// withTables is a graph with tables of weights, and with further nodes.
func withTables(nodes ...[]byte) []byte {
	return headModel(18, append([][]byte{idsInput, input(value("position_ids", Int64, "b", "s")), input(value("attention_mask", Int64, "b", "s")),
		embed, matmulNode, headWeight, logits(), integer("two", 2), integer("one", 1), integer("minus", -1), integer("axis", 2), integer("zero", 0), integer("end", 8),
		initializer(tensor("e", Float32, []int64{512, 8})), initializer(tensor("table", Float32, []int64{130, 8})),
		initializer(tensor("small", Float32, []int64{40, 8})), initializer(tensor("causal", Bool, []int64{1, 1, 100, 100})),
		initializer(tensor("packed", 3, []int64{60, 8})), initializer(tensor("scales", Float32, []int64{60})),
	}, nodes...)...)
}

func op(op string, output string, inputs ...string) []byte {
	return tensorNode(op, inputs, []string{output})
}

func TestMostTokens(t *testing.T) {
	axis := func(v int64) []byte { return msg(str(1, "axis"), number(3, v), number(20, 2)) }
	shape := []([]byte){op("Shape", "shape", "input_ids"), op("Gather", "length", "shape", "one")}
	cumsum := [][]byte{op("CumSum", "sum", "attention_mask", "one"), op("Cast", "mask", "attention_mask"), op("Mul", "seen", "sum", "mask")}
	join := func(lists ...[][]byte) (all [][]byte) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for _, c := range []struct {
		name  string
		nodes [][]byte
		want  int
	}{
		{"words alone", nil, 0},
		{"learned positions", [][]byte{op("Gather", "p", "table", "position_ids")}, 130},
		{"two tables", [][]byte{op("Gather", "p", "table", "position_ids"), op("Gather", "q", "small", "position_ids")}, 40},
		{"positions that begin at 2", [][]byte{op("Add", "later", "position_ids", "two"), op("Gather", "p", "table", "later")}, 128},
		{"counted in the mask, less one and more two", join(cumsum, [][]byte{op("Sub", "from0", "seen", "one"), op("Add", "from2", "two", "from0"), op("Gather", "p", "table", "from2")}), 128},
		{"counted in the mask, from 1", join(cumsum, [][]byte{op("Cast", "from1", "seen"), op("Gather", "p", "table", "from1")}), 129},
		{"a range after the cache", join(shape, [][]byte{op("Range", "r", "zero", "length", "one"), op("Add", "shifted", "r", "length"),
			op("Unsqueeze", "u", "shifted", "zero"), op("Gather", "p", "table", "u")}), 130},
		{"hidden by the mask", [][]byte{op("Cast", "m", "attention_mask"), op("Where", "w2", "m", "position_ids", "one"), op("Gather", "p", "table", "w2")}, 130},
		{"repeated for each row", [][]byte{op("Expand", "wide", "table", "shape"), op("Unsqueeze", "u", "position_ids", "minus"),
			op("Expand", "at", "u", "shape"), tensorNode("GatherElements", []string{"wide", "at"}, []string{"p"}, axis(1))}, 130},
		{"by several indices", [][]byte{op("Unsqueeze", "u", "position_ids", "minus"), op("GatherND", "p", "table", "u")}, 130},
		{"quantised", [][]byte{op("DequantizeLinear", "d", "packed", "scales"), op("Gather", "p", "d", "position_ids")}, 60},
		{"quantised in blocks", [][]byte{inDomain(op("GatherBlockQuantized", "p", "packed", "position_ids"), "com.microsoft")}, 60},
		{"in a subgraph", [][]byte{node("If", bytesField(6, op("Gather", "p", "table", "position_ids")))}, 130},
		{"a mask that is cut", join(shape, [][]byte{op("Slice", "cut", "causal", "zero", "length", "axis", "one")}), 100},
		{"the end of a constant", join(shape, [][]byte{op("Neg", "back", "length"), op("Slice", "cut", "causal", "back", "end", "axis", "one")}), 100},
		{"angles", [][]byte{inDomain(op("RotaryEmbedding", "q2", "q", "position_ids", "small", "small"), "com.microsoft")}, 40},
		{"angles of ONNX's own operator", [][]byte{op("RotaryEmbedding", "q2", "q", "small", "small", "position_ids")}, 40},

		{"a constant part of a constant", [][]byte{op("Slice", "cut", "causal", "zero", "end", "axis", "one")}, 0},
		{"a kind of token", [][]byte{op("ConstantOfShape", "zeros", "shape"), op("Gather", "p", "small", "zeros")}, 0},
		{"how far apart tokens are", join(shape, [][]byte{op("Range", "r", "zero", "length", "one"), op("Sub", "apart", "r", "position_ids"),
			op("Min", "bucket", "apart", "end"), op("Gather", "p", "small", "bucket")}), 0},
		{"two ranges", join(shape, [][]byte{op("Range", "r", "zero", "length", "one"), op("Add", "both", "r", "position_ids"), op("Gather", "p", "small", "both")}), 0},
		{"positions that are bounded", [][]byte{op("Clip", "c", "position_ids", "zero", "end"), op("Gather", "p", "small", "c")}, 0},
		{"a table that is made", [][]byte{op("Cos", "made", "angles"), op("Gather", "p", "made", "position_ids")}, 0},
	} {
		data := withTables(c.nodes...)
		f, err := examine(data, detected(t, data))
		require.NoError(t, err)
		require.Equal(t, c.want, f.MostTokens, c.name)
		require.Nil(t, f.NotCausal, c.name)
	}
	data := attends(nil, nil, nil)
	f, err := examine(data, detected(t, data))
	require.NoError(t, err)
	require.Equal(t, 16, f.MostTokens, "the attention's own angles")
}

// What makes walks long ends them.
func TestMostTokensHostile(t *testing.T) {
	var nodes [][]byte
	last := "position_ids"
	for range 2000 {
		next := last + "x"
		nodes = append(nodes, op("Add", next, last, last), op("Mul", next+"y", next, next))
		last = next
	}
	nodes = append(nodes, op("Gather", "p", "table", last), op("Slice", "cut", "causal", last, last, "axis"), op("Add", "loop", "loop", "loop"), op("Gather", "q", "table", "loop"))
	data := withTables(nodes...)
	f, err := examine(data, detected(t, data))
	require.NoError(t, err)
	require.Zero(t, f.MostTokens)
}

func TestNotCausalGraphs(t *testing.T) {
	end := func(nodes ...[]byte) []byte {
		return headModel(18, append([][]byte{idsInput, embed, headWeight, logits(), integer("two", 2), tensorNode("MatMul", []string{"hidden", "w"}, []string{"x"})}, nodes...)...)
	}
	branch := func(op string) []byte {
		return bytesField(6, msg(tensorNode(op, []string{"x"}, []string{"y"}), output(value("y", Float32))))
	}
	const probabilities = "output logits: want logits, got probabilities: the graph ends in "
	for _, c := range []struct {
		name string
		data []byte
		want string // "" for a graph that may be run
	}{
		{"logits", end(op("Identity", "logits", "x")), ""},
		{"a soft cap", end(op("Div", "s", "x", "two"), op("Tanh", "th", "s"), op("Mul", "logits", "th", "two")), ""},
		{"the largest taken off", end(op("ReduceMax", "m", "x"), op("Sub", "logits", "x", "m")), ""},
		{"softmax", end(op("Softmax", "logits", "x")), probabilities + "Softmax"},
		{"log-softmax", end(op("LogSoftmax", "logits", "x")), probabilities + "LogSoftmax"},
		{"a cast after it", end(op("Softmax", "s", "x"), op("Cast", "c", "s"), op("Identity", "logits", "c")), probabilities + "Softmax"},
		{"its logarithm", end(op("Softmax", "s", "x"), op("Add", "a", "two", "s"), op("Log", "logits", "a")), probabilities + "Softmax"},
		{"sigmoid", end(op("Sigmoid", "logits", "x")), probabilities + "Sigmoid"},
		{"by hand", end(op("Exp", "e2", "x"), op("ReduceSum", "sum", "e2"), op("Div", "logits", "e2", "sum")), probabilities + "Div by ReduceSum"},
		{"its logarithm by hand", end(op("Exp", "e2", "x"), op("ReduceSum", "sum", "e2"), op("Log", "l", "sum"), op("Sub", "logits", "x", "l")), probabilities + "Sub by ReduceSum"},
		{"by ReduceLogSumExp", end(op("ReduceLogSumExp", "l", "x"), op("Sub", "logits", "x", "l")), probabilities + "Sub by ReduceLogSumExp"},
		{"in a branch", end(tensorNode("If", []string{"c"}, []string{"logits"}, branch("Softmax"), branch("Identity"))), probabilities + "Softmax"},
		{"branches of logits", end(tensorNode("If", []string{"c"}, []string{"logits"}, branch("Identity"), branch("Identity"))), ""},
		{"attention", attends(nil, nil, nil), ""},
		{"attention with causal 1", attends(nil, map[string]int64{"causal": 1}, nil), ""},
		{"attention with causal 0", attends(nil, map[string]int64{"causal": 0}, nil), "want attention to earlier tokens, got GroupQueryAttention with causal 0, which sees later ones"},
	} {
		f, err := examine(c.data, detected(t, c.data))
		require.NoError(t, err)
		if c.want == "" {
			require.Nil(t, f.NotCausal, c.name)
			continue
		}
		require.NotNil(t, f.NotCausal, c.name)
		require.EqualError(t, f.NotCausal, c.want, c.name)
	}
}

// The inputs of a decoder that reads what an encoder gives.
func TestDetectRefusesDecodersOfEncoders(t *testing.T) {
	inputIDs := ids("input_ids", Int64)
	for _, more := range [][]Tensor{
		{ids("encoder_attention_mask", Int64), tens("encoder_hidden_states", Float32, -1, -1, 64)},
		{ids("encoder_attention_mask", Int64), tens("past_key_values.0.decoder.key", Float32, -1, 2, -1, 16), tens("past_key_values.0.encoder.key", Float32, -1, 2, -1, 16)},
		{tens("past_key_values.0.decoder.key", Float32, -1, 2, -1, 16), tens("past_key_values.0.encoder.key", Float32, -1, 2, -1, 16)},
		{tens("past_key_self_0", Float32, -1, 2, -1, 16), tens("past_key_cross_0", Float32, -1, 2, -1, 16)},
	} {
		_, err := Detect(decoder("Softmax", full, append([]Tensor{inputIDs}, more...)...), nil)
		require.ErrorContains(t, err, "inputs: want those of a causal language model, got ")
		require.ErrorContains(t, err, ": this is the decoder of an encoder-decoder, which needs what its encoder gives")
	}
	_, err := Detect(decoder("Softmax", full, inputIDs, ids("encoder_mask", Int64)), map[string]string{"attention_mask": "encoder_mask"})
	require.NoError(t, err, "a name that the io map gives a role")
}
