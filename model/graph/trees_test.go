package graph

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// attends is a graph of one GroupQueryAttention, with some of its inputs and
// attributes, and rotation tables of 16 positions, 8 numbers each.
func attends(inputs map[int]string, integers map[string]int64, floats map[string]float32, more ...[]byte) []byte {
	in := []string{"hidden", "k", "v", "past_key_values.0.key", "past_key_values.0.value", "n", "t", "cos", "sin", "", ""}
	for i, name := range inputs {
		in = append(in, make([]string, max(0, i+1-len(in)))...)
		in[i] = name
	}
	var out []byte
	for _, name := range in {
		out = append(out, str(1, name)...)
	}
	for _, name := range []string{"a", "present.0.key", "present.0.value"} {
		out = append(out, str(2, name)...)
	}
	out = append(out, msg(str(4, "GroupQueryAttention"), str(7, "com.microsoft"))...)
	all := map[string]int64{"num_heads": 6, "kv_num_heads": 2, "do_rotary": 1, "rotary_interleaved": 1}
	maps.Copy(all, integers)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, bytesField(5, msg(str(1, name), number(3, all[name])))...)
	}
	for name, x := range floats {
		bits := binary.LittleEndian.AppendUint32(protowire.AppendTag(nil, 2, protowire.Fixed32Type), math.Float32bits(x))
		out = append(out, bytesField(5, msg(str(1, name), bits))...)
	}
	past := func(name string) []byte { return input(value(name, Float32, "b", 2, "p", 24)) }
	return headModel(18, append([][]byte{idsInput, past("past_key_values.0.key"), past("past_key_values.0.value"),
		embed, bytesField(1, out), tensorNode("MatMul", []string{"a", "w"}, []string{"logits"}), headWeight, logits(),
		output(value("present.0.key", Float32, "b", 2, "t", 24)), output(value("present.0.value", Float32, "b", 2, "t", 24)),
		initializer(tensor("cos", Float32, []int64{16, 8})), initializer(tensor("sin", Float32, []int64{16, 8})),
		initializer(tensor("short", Float32, []int64{8}))}, more...)...)
}

// nBits is a multiply with quantised weights.
func nBits(accuracy int64) []byte {
	return inDomain(tensorNode("MatMulNBits", []string{"hidden", "b"}, []string{"y"}, msg(str(1, "accuracy_level"), number(3, accuracy))), "com.microsoft")
}

// rotates is a rotation outside of the attention, by a table of angles.
func rotates(table string) []byte {
	return inDomain(tensorNode("RotaryEmbedding", []string{"q", "position_ids", table, "sin"}, []string{"turned"}), "com.microsoft")
}

func TestTreesOfAGraph(t *testing.T) {
	type ins = map[int]string
	type ints = map[string]int64
	positions := input(value("position_ids", Int64, "b", "s"))
	for name, c := range map[string]struct {
		data []byte
		want Trees // but for the names
	}{
		"rotates":                     {attends(nil, nil, nil), Trees{Heads: 6, MostTokens: 16}},
		"no soft cap, no window":      {attends(nil, ints{"local_window_size": -1}, map[string]float32{"softcap": 0, "scale": 0.5}), Trees{Heads: 6, MostTokens: 16}},
		"packed":                      {attends(ins{1: "", 2: ""}, nil, nil), Trees{Heads: 6, MostTokens: 16}},
		"positions outside":           {attends(ins{7: "", 8: ""}, ints{"do_rotary": 0}, nil, positions), Trees{Heads: 6}},
		"positions from the mask":     {attends(ins{7: "", 8: ""}, ints{"do_rotary": 0}, nil), Trees{}},
		"rotated outside":             {attends(ins{7: "", 8: ""}, ints{"do_rotary": 0}, nil, positions, rotates("cos")), Trees{Heads: 6, MostTokens: 16}},
		"by what is computed":         {attends(ins{7: "", 8: ""}, ints{"do_rotary": 0}, nil, positions, rotates("hidden")), Trees{}},
		"counts by itself":            {attends(nil, nil, nil, tensorNode("CumSum", []string{"input_ids", "axis"}, []string{"counted"})), Trees{}},
		"rounds activations":          {attends(nil, nil, nil, tensorNode("QuantizeLinear", []string{"hidden", "scale"}, []string{"q"})), Trees{}},
		"4 bits, by activations of 8": {attends(nil, nil, nil, nBits(4)), Trees{}},
		"4 bits":                      {attends(nil, nil, nil, nBits(1)), Trees{Heads: 6, MostTokens: 16}},
		"a sink":                      {attends(ins{11: "short"}, nil, nil), Trees{Heads: 6, MostTokens: 16}},
		"a norm inside":               {attends(ins{14: "short"}, nil, nil), Trees{}},
		"a window":                    {attends(nil, ints{"local_window_size": 4096}, nil), Trees{}},
		"a soft cap":                  {attends(nil, nil, map[string]float32{"softcap": 50}), Trees{}},
		"a bias of its own":           {attends(ins{10: "hidden"}, nil, nil), Trees{}},
		"positions of its own":        {attends(ins{9: "input_ids"}, nil, nil), Trees{}},
		"tables that are computed":    {attends(ins{7: "hidden"}, nil, nil), Trees{}},
		"tables of another shape":     {attends(ins{7: "short"}, nil, nil), Trees{}},
		"no heads":                    {attends(nil, ints{"num_heads": 0}, nil), Trees{}},
		"the cache read elsewhere":    {attends(nil, nil, nil, tensorNode("Shape", []string{"past_key_values.0.key"}, []string{"s"})), Trees{}},
	} {
		got := rewritten(t, c.data, Scoring).Trees
		require.Equal(t, c.want.Heads > 0, got.Depths != "" && got.Bias != "", name)
		got.Depths, got.Bias = "", ""
		require.Equal(t, c.want, got, name)
		require.Empty(t, rewritten(t, c.data, ScoringPresent).Trees, name)
		require.Empty(t, rewritten(t, c.data, Decoding).Trees, name)
	}
}

// What rotates moves out of the attention, with the settings that it had there.
func TestTreesRotateByDepth(t *testing.T) {
	r := rewritten(t, attends(map[int]string{1: "", 2: ""}, nil, nil), Scoring)
	g := bodyOf(t, r.Data)
	var attention *operator
	for _, n := range g.nodes {
		if n.op == "com.microsoft.GroupQueryAttention" {
			attention = n
		}
	}
	require.Equal(t, []string{"", "", "n", "t", "", "", "", r.Trees.Bias}, attention.inputs[3:])
	require.Equal(t, []string{"a"}, attention.outputs)
	require.Zero(t, attention.attribute("do_rotary"))
	require.EqualValues(t, 2, attention.attribute("kv_num_heads"))
	for i, heads := range []int64{6, 2} {
		rotary := g.producer[attention.inputs[i]]
		require.Equal(t, "com.microsoft.RotaryEmbedding", rotary.op)
		require.Equal(t, []string{r.Trees.Depths, "cos", "sin"}, rotary.inputs[1:])
		require.Equal(t, []int64{heads, 16, 1},
			[]int64{rotary.attribute("num_heads"), rotary.attribute("rotary_embedding_dim"), rotary.attribute("interleaved")})
		require.Equal(t, "Slice", g.producer[rotary.inputs[0]].op)
	}
	require.Equal(t, "Slice", g.producer[attention.inputs[2]].op)
	require.Equal(t, []int64{1}, g.weights[g.producer[attention.inputs[2]].inputs[1]])
}

// Layers may have unlike numbers of heads; what is told of them is the same in
// every run.
func TestTreesOfUnlikeLayers(t *testing.T) {
	layer := func(heads int64) *operator {
		return &operator{attributes: [][]byte{msg(str(1, "num_heads"), number(3, heads)), msg(str(1, "kv_num_heads"), number(3, 2))}}
	}
	c := &Convention{PositionIDs: "position_ids", Past: []Tensor{{Type: Float32}}}
	cut := &cacheCut{inputs: map[string]bool{"past": true}, attention: map[*operator]bool{layer(2): true, layer(8): true, layer(4): true}}
	for range 50 {
		require.EqualValues(t, 8, (&body{}).findTrees(c, cut).heads)
	}
}
