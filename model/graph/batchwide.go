package graph

import "slices"

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
	// Rounds is whether activations are rounded to integers, and Half whether there are
	// numbers of 16 bits: there the last bits of a sum, which depend on the batch's
	// shape, become whole steps.
	Rounds, Half bool
}

// batchQuantizers take the largest and the smallest number of a whole tensor
// (https://onnx.ai/onnx/operators/onnx__DynamicQuantizeLinear.html).
var batchQuantizers = []string{"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}

// comparisons tell how a number stands to another.
var comparisons = []string{"Greater", "GreaterOrEqual", "Less", "LessOrEqual"}

// batchwide looks through a graph and its subgraphs. ops are its operators, those of
// functions too.
func (s *scope) batchwide(ops map[string]int) Batchwide {
	var b Batchwide
	for _, op := range batchQuantizers {
		if ops[op] > 0 {
			b.Quantizer = op
		}
	}
	b.Rounds = b.Quantizer != "" || ops["QuantizeLinear"] > 0 || ops["MatMulInteger"] > 0
	measured := measures{}
	s.all(func(s *scope, n *operator) {
		switch {
		case n.op == "com.microsoft.GroupQueryAttention":
			b.Windows = append(b.Windows, int(n.attribute("local_window_size")))
		case n.op == "com.microsoft.MatMulNBits":
			b.Rounds = b.Rounds || n.attribute("accuracy_level") == int8Activations
		case n.op == "Cast":
			to := ElemType(n.attribute("to"))
			b.Half = b.Half || to == Float16 || to == BFloat16
		case slices.Contains(comparisons, n.op):
			b.compared(s, n, measured)
		}
	})
	b.Breaks, b.Windows = lengths(b.Breaks), lengths(b.Windows)
	return b
}

// compared notes the constants of a comparison.
func (b *Batchwide) compared(s *scope, n *operator, measured measures) {
	const least = 3 // a sequence is hardly shorter: such a comparison asks whether there is a past
	for i, other := range []string{n.input(1), n.input(0)} {
		if limit, ok := s.scalar(n.input(i)); ok && limit >= least && measured.of(s, other, 0) {
			b.Breaks = append(b.Breaks, int(limit)-1, int(limit), int(limit)+1)
		}
		side, in := s.maker(n.input(i))
		if side == nil || side.op != "Sub" && side.op != "Add" {
			continue
		}
		for _, name := range side.inputs {
			if window, ok := in.scalar(name); ok {
				b.Windows = append(b.Windows, int(max(window, -window)))
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

// measures remembers which nodes give what is made of a size of the batch, or of a
// number over all of it, and of no table over its tokens.
type measures map[*operator]bool

// of reports whether a tensor is such a number. It looks back a bounded number of
// nodes.
func (m measures) of(s *scope, name string, depth int) bool {
	n, in := s.maker(name)
	if n == nil || depth > maxTail {
		return false
	}
	if is, known := m[n]; known {
		return is
	}
	m[n] = false
	switch n.op {
	case "Shape", "Size", "ReduceMax", "ReduceSum":
		m[n] = true
	case "Range", "CumSum", "ConstantOfShape", "NonZero", "Where":
	default:
		m[n] = slices.ContainsFunc(n.inputs, func(input string) bool { return m.of(in, input, depth+1) })
	}
	return m[n]
}
