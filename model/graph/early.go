package graph

// maxEarly bounds the nodes before the head that run over the chosen positions
// alone: those of a layer are about ten.
const maxEarly = 64

// maxEdges bounds the inputs and outputs of each of them.
const maxEdges = 8

// chosen is what runs over the n positions that are asked for in place of all: the
// head, and what stands before it as far back as every position is treated by
// itself and nothing else reads the result. That is the last layer but for its
// attention, which reads all positions.
type chosen struct {
	nodes map[*operator]bool
	reads map[string]bool // tensors over all positions that the nodes read: they are gathered
}

// chooseEarly finds them. Where the tensors to gather are not known to be
// [B, T, ...], or no matrix multiply would be saved, it is the head alone.
func (g *body) chooseEarly(h *head) *chosen {
	head := &chosen{map[*operator]bool{h.node: true}, map[string]bool{h.node.input(0): true}}
	if h.flat || len(h.node.inputs) > maxEdges {
		return head
	}
	early := &chosen{map[*operator]bool{h.node: true}, map[string]bool{h.node.input(0): true}}
	for early.grow(g) {
		if len(early.nodes) > maxEarly {
			return head
		}
	}
	multiplies := 0
	for n := range early.nodes {
		if isHead(n) {
			multiplies++
		}
	}
	for name := range early.reads {
		if !g.isSequence(name) {
			return head
		}
	}
	if multiplies < 2 {
		return head
	}
	return early
}

// grow takes in the producers of what is read, where that may be, and reports
// whether there was one.
func (c *chosen) grow(g *body) bool {
	grown := false
	for name := range c.reads {
		n := g.producer[name]
		if n == nil || c.nodes[n] || !g.byPosition(n) || !c.alone(g, n) {
			continue
		}
		c.nodes[n] = true
		grown = true
	}
	if !grown {
		return false
	}
	c.reads = map[string]bool{}
	for n := range c.nodes {
		for _, name := range n.inputs {
			if !g.isConstant(name) && !c.nodes[g.producer[name]] {
				c.reads[name] = true
			}
		}
	}
	return true
}

// alone reports whether no node but the chosen reads what n makes.
func (c *chosen) alone(g *body, n *operator) bool {
	for _, name := range n.outputs {
		uses := 0
		for reader := range c.nodes {
			for _, input := range reader.inputs {
				if input == name {
					uses++
				}
			}
		}
		if name != "" && uses != g.uses[name] {
			return false
		}
	}
	return true
}

// byPosition reports whether a node treats every position of [B, T, ...] by
// itself, and takes [n, ...] as well.
func (g *body) byPosition(n *operator) bool {
	if len(n.inputs) > maxEdges || len(n.outputs) > maxEdges {
		return false
	}
	activations := 0
	for _, name := range n.inputs {
		if !g.isConstant(name) {
			activations++
		}
	}
	switch n.op {
	case "Sigmoid", "Tanh", "Relu", "Gelu", "com.microsoft.Gelu", "com.microsoft.QuickGelu":
		return activations == 1 && len(n.inputs) == 1
	case "Add", "Sub", "Mul", "Div":
		return activations == 2 || activations == 1 && (g.isVector(n.input(0)) || g.isVector(n.input(1)))
	case "MatMul":
		return activations == 1 && len(g.weights[n.input(1)]) == 2
	case "com.microsoft.MatMulNBits":
		return activations == 1 && !g.isConstant(n.input(0))
	case "Split": // of gate and up in one
		return activations == 1 && !g.isConstant(n.input(0)) && n.attribute("axis") == -1
	case "SimplifiedLayerNormalization", "LayerNormalization":
		axis := n.attribute("axis")
		return activations == 1 && (axis == 0 || axis == -1)
	case "com.microsoft.SkipSimplifiedLayerNormalization", "com.microsoft.SkipLayerNormalization":
		return activations == 2
	}
	return false
}

// isSequence reports whether a tensor is known to be [B, T, ...] by the operator
// that makes it.
func (g *body) isSequence(name string) bool {
	n := g.producer[name]
	if n == nil {
		return false
	}
	switch n.op {
	case "com.microsoft.GroupQueryAttention":
		return n.outputs[0] == name
	case "com.microsoft.SkipSimplifiedLayerNormalization", "com.microsoft.SkipLayerNormalization":
		return n.outputs[0] == name || len(n.outputs) == 4 && n.outputs[3] == name
	}
	return false
}
