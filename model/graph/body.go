package graph

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// body is the model's own graph as a rewrite needs it: its fields, its nodes, and
// who makes and who reads which tensor.
type body struct {
	fields   []field
	nodes    map[int]*operator // by the index of their field
	producer map[string]*operator
	uses     map[string]int     // nodes that read a tensor, those of subgraphs too, and outputs
	weights  map[string][]int64 // initializers, with their dimensions
	small    map[string][]byte  // those of a few numbers, as TensorProtos
	names    map[string]bool
	inputs   map[string]bool // of the graph
}

// operator is a NodeProto.
type operator struct {
	msg             []byte
	name            string
	op              string // with its domain, where that is not ONNX's own: "com.microsoft.MatMulNBits"
	inputs, outputs []string
	attributes      [][]byte
}

// readBody reads a GraphProto whose bounds Parse has checked. Attention in it has
// a cache of the sequence's length, as fullCache makes it.
func readBody(b []byte) (*body, error) {
	g := &body{nodes: map[int]*operator{}, producer: map[string]*operator{}, uses: map[string]int{},
		weights: map[string][]int64{}, small: map[string][]byte{}, names: map[string]bool{}, inputs: map[string]bool{}}
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return nil, err
		}
		if f.num == 1 { // node
			if msg := fullCache(f.bytes); msg != nil {
				f.bytes, f.raw = msg, appendMessage(nil, 1, msg)
			}
		}
		if err := g.add(f); err != nil {
			return nil, err
		}
		g.fields = append(g.fields, f)
		b = rest
	}
	return g, nil
}

func (g *body) add(f field) error {
	switch f.num {
	case 1: // node
		n, err := readOperator(f.bytes)
		if err != nil {
			return err
		}
		g.nodes[len(g.fields)] = n
		for _, name := range n.outputs {
			g.producer[name] = n
		}
		return g.count(n)
	case 5: // initializer
		name, dims, err := weight(f.bytes)
		g.weights[name], g.names[name] = dims, true
		if len(f.bytes) <= maxSmall {
			g.small[name] = f.bytes
		}
		return err
	case 11, 12, 13: // input, output, value_info
		name, err := nameOf(f.bytes)
		g.names[name] = true
		switch f.num {
		case 11:
			g.inputs[name] = true
		case 12:
			g.uses[name]++
		}
		return err
	}
	return nil
}

// maxSmall bounds the bytes of a TensorProto that may hold a single number, its name
// among them.
const maxSmall = maxName + 256

// embeddings returns the rows of the smallest table that an input is looked up in, 0
// where there is none.
func (g *body) embeddings() (rows int) {
	for _, n := range g.nodes {
		table := g.weights[n.input(0)]
		if n.op == "Gather" && g.inputs[n.input(1)] && len(table) == 2 && (rows == 0 || int(table[0]) < rows) {
			rows = int(table[0])
		}
	}
	return rows
}

// count notes the tensors that a node names and reads, and those of the nodes in
// its subgraphs, which may read tensors from around them.
func (g *body) count(n *operator) error {
	g.names[n.name] = true // ONNX Runtime refuses two nodes of one name
	for _, name := range n.outputs {
		g.names[name] = true
	}
	for _, name := range n.inputs {
		g.uses[name]++
		g.names[name] = true
	}
	for _, a := range n.attributes {
		err := fields(a, func(num protowire.Number, b []byte, _ uint64) error {
			if num == 6 || num == 11 { // g, graphs
				return g.countSubgraph(b)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *body) countSubgraph(b []byte) error {
	return fields(b, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 1: // node
			n, err := readOperator(b)
			if err != nil {
				return err
			}
			return g.count(n)
		case 12: // output
			name, err := nameOf(b)
			g.uses[name]++
			return err
		}
		return nil
	})
}

// fullName refuses a name that Parse has clipped.
func fullName(b []byte) (string, error) {
	if len(b) > maxName {
		return "", fmt.Errorf("want names of at most %d bytes, got %d", maxName, len(b))
	}
	return string(b), nil
}

// nameOf returns the name of a ValueInfoProto.
func nameOf(b []byte) (name string, err error) {
	err = fields(b, func(num protowire.Number, b []byte, _ uint64) (err error) {
		if num == 1 {
			name, err = fullName(b)
		}
		return err
	})
	return name, err
}

// weight returns the name and the dimensions of a TensorProto.
func weight(b []byte) (name string, dims []int64, err error) {
	err = fields(b, func(num protowire.Number, b []byte, v uint64) (err error) {
		switch num {
		case 1: // dims
			dims = append(dims, varints(b, v)...)
		case 8:
			name, err = fullName(b)
		}
		return err
	})
	return name, dims, err
}

func readOperator(b []byte) (*operator, error) {
	n := &operator{msg: b}
	domain := ""
	err := fields(b, func(num protowire.Number, b []byte, _ uint64) error {
		name, err := fullName(b)
		switch num {
		case 1:
			n.inputs = append(n.inputs, name)
		case 2:
			n.outputs = append(n.outputs, name)
		case 3:
			n.name = name
		case 4:
			n.op = name
		case 5:
			n.attributes = append(n.attributes, b)
			return nil
		case 7:
			domain = name
		default:
			return nil
		}
		return err
	})
	if domain != "" && domain != "ai.onnx" {
		n.op = domain + "." + n.op
	}
	return n, err
}

// attribute returns the integer of an attribute, 0 where the node has none.
func (n *operator) attribute(name string) int64 {
	value, _ := n.number(name)
	return value
}

// number returns the integer or the float of an attribute, 0 where the node has
// none.
func (n *operator) number(name string) (integer int64, float float32) {
	for _, a := range n.attributes {
		if attributeName(a) != name {
			continue
		}
		_ = fields(a, func(num protowire.Number, _ []byte, v uint64) error {
			switch num {
			case 2:
				float = math.Float32frombits(uint32(v))
			case 3:
				integer = int64(v)
			}
			return nil
		})
	}
	return integer, float
}

func attributeName(a []byte) (name string) {
	_ = fields(a, func(num protowire.Number, b []byte, _ uint64) error {
		if num == 1 {
			name = string(b)
		}
		return nil
	})
	return name
}

// input returns the i-th input, "" where there is none.
func (n *operator) input(i int) string {
	if i < len(n.inputs) {
		return n.inputs[i]
	}
	return ""
}

// isConstant reports whether a tensor depends on no input: an initializer, or what
// nodes such as Transpose and DequantizeLinear make of constants alone.
func (g *body) isConstant(name string) bool { return g.constant(name, map[string]bool{}, 0) }

// constant keeps what it has found out in known, so that nodes that read one
// another many times over are looked at once.
func (g *body) constant(name string, known map[string]bool, depth int) bool {
	if _, ok := g.weights[name]; ok || name == "" {
		return true
	}
	if is, ok := known[name]; ok {
		return is
	}
	known[name] = false
	n := g.producer[name]
	if n == nil || depth > maxDepth {
		return false
	}
	for _, input := range n.inputs {
		if !g.constant(input, known, depth+1) {
			return false
		}
	}
	for _, a := range n.attributes {
		if holdsGraph(a) {
			return false // its subgraph may read anything
		}
	}
	known[name] = true
	return true
}

func holdsGraph(attribute []byte) (is bool) {
	_ = fields(attribute, func(num protowire.Number, _ []byte, _ uint64) error {
		is = is || num == 6 || num == 11
		return nil
	})
	return is
}

// isVector reports whether a tensor is a constant of at most one dimension, which
// is added to [B, T, V] as it is to [n, V].
func (g *body) isVector(name string) bool {
	for range maxDepth {
		if dims, ok := g.weights[name]; ok {
			return len(dims) <= 1
		}
		n := g.producer[name]
		switch {
		case n == nil:
			return false
		case n.op != "Cast" && n.op != "Identity":
			return n.op == "Constant" && constantRank(n) <= 1
		}
		name = n.input(0)
	}
	return false
}

// constantRank returns the rank of what a Constant node gives.
func constantRank(n *operator) int {
	rank := maxRank
	for _, a := range n.attributes {
		_ = fields(a, func(num protowire.Number, b []byte, _ uint64) error {
			switch num {
			case 2, 3: // f, i
				rank = 0
			case 5: // t
				_, dims, err := weight(b)
				if err == nil {
					rank = len(dims)
				}
			case 7, 8: // floats, ints
				rank = 1
			}
			return nil
		})
	}
	return rank
}
