package graph

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Lengths is how a rewritten graph is told what the file's own counts in a mask
// [B, T]. Where it has an input, the mask's is gone. Both are int32: they feed
// GroupQueryAttention as they are.
type Lengths struct {
	Rows  string // an input [B]: the ones in each row of the mask, less 1; "" where the graph does not count them
	Total string // an input, a scalar: T; "" where the graph does not take it from the mask
}

// Given reports whether the graph is told lengths, and takes no mask.
func (l Lengths) Given() bool { return l.Rows != "" || l.Total != "" }

// counting is what makes lengths of a mask.
type counting struct {
	*body
	known       map[string]count
	nodes       map[*operator]bool
	rows, total map[string]bool // the tensors that attention takes
}

// count is what a tensor holds that was made of a mask [B, T] alone.
type count struct {
	of   counted
	plus int64 // what was added to it
}

type counted int

const (
	ofMask    counted = iota + 1 // the mask, in some type
	ofShape                      // B and T
	ofWidth                      // T
	ofRows                       // the ones in each row
	ofLongest                    // the most ones of a row
)

// findLengths finds what a graph makes of its mask, where that is no more than what
// GroupQueryAttention takes as the rows' lengths and the longest: then the mask
// itself need not be fed. It returns nil where anything else reads the mask, or what
// is made of it.
func (g *body) findLengths(c *Convention) *counting {
	if c.AttentionMask == "" {
		return nil
	}
	l := &counting{body: g, known: map[string]count{c.AttentionMask: {of: ofMask}, "": {}},
		nodes: map[*operator]bool{}, rows: map[string]bool{}, total: map[string]bool{}}
	reads := map[string]int{}
	for _, n := range g.nodes {
		if n.op != "com.microsoft.GroupQueryAttention" {
			continue
		}
		if !l.feed(n) {
			return nil
		}
		reads[n.input(lengthsInput)]++
		reads[n.input(longestInput)]++
	}
	for n := range l.nodes {
		for _, name := range n.inputs {
			reads[name]++
		}
	}
	for name, c := range l.known {
		if c.of != 0 && reads[name] != g.uses[name] {
			return nil
		}
	}
	if len(l.rows)+len(l.total) == 0 {
		return nil
	}
	return l
}

// feed notes what an attention takes of the mask, and reports whether that may be
// told.
func (l *counting) feed(n *operator) bool {
	rows, total := l.count(n.input(lengthsInput), 0), l.count(n.input(longestInput), 0)
	switch rows {
	case count{ofRows, -1}:
		l.rows[n.input(lengthsInput)] = true
	case count{}:
	default:
		return false
	}
	switch total {
	case count{of: ofWidth}, count{of: ofLongest}:
		// The operator takes the most ones of a row where they are as many as columns,
		// and nothing less: T is right for both.
		l.total[n.input(longestInput)] = true
	case count{}:
	default:
		return false
	}
	return true
}

// count returns what a tensor holds, as far as it is known, and takes note of the
// nodes that make it.
func (l *counting) count(name string, depth int) count {
	if c, ok := l.known[name]; ok {
		return c
	}
	l.known[name] = count{}
	n := l.producer[name]
	if n == nil || len(n.outputs) != 1 || depth > maxTail {
		return count{}
	}
	from := l.count(n.input(0), depth+1)
	if n.op == "Add" && from.of == 0 {
		from = l.count(n.input(1), depth+1)
	}
	c, ok := l.made(n, from)
	if from.of == 0 || !ok {
		return count{}
	}
	l.known[name], l.nodes[n] = c, true
	return c
}

// made returns what a node makes of what its input holds.
func (l *counting) made(n *operator, from count) (count, bool) {
	switch n.op {
	case "Identity":
		return from, true
	case "Cast":
		return from, keepsCounts(ElemType(n.attribute("to")), from.of == ofMask)
	case "Shape":
		return shapeCount(n, from)
	case "ReduceSum":
		return count{of: ofRows}, from.of == ofMask && l.along(n, 1, -1)
	case "ReduceMax":
		all := n.input(1) == "" && n.integers("axes") == nil && n.attribute("noop_with_empty_axes") == 0
		return count{ofLongest, from.plus}, from.of == ofRows && (all || l.along(n, 0))
	case "Gather":
		at, ok := l.single(n.input(1))
		return count{of: ofWidth}, ok && from.of == ofShape && (at == 1 || at == -1) && n.attribute("axis") == 0
	case "Slice":
		return count{of: ofWidth}, from.of == ofShape && l.cutsWidth(n)
	case "Squeeze":
		return from, from.of >= ofWidth
	case "Unsqueeze", "Reshape":
		// Among dimensions of 1 alone nothing can move.
		return from, from.of == ofWidth || from.of == ofLongest
	case "Add", "Sub":
		return l.shifted(n, from)
	}
	return count{}, false
}

// keepsCounts reports whether a type holds all that may be counted, up to 2^24; of a
// mask only zeros and ones.
func keepsCounts(typ ElemType, mask bool) bool {
	return typ == Int64 || typ == Int32 || typ == Float32 || mask && typ == Bool
}

// shapeCount is what a Shape gives: all of it, or the second dimension alone.
func shapeCount(n *operator, from count) (count, bool) {
	start, end := n.attribute("start"), n.attribute("end")
	if start < 0 {
		start += 2
	}
	of := ofShape
	if start == 1 {
		of = ofWidth
	}
	return count{of: of}, from.of == ofMask && (start == 0 || start == 1) && (end == 0 || end >= 2)
}

// cutsWidth reports whether a Slice of the mask's shape leaves its last number.
func (g *body) cutsWidth(n *operator) bool {
	from, ok := g.single(n.input(1))
	to, known := g.single(n.input(2))
	axis, one := int64(0), true
	if n.input(3) != "" {
		axis, one = g.single(n.input(3))
	}
	return ok && known && one && (from == 1 || from == -1) && to >= 2 && axis == 0 && n.input(4) == ""
}

// shifted is what is known with a constant added to it or taken off.
func (g *body) shifted(n *operator, from count) (count, bool) {
	constant := n.input(1)
	if n.op == "Add" && g.isVector(n.input(0)) {
		constant = n.input(0)
	}
	by, ok := g.single(constant)
	if n.op == "Sub" {
		by = -by
	}
	from.plus += by
	return from, ok && from.of >= ofWidth && g.isVector(constant)
}

// along reports whether a reduction goes along one axis, which is among those given.
func (g *body) along(n *operator, axes ...int64) bool {
	given := n.integers("axes")
	if n.input(1) != "" {
		axis, ok := g.single(n.input(1))
		return ok && slices.Contains(axes, axis)
	}
	return len(given) == 1 && slices.Contains(axes, given[0])
}

// single returns the one whole number of a constant.
func (g *body) single(name string) (int64, bool) { return (&scope{body: g}).scalar(name) }

// integers returns the whole numbers of an attribute.
func (n *operator) integers(name string) (values []int64) {
	for _, a := range n.attributes {
		if attributeName(a) != name {
			continue
		}
		_ = fields(a, func(num protowire.Number, b []byte, v uint64) error {
			if num == 8 { // ints
				values = append(values, varints(b, v)...)
			}
			return nil
		})
	}
	return values
}

// lengthInputs takes the mask and what counts it out of the graph, and adds the
// inputs that tell the lengths.
func (w *rewriter) lengthInputs(l *counting) {
	told := func(fresh string, names map[string]bool, info Tensor) string {
		if len(names) == 0 {
			return ""
		}
		info.Name, info.Type = w.fresh(fresh), Int32
		w.add(11, appendValueInfo(info))
		for name := range names {
			w.renamed[name] = info.Name
		}
		return info.Name
	}
	w.out.Lengths = Lengths{
		Rows:  told("seqlens_k", l.rows, Tensor{Dims: []int64{-1}, Symbols: []string{"ortscore/rows"}}),
		Total: told("total_sequence_length", l.total, Tensor{}),
	}
	for n := range l.nodes {
		w.gone[n] = true
		w.changed[n.outputs[0]] = true
	}
}
