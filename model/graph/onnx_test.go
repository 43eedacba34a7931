package graph

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// A writer of onnx.proto, a field at a time, for graphs that no exporter makes.

// msg joins fields to a message.
func msg(fields ...[]byte) []byte {
	var out []byte
	for _, f := range fields {
		out = append(out, f...)
	}
	return out
}

func bytesField(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

func str(num protowire.Number, s string) []byte { return bytesField(num, []byte(s)) }

func number(num protowire.Number, v int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), uint64(v))
}

// packed is a repeated integer in one field.
func packed(num protowire.Number, values ...int64) []byte {
	var b []byte
	for _, v := range values {
		b = protowire.AppendVarint(b, uint64(v))
	}
	return bytesField(num, b)
}

func onnxModel(graphFields ...[]byte) []byte {
	return msg(number(1, 10), bytesField(7, msg(graphFields...)))
}

func node(op string, attributes ...[]byte) []byte {
	out := str(4, op)
	for _, a := range attributes {
		out = append(out, bytesField(5, a)...)
	}
	return bytesField(1, out)
}

// value is a ValueInfoProto; a dim is an int64 or a symbol, "" for none.
func value(name string, typ ElemType, dims ...any) []byte {
	var shape []byte
	for _, d := range dims {
		var dim []byte
		switch d := d.(type) {
		case int:
			dim = number(1, int64(d))
		case string:
			if d != "" {
				dim = str(2, d)
			}
		}
		shape = append(shape, bytesField(1, dim)...)
	}
	tensor := msg(number(1, int64(typ)), bytesField(2, shape))
	return msg(str(1, name), bytesField(2, bytesField(1, tensor)))
}

func input(v []byte) []byte       { return bytesField(11, v) }
func output(v []byte) []byte      { return bytesField(12, v) }
func initializer(t []byte) []byte { return bytesField(5, t) }

// tensor is a TensorProto with external data given as key, value, key, value ...
func tensor(name string, typ ElemType, dims []int64, external ...string) []byte {
	out := msg(packed(1, dims...), number(2, int64(typ)), str(8, name))
	for i := 0; i+1 < len(external); i += 2 {
		out = append(out, bytesField(13, msg(str(1, external[i]), str(2, external[i+1])))...)
	}
	return out
}

// logits is an output that makes a graph whole.
func logits() []byte { return output(value("logits", Float32, "batch", "sequence", 512)) }
