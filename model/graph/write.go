package graph

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// edit writes a node with its inputs renamed and its outputs cut to the first few.
func (n *operator) edit(rename func(i int, name string) string, outputs int) []byte {
	var out []byte
	in, kept := 0, 0
	for msg := n.msg; len(msg) > 0; {
		f, rest, err := nextField(msg)
		if err != nil {
			return n.msg // it was read before
		}
		switch {
		case f.num == 1:
			out = appendString(out, 1, rename(in, n.inputs[in]))
			in++
		case f.num == 2 && kept == outputs:
		default:
			if f.num == 2 {
				kept++
			}
			out = append(out, f.raw...)
		}
		msg = rest
	}
	return out
}

func appendString(out []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(out, num, protowire.BytesType), s)
}

func appendInt(out []byte, num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(out, num, protowire.VarintType), uint64(v))
}

// appendNode makes a NodeProto with one output, after which it is named, and at
// most one attribute.
func appendNode(op string, inputs []string, output, attribute string, value int64) []byte {
	var out []byte
	for _, name := range inputs {
		out = appendString(out, 1, name)
	}
	out = appendString(out, 2, output)
	out = appendString(out, 3, output)
	out = appendString(out, 4, op)
	if attribute != "" {
		const integer = 2 // AttributeProto.INT
		a := appendInt(appendInt(appendString(nil, 1, attribute), 3, value), 20, integer)
		out = protowire.AppendBytes(protowire.AppendTag(out, 5, protowire.BytesType), a)
	}
	return out
}

// appendValueInfo makes a ValueInfoProto [symbol, size]; a size below 0 is open.
func appendValueInfo(name string, typ ElemType, symbol string, size int64) []byte {
	bytes := func(out []byte, num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(out, num, protowire.BytesType), b)
	}
	var second []byte
	if size >= 0 {
		second = appendInt(nil, 1, size)
	}
	shape := bytes(bytes(nil, 1, appendString(nil, 2, symbol)), 1, second)
	tensor := bytes(appendInt(nil, 1, int64(typ)), 2, shape)
	return bytes(appendString(nil, 1, name), 2, bytes(nil, 1, tensor))
}

// appendIntegers makes a TensorProto of integers, int64.
func appendIntegers(name string, values ...int64) []byte {
	var raw []byte
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return appendTensor(name, Int64, raw, int64(len(values)))
}

// appendOnes makes a TensorProto [n, 1] of ones, fp32.
func appendOnes(name string, n int64) []byte {
	var raw []byte
	for range n {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(1))
	}
	return appendTensor(name, Float32, raw, n, 1)
}

func appendTensor(name string, typ ElemType, raw []byte, dims ...int64) []byte {
	var out []byte
	for _, d := range dims {
		out = appendInt(out, 1, d)
	}
	out = appendString(appendInt(out, 2, int64(typ)), 8, name)
	return protowire.AppendBytes(protowire.AppendTag(out, 9, protowire.BytesType), raw)
}
