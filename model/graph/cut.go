package graph

import (
	"slices"
	"strings"
)

// cacheCut is what becomes of a graph's cache where only a prefill is asked.
type cacheCut struct {
	attention map[*operator]bool // GroupQueryAttention nodes that lose past and present
	inputs    map[string]bool    // of the graph, that are then read by none
	outputs   map[string]bool    // of the graph, that go
	stays     bool               // inputs and outputs of the cache stay as they are
}

// cutCache settles how a graph does without its cache. Both are optional inputs
// and outputs of GroupQueryAttention from ONNX Runtime 1.31 on, the outputs on
// the cpu alone. Where all past goes there and no further, it goes; where a graph
// puts past and new together by plain operators, the past is fed empty and only
// the outputs go. Operators that are not known keep theirs: without its output a
// past's buffer might be given to another tensor.
func (g *body) cutCache(c *Convention) *cacheCut {
	cut := &cacheCut{attention: map[*operator]bool{}, inputs: map[string]bool{}, outputs: map[string]bool{}}
	graphOutputs := map[string]bool{}
	for _, f := range g.fields {
		if f.num == 12 {
			name, _ := nameOf(f.bytes) // it was read before
			graphOutputs[name] = true
		}
	}
	if g.cutAttention(c, cut, graphOutputs) {
		return cut
	}
	*cut = cacheCut{outputs: map[string]bool{}}
	if g.sharesBuffers(c) {
		cut.stays = true
		return cut
	}
	for name := range graphOutputs {
		if name != c.Logits.Name {
			cut.outputs[name] = true
		}
	}
	return cut
}

// cutAttention takes the cache off every GroupQueryAttention, and reports whether
// nothing else holds on to it.
func (g *body) cutAttention(c *Convention, cut *cacheCut, graphOutputs map[string]bool) bool {
	reads := map[string]int{}
	for _, n := range g.nodes {
		if n.op != "com.microsoft.GroupQueryAttention" {
			continue
		}
		cut.attention[n] = true
		reads[n.input(3)]++
		reads[n.input(4)]++
		for i, name := range n.outputs {
			switch {
			case i == 0 || name == "":
			case i > 2 || g.uses[name] > 1 || g.uses[name] == 1 && !graphOutputs[name]:
				return false
			default:
				cut.outputs[name] = true
			}
		}
	}
	for _, past := range c.Past {
		if reads[past.Name] == 0 || reads[past.Name] != g.uses[past.Name] {
			return false
		}
		cut.inputs[past.Name] = true
	}
	return len(c.Past) > 0 && len(cut.attention)*2 == len(c.Past)
}

// sharesBuffers reports whether an operator reads the past that may write the
// present into the same buffer: all but ONNX's own, and two of those.
func (g *body) sharesBuffers(c *Convention) bool {
	for _, n := range g.nodes {
		own := !strings.Contains(n.op, ".") && n.op != "Attention" && n.op != "TensorScatter"
		if !own && slices.ContainsFunc(n.inputs, func(name string) bool { return contains(c.Past, name) }) {
			return true
		}
	}
	return false
}

// attention writes a GroupQueryAttention without its cache.
func (w *rewriter) attention(n *operator) {
	inputs := renamed(n.inputs, w.renamed)
	for i := pastKeyInput; i <= pastValueInput && i < len(inputs); i++ {
		inputs[i] = ""
	}
	switch {
	case w.trees != nil:
		w.treeAttention(n, inputs)
	case w.form == ScoringPresent:
		w.add(1, n.with(inputs, len(n.outputs), ""))
	default:
		w.add(1, n.with(inputs, 1, ""))
	}
}
