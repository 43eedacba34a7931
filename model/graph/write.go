package graph

import (
	"encoding/binary"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// with writes a node with other inputs, its outputs cut to the first few, and
// without one of its attributes.
func (n *operator) with(inputs []string, outputs int, without string) []byte {
	var out []byte
	for _, name := range inputs {
		out = appendString(out, 1, name)
	}
	kept := 0
	for msg := n.msg; len(msg) > 0; {
		f, rest, err := nextField(msg)
		if err != nil {
			return n.msg // it was read before
		}
		msg = rest
		switch {
		case f.num == 1 || f.num == 5 && without != "" && attributeName(f.bytes) == without:
			continue
		case f.num == 2:
			if kept++; kept > outputs {
				continue
			}
		}
		out = append(out, f.raw...)
	}
	return out
}

func appendString(out []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(out, num, protowire.BytesType), s)
}

func appendInt(out []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(out, num, protowire.VarintType), uint64(v))
}

// setting is an attribute of a node.
type setting struct {
	name  string
	value int64
}

// appendNode makes a NodeProto with one output, after which it is named. op has
// its domain before it, where that is not ONNX's own.
func appendNode(op string, inputs []string, output string, settings ...setting) []byte {
	return appendNodeOf(op, inputs, []string{output}, settings...)
}

// appendNodeOf makes a NodeProto with several outputs, named after the last.
func appendNodeOf(op string, inputs, outputs []string, settings ...setting) []byte {
	var out []byte
	for _, name := range inputs {
		out = appendString(out, 1, name)
	}
	for _, name := range outputs {
		out = appendString(out, 2, name)
	}
	out = appendString(out, 3, outputs[len(outputs)-1])
	at := strings.LastIndexByte(op, '.')
	out = appendString(out, 4, op[at+1:])
	for _, s := range settings {
		const integer = 2 // AttributeProto.INT
		out = appendMessage(out, 5, appendInt(appendInt(appendString(nil, 1, s.name), 3, s.value), 20, integer))
	}
	if at > 0 {
		out = appendString(out, 7, op[:at])
	}
	return out
}

func appendMessage(out []byte, num protowire.Number, msg []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(out, num, protowire.BytesType), msg)
}

// appendValueInfo makes a ValueInfoProto; a dimension below 0 is open, and has its
// symbol where there is one.
func appendValueInfo(t Tensor) []byte {
	var shape []byte
	for i, size := range t.Dims {
		var dim []byte
		switch {
		case size >= 0:
			dim = appendInt(nil, 1, size)
		case t.Symbols[i] != "":
			dim = appendString(nil, 2, t.Symbols[i])
		}
		shape = appendMessage(shape, 1, dim)
	}
	tensor := appendMessage(appendInt(nil, 1, int64(t.Type)), 2, shape)
	return appendMessage(appendString(nil, 1, t.Name), 2, appendMessage(nil, 1, tensor))
}

// places is a tensor [n, ...], with a number or a row for each position that is asked
// for; a size below 0 is open.
func places(name string, typ ElemType, sizes ...int64) Tensor {
	t := Tensor{Name: name, Type: typ, Dims: append([]int64{-1}, sizes...), Symbols: make([]string, 1+len(sizes))}
	t.Symbols[0] = "ortscore/n"
	return t
}

// appendIntegers makes a TensorProto of integers, int64.
func appendIntegers(name string, values ...int64) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return appendTensor(name, Int64, raw, int64(len(values)))
}

// appendEqual makes a TensorProto [n, 1] of one number, fp32.
func appendEqual(name string, n int64, v float32) []byte {
	var raw []byte
	for range n {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return appendTensor(name, Float32, raw, n, 1)
}

func appendTensor(name string, typ ElemType, raw []byte, dims ...int64) []byte {
	var out []byte
	for _, d := range dims {
		out = appendInt(out, 1, d)
	}
	out = appendString(appendInt(out, 2, int64(typ)), 8, name)
	return appendMessage(out, 9, raw)
}
