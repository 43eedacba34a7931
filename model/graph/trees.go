package graph

import "slices"

// Trees is how rows of sequences that begin alike are fed, what they have in
// common laid out once.
type Trees struct {
	Depths string // an input, int64 [B, T]: the tokens before a token in its own sequence; "" where rows are sequences
	// Bias is an input, fp32 [B or 1, 1, T, T]: 0 where a token looks at another that
	// is not to its right, and -Inf where it does not.
	Bias       string
	Heads      int // of queries
	MostTokens int // of a row; 0 for no bound
}

// trees is how a scoring graph takes rows that are trees: sequences that begin
// alike, what they have in common laid out once. A token looks at those on its way
// to the root, and stands as deep as they are many:
//
//	place  0 1 2 3 4 5
//	token  a b c d e f     the sequences a b c d and a b e f
//	depth  0 1 2 3 2 3
//
// GroupQueryAttention takes what a token does not look at as a bias on its scores,
// but counts positions itself: where it rotates, that moves out of it.
type trees struct {
	rotary map[*operator]*rotary // by GroupQueryAttention; nil for one that does not rotate
	heads  int64                 // of queries, the most of a layer
	most   int64                 // tokens of a row, by the tables of angles; 0 for no bound
	typ    ElemType              // of the bias
}

// rotary is what a GroupQueryAttention rotates, and how.
type rotary struct {
	heads, kvHeads int64
	dim            int64 // of a head's numbers, those that are rotated
	interleaved    int64
	headDim        int64 // where one tensor holds queries, keys and values; else 0
}

// findTrees returns nil where a graph's rows have to be sequences: not all layers
// attend by GroupQueryAttention alone, or one has a window or a soft cap, to which
// the order in the row or the bias would mean something else; something else hides
// what trees change; or it is not known how long a row may be for what rotates.
func (g *body) findTrees(c *Convention, cut *cacheCut) *trees {
	if len(cut.inputs) == 0 || c.Past[0].Type != Float32 && c.Past[0].Type != Float16 {
		return nil
	}
	rows, known := g.rotaryRows()
	if !known || g.hides() {
		return nil
	}
	t := &trees{rotary: map[*operator]*rotary{}, typ: c.Past[0].Type, most: rows}
	for n := range cut.attention {
		if !takesBias(n) {
			return nil
		}
		t.heads = max(t.heads, n.attribute("num_heads"))
		if n.attribute("do_rotary") == 0 {
			// What counts positions outside must be told them.
			if c.PositionIDs == "" {
				return nil
			}
			t.rotary[n] = nil
			continue
		}
		r, rows := g.findRotary(n, c)
		if r == nil {
			return nil
		}
		t.rotary[n] = r
		if t.most == 0 || rows < t.most {
			t.most = rows
		}
	}
	return t
}

// hides reports whether a graph has operators under which a tree's scores could be
// others, and no probe would tell: those that number tokens from the left, since a
// scale that grows with the position may be 1 for thousands of tokens; and those that
// round activations to integers, where the last bits of a sum in another order become
// whole steps, 0.04 nats of a score with SmolLM2.
func (g *body) hides() bool {
	for _, n := range g.nodes {
		switch n.op {
		case "CumSum", "Range", "NonZero",
			"QuantizeLinear", "DynamicQuantizeLinear", "com.microsoft.DynamicQuantizeMatMul":
			return true
		case "com.microsoft.MatMulNBits":
			if n.attribute("accuracy_level") == int8Activations {
				return true
			}
		}
	}
	return false
}

// int8Activations is the accuracy_level of a MatMulNBits that rounds activations to
// int8, by blocks of a token's numbers.
const int8Activations = 4

// takesBias reports whether a bias may hide tokens from a GroupQueryAttention.
func takesBias(n *operator) bool {
	window := n.attribute("local_window_size")
	_, cap := n.number("softcap")
	for i := range n.inputs {
		if n.inputs[i] != "" && (i == positionsInput || i == biasInput || i > sinkInput) {
			return false // what comes after the sink may stand before the rotation: norms do
		}
	}
	return (window == 0 || window == -1) && cap == 0 &&
		n.attribute("num_heads") > 0 && n.attribute("kv_num_heads") > 0
}

// Inputs of GroupQueryAttention.
const (
	queryInput = iota
	keyInput
	valueInput
	pastKeyInput
	pastValueInput
	lengthsInput
	longestInput
	cosInput
	sinInput
	positionsInput // which it does not take of a prefill
	biasInput
	sinkInput
)

// rotaryRows returns for how many positions a graph's own RotaryEmbeddings have
// angles, 0 where it has no such operator: a row may not be longer, whatever its
// positions. They are not known where the angles are no weights.
func (g *body) rotaryRows() (rows int64, known bool) {
	for _, n := range g.nodes {
		cos := 0
		switch n.op {
		case "RotaryEmbedding":
			cos = 1
		case "com.microsoft.RotaryEmbedding":
			cos = 2
		default:
			continue
		}
		table := g.weights[n.input(cos)]
		if len(table) != 2 || table[0] <= 0 {
			return 0, false
		}
		if rows == 0 || table[0] < rows {
			rows = table[0]
		}
	}
	return rows, true
}

// findRotary returns how an attention rotates, and for how many positions; nil
// where its tables are not weights.
func (g *body) findRotary(n *operator, c *Convention) (r *rotary, rows int64) {
	cos, sin := g.weights[n.input(cosInput)], g.weights[n.input(sinInput)]
	if len(cos) != 2 || !slices.Equal(cos, sin) || cos[0] <= 0 || cos[1] <= 0 {
		return nil, 0
	}
	r = &rotary{heads: n.attribute("num_heads"), kvHeads: n.attribute("kv_num_heads"),
		dim: 2 * cos[1], interleaved: n.attribute("rotary_interleaved")}
	if n.input(keyInput) != "" {
		return r, cos[0]
	}
	for _, past := range c.Past {
		if past.Name == n.input(pastKeyInput) {
			r.headDim = past.Dims[3]
		}
	}
	if r.headDim <= 0 {
		return nil, 0
	}
	return r, cos[0]
}

// treeInputs adds what the trees are told by.
func (w *rewriter) treeInputs() {
	t, out := w.trees, &w.out.Trees
	out.Heads, out.MostTokens = int(t.heads), int(t.most)
	out.Depths, out.Bias = w.fresh("depths"), w.fresh("bias")
	open := func(name string, typ ElemType, symbols ...string) {
		info := Tensor{Name: name, Type: typ, Symbols: symbols}
		for range symbols {
			info.Dims = append(info.Dims, -1)
		}
		w.add(11, appendValueInfo(info))
	}
	open(out.Depths, Int64, "ortscore/rows", "ortscore/width")
	open(out.Bias, Float32, "ortscore/biases", "ortscore/heads", "ortscore/width", "ortscore/seen")
	w.bias = out.Bias
	if t.typ != Float32 {
		w.bias = w.fresh("bias16")
		w.add(1, appendNode("Cast", []string{out.Bias}, w.bias, setting{"to", int64(t.typ)}))
	}
}

// treeAttention writes an attention that takes the bias, after what rotates.
func (w *rewriter) treeAttention(n *operator, inputs []string) {
	inputs = append(inputs, make([]string, max(0, biasInput+1-len(inputs)))...)
	inputs[biasInput] = w.bias
	without := ""
	if r := w.trees.rotary[n]; r != nil {
		if r.headDim > 0 {
			w.unpack(r, inputs)
		}
		w.rotate(r, r.heads, inputs, queryInput)
		w.rotate(r, r.kvHeads, inputs, keyInput)
		inputs[cosInput], inputs[sinInput] = "", ""
		without = "do_rotary"
	}
	w.add(1, n.with(inputs, 1, without))
}

// rotate writes the rotation of one input by the tokens' depths.
func (w *rewriter) rotate(r *rotary, heads int64, inputs []string, i int) {
	out := w.fresh("rotated")
	w.add(1, appendNode("com.microsoft.RotaryEmbedding", []string{inputs[i], w.out.Trees.Depths, inputs[cosInput], inputs[sinInput]}, out,
		setting{"num_heads", heads}, setting{"rotary_embedding_dim", r.dim}, setting{"interleaved", r.interleaved}))
	inputs[i] = out
}

// unpack writes what parts one tensor [B, T, (heads + 2 kvHeads) headDim].
func (w *rewriter) unpack(r *rotary, inputs []string) {
	whole, from := inputs[queryInput], int64(0)
	if w.last == "" {
		w.last = w.fresh("last")
		w.add(5, appendIntegers(w.last, 2))
	}
	for i, heads := range []int64{r.heads, r.kvHeads, r.kvHeads} {
		to := from + heads*r.headDim
		inputs[i] = w.fresh("unpacked")
		first, end := w.fresh("from"), w.fresh("to")
		w.add(5, appendIntegers(first, from))
		w.add(5, appendIntegers(end, to))
		w.add(1, appendNode("Slice", []string{whole, first, end, w.last}, inputs[i]))
		from = to
	}
}
