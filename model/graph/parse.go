package graph

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds on what a graph may hold. Real decoders stay far below: a 70B model
// has some 2,000 nodes without subgraphs.
const (
	maxDepth = 8       // If, Loop and Scan bodies inside one another
	maxItems = 1 << 20 // nodes, initializers, inputs and outputs together
	maxName  = 4096
)

var errCut = errors.New("want a whole ONNX model, got a broken or cut off file")

// field is one field of a protobuf message.
type field struct {
	num    protowire.Number
	raw    []byte // all of it, tag and value
	bytes  []byte // the value of a length-delimited field
	number uint64 // the value of a varint
}

// nextField splits a message into its first field and the rest.
func nextField(msg []byte) (f field, rest []byte, err error) {
	num, typ, tag := protowire.ConsumeTag(msg)
	if tag < 0 {
		return field{}, nil, errCut
	}
	f.num = num
	var n int
	switch typ {
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(msg[tag:])
	case protowire.VarintType:
		f.number, n = protowire.ConsumeVarint(msg[tag:])
	case protowire.Fixed32Type:
		var bits uint32
		bits, n = protowire.ConsumeFixed32(msg[tag:])
		f.number = uint64(bits)
	default:
		n = protowire.ConsumeFieldValue(num, typ, msg[tag:])
	}
	if n < 0 {
		return field{}, nil, errCut
	}
	f.raw = msg[:tag+n]
	return f, msg[tag+n:], nil
}

// fields calls visit for each field of a protobuf message. Length-delimited
// fields come as bytes, varints and 32 bits as number; others are stepped over.
func fields(msg []byte, visit func(num protowire.Number, bytes []byte, number uint64) error) error {
	for len(msg) > 0 {
		f, rest, err := nextField(msg)
		if err != nil {
			return err
		}
		if err := visit(f.num, f.bytes, f.number); err != nil {
			return err
		}
		msg = rest
	}
	return nil
}

type parser struct {
	model Model
	items int
	// size of each external file, by location
	external map[string]int64
	order    []string
	weights  *precisions

	code      *code // that is being read
	functions map[string]*code
	dense     int64 // numbers of sparse tensors, filled up
}

// Parse describes a model from the bytes of its file. It checks nothing on disk.
func Parse(data []byte) (*Model, error) {
	if err := new(counter).count(modelKind, data, 0); err != nil {
		return nil, err
	}
	p := &parser{model: Model{Ops: map[string]int{}}, external: map[string]int64{}, weights: newPrecisions(),
		code: &code{}, functions: map[string]*code{}}
	var producer, version string
	var graphs int
	var graph []byte
	err := fields(data, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 2: // producer_name
			producer = clip(b)
		case 3: // producer_version
			version = clip(b)
		case 7: // graph
			graphs++
			graph = b
			return p.graph(b, 0)
		case 25: // functions
			return p.function(b)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if graphs != 1 || len(p.model.Outputs) == 0 {
		return nil, errCut
	}
	if err := p.checkFunctions(); err != nil {
		return nil, err
	}
	p.model.Precision = p.weights.narrowest()
	p.model.Producer = producer
	if version != "" {
		p.model.Producer += " " + version
	}
	for _, loc := range p.order {
		p.model.External = append(p.model.External, External{loc, p.external[loc]})
	}
	if g, err := readBody(graph); err == nil { // else the trial at start must tell
		p.model.Batchwide = (&scope{body: g}).batchwide(p.model.Ops)
		p.model.Embeddings = g.embeddings()
	}
	p.model.Batchwide.Half = p.model.Batchwide.Half || p.weights.half()
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
		case 1, 5, 11, 12, 15:
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
		case 15: // sparse_initializer
			return p.sparse(b)
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
	p.weights.add(b)
	var op, domain, overload string
	defer func() { p.code.add(functionName(domain, op, overload), depth) }()
	return fields(b, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 4: // op_type
			op = clip(b)
			p.model.Ops[op]++
		case 7:
			domain = clip(b)
		case 8:
			overload = clip(b)
		case 5: // attribute
			p.model.WindowCache = p.model.WindowCache || attributeName(b) == windowCache
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
		case 22, 23: // sparse_tensor, sparse_tensors
			return p.sparse(b)
		}
		return nil
	})
}
