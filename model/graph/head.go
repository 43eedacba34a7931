package graph

import (
	"fmt"
	"slices"
)

// head is the end of a decoder graph: the matrix multiply that makes logits of
// hidden states, and what is done to the logits after it.
type head struct {
	node *operator
	tail []*tailNode // from the multiply to the logits
	// flat says that the hidden states are [B*T, H], as Gemm wants them, and that the
	// tail brings the logits back to [B, T, V].
	flat bool
}

// tailNode is a node after the head that treats every logit by itself.
type tailNode struct {
	*operator
	input int // the logits among its inputs
}

// maxTail bounds the nodes after the head: a bias, a scale, a soft cap's three and
// some casts are fewer than ten.
const maxTail = 16

// findHead walks back from the logits.
func (g *body) findHead(logits string) (*head, error) {
	h := &head{}
	for name := logits; len(h.tail) <= maxTail; {
		n := g.producer[name]
		if n == nil {
			return nil, fmt.Errorf("want logits that a node makes, got %q from none", name)
		}
		if g.uses[name] != 1 {
			return nil, fmt.Errorf("want the logits for the output alone, got %q, which %d read", name, g.uses[name])
		}
		if isHead(n) {
			h.node = n
			return h, g.checkHead(h)
		}
		input := g.elementwise(n)
		switch {
		case n.op == "Reshape" && !h.flat:
			h.flat, input = true, 0
		case input < 0:
			return nil, fmt.Errorf("want MatMul, Gemm or MatMulNBits, a bias, a scale, a soft cap or a cast before the logits, got %s", n.op)
		}
		h.tail = slices.Insert(h.tail, 0, &tailNode{n, input})
		name = n.input(input)
	}
	return nil, fmt.Errorf("want at most %d nodes after the head, got more", maxTail)
}

// isHead reports whether a node multiplies its first input with weights.
func isHead(n *operator) bool {
	return n.op == "MatMul" || n.op == "Gemm" || n.op == "com.microsoft.MatMulNBits"
}

// checkHead refuses a head that does not treat every position by itself.
func (g *body) checkHead(h *head) error {
	n := h.node
	for i := range n.inputs {
		if i > 0 && !g.isConstant(n.inputs[i]) {
			return fmt.Errorf("want %s with weights that no input changes, got %q", n.op, n.inputs[i])
		}
	}
	switch {
	case len(n.inputs) < 2 || len(n.outputs) != 1:
		return fmt.Errorf("want %s of hidden states and weights, got %d inputs and %d outputs", n.op, len(n.inputs), len(n.outputs))
	case g.isConstant(n.inputs[0]):
		return fmt.Errorf("want %s of hidden states, got %q, which is constant", n.op, n.inputs[0])
	case n.op == "Gemm" && !h.flat:
		return fmt.Errorf("want a Reshape after Gemm, got none")
	case n.op == "Gemm" && (n.attribute("transA") != 0 || n.input(2) != "" && !g.isVector(n.input(2))):
		return fmt.Errorf("want Gemm of rows with a bias of one dimension, got another")
	}
	return nil
}

// elementwise returns which input of a node after the head the logits are, or -1
// for a node that does not treat each logit by itself.
func (g *body) elementwise(n *operator) int {
	switch {
	case len(n.outputs) != 1:
		return -1
	case len(n.inputs) == 1 && (n.op == "Cast" || n.op == "Tanh" || n.op == "Identity"):
		return 0
	case len(n.inputs) != 2:
		return -1
	}
	switch n.op {
	case "Add", "Sub", "Mul", "Div":
		if g.isVector(n.inputs[1]) {
			return 0
		}
	}
	switch n.op {
	case "Add", "Mul":
		if g.isVector(n.inputs[0]) {
			return 1
		}
	}
	return -1
}
