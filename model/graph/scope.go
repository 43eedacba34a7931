package graph

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// scope is a graph or a subgraph, whose nodes may read what stands around it.
type scope struct {
	*body
	outer *scope
}

// scopeOf reads the model's graph.
func scopeOf(data []byte) (*scope, error) {
	m, err := split(data)
	if err != nil {
		return nil, err
	}
	g, err := readBody(m.graph)
	return &scope{body: g}, err
}

// inner reads the subgraphs of a node.
func (s *scope) inner(n *operator) (found []*scope) {
	for _, a := range n.attributes {
		_ = fields(a, func(num protowire.Number, b []byte, _ uint64) error {
			if num == 6 || num == 11 { // g, graphs
				if g, err := readBody(b); err == nil {
					found = append(found, &scope{g, s})
				}
			}
			return nil
		})
	}
	return found
}

// all calls visit for every node, those of subgraphs too.
func (s *scope) all(visit func(s *scope, n *operator)) {
	for _, n := range s.nodes {
		visit(s, n)
		for _, inner := range s.inner(n) {
			inner.all(visit)
		}
	}
}

// maker returns the node that makes a tensor, with its scope; nil where it is an
// input or an initializer.
func (s *scope) maker(name string) (*operator, *scope) {
	for ; s != nil; s = s.outer {
		if n := s.producer[name]; n != nil && name != "" {
			return n, s
		}
		if _, ok := s.weights[name]; ok {
			return nil, s
		}
	}
	return nil, nil
}

// isInput reports whether a tensor is what the model is fed, and no weight.
func (s *scope) isInput(name string) bool {
	n, in := s.maker(name)
	return n == nil && in == nil && name != ""
}

// table returns the dimensions of the weights behind a tensor, nil where there are
// none: an initializer or a Constant, as it is or dequantised, repeated or with
// dimensions of 1.
func (s *scope) table(name string) []int64 {
	for range maxTail {
		n, in := s.maker(name)
		if n == nil {
			if in == nil {
				return nil
			}
			return in.weights[name]
		}
		switch n.op {
		case "Constant":
			dims, _ := constant(n)
			return dims
		case "Cast", "Identity", "DequantizeLinear", "Unsqueeze", "Squeeze", "Expand", "Tile":
			name, s = n.input(0), in
		default:
			return nil
		}
	}
	return nil
}

// scalar returns the one integer that a constant holds.
func (s *scope) scalar(name string) (v int64, ok bool) {
	for range maxTail {
		n, in := s.maker(name)
		switch {
		case n == nil && in == nil:
			return 0, false
		case n == nil:
			return in.initial(name)
		case n.op == "Constant":
			_, values := constant(n)
			if len(values) != 1 {
				return 0, false
			}
			return values[0], true
		case n.op != "Cast" && n.op != "Identity" && n.op != "Unsqueeze" && n.op != "Squeeze" && n.op != "Reshape" && n.op != "Expand":
			return 0, false
		}
		name, s = n.input(0), in
	}
	return 0, false
}

// initial returns the one integer of an initializer.
func (g *body) initial(name string) (v int64, ok bool) {
	values := integersOf(g.small[name])
	if len(values) != 1 {
		return 0, false
	}
	return values[0], true
}

// constant returns the dimensions of what a Constant node gives and, where they are
// few, its integers.
func constant(n *operator) (dims, values []int64) {
	for _, a := range n.attributes {
		_ = fields(a, func(num protowire.Number, b []byte, v uint64) error {
			switch num {
			case 3: // i
				if attributeName(a) == "value_int" {
					values = []int64{int64(v)}
				}
			case 5: // t
				_, dims, _ = weight(b)
				values = integersOf(b)
			}
			return nil
		})
	}
	return dims, values
}

// integersOf returns the whole numbers of a TensorProto, at most maxRank, whose type
// is int64, int32 or fp32; none where one is no whole number.
func integersOf(t []byte) (values []int64) {
	var typ ElemType
	var raw []byte
	_ = fields(t, func(num protowire.Number, b []byte, v uint64) error {
		switch num {
		case 2:
			typ = ElemType(v)
		case 5, 7: // int32_data, int64_data
			values = append(values, varints(b, v)...)
		case 4, 9: // float_data, raw_data
			raw = b
		}
		return nil
	})
	size := typ.Size()
	if typ != Int64 && typ != Int32 && typ != Float32 || len(raw) > maxRank*size {
		return nil
	}
	for ; len(raw) >= size; raw = raw[size:] {
		switch typ {
		case Int64:
			values = append(values, int64(binary.LittleEndian.Uint64(raw)))
		case Int32:
			values = append(values, int64(int32(binary.LittleEndian.Uint32(raw))))
		default:
			f := float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
			if f != math.Trunc(f) || math.Abs(f) > 1<<31 {
				return nil
			}
			values = append(values, int64(f))
		}
	}
	return values
}
