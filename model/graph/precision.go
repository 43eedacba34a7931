package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// stored is a type that weights are stored in, as a person names it, with the
// bits of one weight.
type stored struct {
	name string
	bits int64
}

// storedTypes are the types of onnx.TensorProto.DataType that weights have.
// Signed and unsigned integers hold the same: a quantised weight.
var storedTypes = map[ElemType]stored{
	Float32: {"fp32", 32}, Float16: {"fp16", 16}, BFloat16: {"bf16", 16}, 11: {"fp64", 64},
	2: {"int8", 8}, 3: {"int8", 8}, // uint8, int8
	17: {"fp8", 8}, 18: {"fp8", 8}, 19: {"fp8", 8}, 20: {"fp8", 8},
	21: {"int4", 4}, 22: {"int4", 4}, 23: {"fp4", 4}, // uint4, int4, float4e2m1
	25: {"int2", 2}, 26: {"int2", 2},
}

// multiplications are the operators that multiply by a matrix of weights, with
// the places of their inputs that may be that matrix.
var multiplications = map[string][]int{
	"MatMul": {0, 1}, "Gemm": {0, 1}, "FusedMatMul": {0, 1}, "FusedGemm": {0, 1}, "MatMulInteger": {0, 1},
	"MatMulIntegerToFloat": {0, 1}, "DynamicQuantizeMatMul": {1}, "QLinearMatMul": {0, 3}, "QGemm": {0, 3},
}

// passedThrough are the operators behind which a matrix of weights is still what
// its initializer holds.
var passedThrough = []string{"Transpose", "Reshape", "Cast", "Identity", "DequantizeLinear", "Squeeze", "Unsqueeze"}

// precisions collects what the matrix multiplications of a graph read.
type precisions struct {
	types    map[string]ElemType // of initializers and constants
	from     map[string]string   // the first input of what is passed through
	matrices []string            // tensors that a multiplication reads
	found    []stored
}

func newPrecisions() *precisions {
	return &precisions{types: map[string]ElemType{}, from: map[string]string{}}
}

// add notes a NodeProto. One that it cannot read is none that it counts.
func (p *precisions) add(b []byte) {
	n, err := readOperator(b)
	if err != nil {
		return
	}
	op := n.op[strings.LastIndexByte(n.op, '.')+1:]
	switch {
	case op == "MatMulNBits":
		bits := n.attribute("bits")
		p.found = append(p.found, stored{fmt.Sprintf("int%d", cmp.Or(bits, 4)), cmp.Or(bits, 4)})
	case op == "MatMulBnb4":
		p.found = append(p.found, stored{"nf4", 4})
	case op == "Constant" && len(n.outputs) > 0:
		p.types[n.outputs[0]] = constantType(n)
	case slices.Contains(passedThrough, op) && len(n.outputs) > 0:
		p.from[n.outputs[0]] = n.input(0)
	}
	for _, i := range multiplications[op] {
		p.matrices = append(p.matrices, n.input(i))
	}
}

// narrowest returns the type of fewest bits among the matrices of weights, ""
// where there is none: products of two activations have no weights.
func (p *precisions) narrowest() string {
	for _, name := range p.matrices {
		for range maxDepth {
			if _, ok := p.types[name]; ok || p.from[name] == "" {
				break
			}
			name = p.from[name]
		}
		if t, ok := storedTypes[p.types[name]]; ok {
			p.found = append(p.found, t)
		}
	}
	if len(p.found) == 0 {
		return ""
	}
	return slices.MinFunc(p.found, func(a, b stored) int { return cmp.Compare(a.bits, b.bits) }).name
}

// half reports whether a weight or a constant has 16 bits.
func (p *precisions) half() bool {
	for _, typ := range p.types {
		if typ == Float16 || typ == BFloat16 {
			return true
		}
	}
	return false
}

// constantType returns the element type of what a Constant node holds, 0 where it
// is no tensor.
func constantType(n *operator) (typ ElemType) {
	for _, a := range n.attributes {
		_ = fields(a, func(num protowire.Number, b []byte, _ uint64) error {
			if num != 5 { // t
				return nil
			}
			return fields(b, func(num protowire.Number, _ []byte, v uint64) error {
				if num == 2 { // data_type
					typ = ElemType(v)
				}
				return nil
			})
		})
	}
	return typ
}
