package graph

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds on what a graph may hold. Real decoders stay far below: a 70B model
// has some 2,000 nodes without subgraphs.
const (
	maxDepth = 8       // If, Loop and Scan bodies inside one another
	maxItems = 1 << 20 // nodes, initializers, inputs and outputs together
	maxRank  = 16
	maxName  = 4096
)

var errCut = errors.New("want a whole ONNX model, got a broken or cut off file")

// fields calls visit for each field of a protobuf message. Length-delimited
// fields come as bytes, varints as number; other wire types are stepped over.
func fields(msg []byte, visit func(num protowire.Number, bytes []byte, number uint64) error) error {
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return errCut
		}
		msg = msg[n:]
		var (
			bytes  []byte
			number uint64
		)
		switch typ {
		case protowire.BytesType:
			bytes, n = protowire.ConsumeBytes(msg)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(msg)
		default:
			n = protowire.ConsumeFieldValue(num, typ, msg)
		}
		if n < 0 {
			return errCut
		}
		msg = msg[n:]
		if err := visit(num, bytes, number); err != nil {
			return err
		}
	}
	return nil
}

type parser struct {
	model Model
	items int
	// size of each external file, by location
	external map[string]int64
	order    []string
}

// Parse describes a model from the bytes of its file. It checks nothing on disk.
func Parse(data []byte) (*Model, error) {
	p := &parser{model: Model{Ops: map[string]int{}}, external: map[string]int64{}}
	var producer, version string
	var graphs int
	err := fields(data, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 2: // producer_name
			producer = clip(b)
		case 3: // producer_version
			version = clip(b)
		case 7: // graph
			graphs++
			return p.graph(b, 0)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if graphs != 1 || len(p.model.Outputs) == 0 {
		return nil, errCut
	}
	p.model.Producer = producer
	if version != "" {
		p.model.Producer += " " + version
	}
	for _, loc := range p.order {
		p.model.External = append(p.model.External, External{loc, p.external[loc]})
	}
	return &p.model, nil
}

func clip(b []byte) string { return string(b[:min(len(b), maxName)]) }

func (p *parser) count() error {
	if p.items++; p.items > maxItems {
		return fmt.Errorf("want at most %d nodes and tensors, got more", maxItems)
	}
	return nil
}

// graph reads a GraphProto. Inputs and outputs of a subgraph are not the model's.
func (p *parser) graph(b []byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("want subgraphs at most %d deep, got more", maxDepth)
	}
	initialized := map[string]bool{}
	var inputs []Tensor
	err := fields(b, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 1, 5, 11, 12:
			if err := p.count(); err != nil {
				return err
			}
		}
		switch num {
		case 1: // node
			return p.node(b, depth)
		case 5: // initializer
			name, err := p.initializer(b)
			initialized[name] = true
			return err
		case 11, 12: // input, output
			if depth > 0 {
				return nil
			}
			t, err := valueInfo(b)
			if num == 11 {
				inputs = append(inputs, t)
			} else {
				p.model.Outputs = append(p.model.Outputs, t)
			}
			return err
		}
		return nil
	})
	// Old exporters list the weights among the inputs too.
	for _, t := range inputs {
		if !initialized[t.Name] {
			p.model.Inputs = append(p.model.Inputs, t)
		}
	}
	return err
}

func (p *parser) node(b []byte, depth int) error {
	return fields(b, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 4: // op_type
			p.model.Ops[clip(b)]++
		case 5: // attribute
			return p.attribute(b, depth)
		}
		return nil
	})
}

// attribute follows the parts of an AttributeProto that can hold tensors with
// external data or further nodes.
func (p *parser) attribute(b []byte, depth int) error {
	return fields(b, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 5, 10: // t, tensors
			_, err := p.initializer(b)
			return err
		case 6, 11: // g, graphs
			return p.graph(b, depth+1)
		}
		return nil
	})
}

// initializer reads a TensorProto: its name, its size and where its data lies.
func (p *parser) initializer(b []byte) (name string, err error) {
	elements := int64(1)
	external := map[string]string{}
	err = fields(b, func(num protowire.Number, b []byte, v uint64) error {
		switch num {
		case 1: // dims, packed or one by one
			for _, dim := range varints(b, v) {
				elements = mulCapped(elements, dim)
			}
		case 8: // name
			name = clip(b)
		case 13: // external_data
			key, value, err := entry(b)
			external[key] = value
			return err
		}
		return nil
	})
	if err != nil {
		return name, err
	}
	p.model.Params = addCapped(p.model.Params, elements)
	if len(external) == 0 {
		return name, nil
	}
	return name, p.addExternal(name, external)
}

func (p *parser) addExternal(name string, entries map[string]string) error {
	loc := entries["location"]
	var end int64
	for _, key := range []string{"offset", "length"} {
		if entries[key] == "" {
			continue
		}
		n, err := strconv.ParseInt(entries[key], 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/4 {
			return fmt.Errorf("tensor %q: external data: want a number of bytes as %s, got %q", name, key, entries[key])
		}
		end += n
	}
	if _, ok := p.external[loc]; !ok {
		p.order = append(p.order, loc)
	}
	p.external[loc] = max(p.external[loc], end)
	return nil
}

// entry reads a StringStringEntryProto.
func entry(b []byte) (key, value string, err error) {
	err = fields(b, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 1:
			key = clip(b)
		case 2:
			value = clip(b)
		}
		return nil
	})
	return key, value, err
}

// valueInfo reads a ValueInfoProto of tensor type; other types keep type 0.
func valueInfo(b []byte) (t Tensor, err error) {
	err = fields(b, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 1: // name
			t.Name = clip(b)
		case 2: // type
			return fields(b, func(num protowire.Number, b []byte, _ uint64) error {
				if num == 1 { // tensor_type
					return tensorType(b, &t)
				}
				return nil
			})
		}
		return nil
	})
	return t, err
}

func tensorType(b []byte, t *Tensor) error {
	return fields(b, func(num protowire.Number, b []byte, v uint64) error {
		switch num {
		case 1: // elem_type
			t.Type = ElemType(v)
		case 2: // shape
			return fields(b, func(num protowire.Number, b []byte, _ uint64) error {
				if num != 1 {
					return nil
				}
				if len(t.Dims) == maxRank {
					return fmt.Errorf("%s: want at most %d dimensions, got more", t.Name, maxRank)
				}
				return dimension(b, t)
			})
		}
		return nil
	})
}

func dimension(b []byte, t *Tensor) error {
	size, symbol := int64(-1), ""
	err := fields(b, func(num protowire.Number, b []byte, v uint64) error {
		switch num {
		case 1: // dim_value
			if v <= math.MaxInt32 {
				size = int64(v)
			}
		case 2: // dim_param
			symbol = clip(b)
		}
		return nil
	})
	t.Dims = append(t.Dims, size)
	t.Symbols = append(t.Symbols, symbol)
	return err
}

// varints returns the numbers of a repeated varint field, which stand packed in
// b or, one to a field, as v.
func varints(b []byte, v uint64) []int64 {
	if b == nil {
		return []int64{int64(v)}
	}
	var out []int64
	for len(b) > 0 && len(out) < maxRank {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			break
		}
		b = b[n:]
		out = append(out, int64(v))
	}
	return out
}

func mulCapped(a, b int64) int64 {
	if b < 0 || b != 0 && a > math.MaxInt64/b {
		return 0
	}
	return a * b
}

func addCapped(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return a
	}
	return a + b
}
