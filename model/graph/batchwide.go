package graph

import (
	"encoding/binary"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Batchwide is what in a graph is settled once for a batch, so that the numbers of
// one sequence may depend on those beside it.
type Batchwide struct {
	// Quantizer is an operator that quantizes activations with one scale for the
	// whole batch, "" where there is none.
	Quantizer string
	// Breaks are lengths, in rising order, at which the graph changes its numbers for
	// the whole batch, such as longrope's factors: a batch of sequences longer than a
	// break and others that are not gives some of them the numbers of the others. Each
	// comparison gives the three lengths round its constant, since the graph may
	// compare a width, a position or a count.
	Breaks []int
	// Windows are lengths beyond which a token may look at fewer, as far as they can
	// be read: those of GroupQueryAttention, and constants in what makes a mask.
	Windows []int
	// Rounds is whether activations are rounded to integers: there the last bits of a
	// sum, which depend on the batch's shape, become whole steps.
	Rounds bool
	// Rows are those of the smallest table that token ids or positions are looked up
	// in, 0 where none is found: larger ids may fail.
	Rows int
}

// batchQuantizers take the largest and the smallest number of a whole tensor
// (https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html).
var batchQuantizers = []string{"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}

// comparisons tell how a number stands to another.
var comparisons = []string{"Greater", "GreaterOrEqual", "Less", "LessOrEqual"}

// batchwide looks through a graph. ops are its operators, those of functions and
// subgraphs too.
func (g *body) batchwide(ops map[string]int) Batchwide {
	var b Batchwide
	for _, op := range batchQuantizers {
		if ops[op] > 0 {
			b.Quantizer = op
		}
	}
	b.Rounds = b.Quantizer != "" || ops["QuantizeLinear"] > 0 || ops["MatMulInteger"] > 0
	scalars := g.scalars()
	for _, n := range g.nodes {
		switch {
		case n.op == "com.microsoft.GroupQueryAttention":
			b.Windows = append(b.Windows, int(n.attribute("local_window_size")))
		case n.op == "Gather" && g.inputs[n.input(1)]:
			if table := g.weights[n.input(0)]; len(table) == 2 && (b.Rows == 0 || int(table[0]) < b.Rows) {
				b.Rows = int(table[0])
			}
		case n.op == "com.microsoft.MatMulNBits":
			b.Rounds = b.Rounds || n.attribute("accuracy_level") == int8Activations
		case slices.Contains(comparisons, n.op):
			b.compared(g, n, scalars)
		}
	}
	b.Breaks, b.Windows = lengths(b.Breaks), lengths(b.Windows)
	return b
}

// compared notes the constants of a comparison.
func (b *Batchwide) compared(g *body, n *operator, scalars map[string]int) {
	for i, other := range []string{n.input(1), n.input(0)} {
		if limit, ok := g.scalar(n.input(i), scalars); ok && g.measures(other, map[string]bool{}) {
			b.Breaks = append(b.Breaks, limit-1, limit, limit+1)
		}
		side := g.producer[n.input(i)]
		if side == nil || side.op != "Sub" && side.op != "Add" {
			continue
		}
		for _, name := range side.inputs {
			if window, ok := g.scalar(name, scalars); ok {
				b.Windows = append(b.Windows, max(window, -window))
			}
		}
	}
}

// lengths sorts lengths, each once, without those that no sequence is shorter than
// or that no model reaches.
func lengths(all []int) []int {
	const longest = 1 << 30
	all = slices.DeleteFunc(all, func(n int) bool { return n < 1 || n > longest })
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// passing are operators that hand on the one number that they are given.
var passing = []string{"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Expand"}

// scalar returns the whole number that a tensor holds, where it is a constant.
func (g *body) scalar(name string, scalars map[string]int) (int, bool) {
	for range maxDepth {
		if v, ok := scalars[name]; ok {
			return v, true
		}
		n := g.producer[name]
		if n == nil || !slices.Contains(passing, n.op) {
			break
		}
		name = n.input(0)
	}
	return 0, false
}

// measures reports whether a tensor is made of a size of the batch, or of a number
// over all of it, and of no table over its tokens.
func (g *body) measures(name string, seen map[string]bool) bool {
	n := g.producer[name]
	if n == nil || seen[name] {
		return false
	}
	seen[name] = true
	switch n.op {
	case "Shape", "Size", "ReduceMax", "ReduceSum":
		return true
	case "Range", "CumSum", "ConstantOfShape", "NonZero", "Where":
		return false
	}
	return slices.ContainsFunc(n.inputs, func(input string) bool { return g.measures(input, seen) })
}

// scalars are the constants of one whole number in the graph, by name.
func (g *body) scalars() map[string]int {
	found := map[string]int{}
	note := func(name string, tensor []byte) {
		if v, ok := wholeNumber(tensor); ok {
			found[name] = v
		}
	}
	for i, f := range g.fields {
		if f.num == 5 { // initializer
			name, dims, err := weight(f.bytes)
			if err == nil && len(dims) <= 1 {
				note(name, f.bytes)
			}
		}
		if n := g.nodes[i]; n != nil && n.op == "Constant" && len(n.outputs) == 1 {
			n.constants(func(tensor []byte) { note(n.outputs[0], tensor) }, func(v int) { found[n.outputs[0]] = v })
		}
	}
	return found
}

// constants calls tensor or number with what a Constant node holds.
func (n *operator) constants(tensor func([]byte), number func(int)) {
	for _, a := range n.attributes {
		name := attributeName(a)
		_ = fields(a, func(num protowire.Number, b []byte, v uint64) error {
			switch {
			case num == 5 && name == "value":
				tensor(b)
			case num == 3 && name == "value_int":
				number(int(int64(v)))
			}
			return nil
		})
	}
}

// wholeNumber reads a TensorProto of one whole number.
func wholeNumber(tensor []byte) (value int, ok bool) {
	typ, elements := ElemType(0), int64(1)
	var raw []byte
	var typed []int64
	err := fields(tensor, func(num protowire.Number, b []byte, v uint64) error {
		switch num {
		case 1: // dims
			for _, d := range varints(b, v) {
				elements = mulCapped(elements, d)
			}
		case 2: // data_type
			typ = ElemType(v)
		case 4: // float_data
			if len(b) == 4 {
				raw = b
			}
		case 5, 7: // int32_data, int64_data
			typed = append(typed, varints(b, v)...)
		case 9: // raw_data
			raw = b
		}
		return nil
	})
	switch {
	case err != nil || elements != 1:
		return 0, false
	case len(typed) == 1:
		return int(typed[0]), true
	case typ == Int64 && len(raw) == 8:
		return int(int64(binary.LittleEndian.Uint64(raw))), true
	case typ == Int32 && len(raw) == 4:
		return int(int32(binary.LittleEndian.Uint32(raw))), true
	case typ == Float32 && len(raw) == 4:
		f := float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
		return int(f), f == math.Trunc(f) && math.Abs(f) < 1<<31
	}
	return 0, false
}
