package graph

import (
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxRank bounds the dimensions of a tensor; a decoder's have 4 or 5.
const maxRank = 16

// initializer reads a TensorProto: its name, its size and where its data lies.
func (p *parser) initializer(b []byte) (name string, err error) {
	elements, typ := int64(1), ElemType(0)
	external := map[string]string{}
	err = fields(b, func(num protowire.Number, b []byte, v uint64) error {
		switch num {
		case 1: // dims, packed or one by one
			for _, dim := range varints(b, v) {
				elements = mulCapped(elements, dim)
			}
		case 2: // data_type
			typ = ElemType(v)
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
	p.weights.types[name] = typ
	p.model.Params = addCapped(p.model.Params, elements)
	if len(external) == 0 {
		return name, nil
	}
	return name, p.addExternal(name, external, mulCapped(elements, int64(typ.Size())))
}

// maxDense bounds the numbers that the sparse tensors of a model have when ONNX
// Runtime fills them up: a few bytes of the file may stand for any number of them.
const maxDense = 1 << 28

// sparse reads a SparseTensorProto, two tensors in one.
func (p *parser) sparse(b []byte) error {
	elements := int64(1)
	err := fields(b, func(num protowire.Number, b []byte, v uint64) error {
		switch num {
		case 1, 2: // values, indices
			_, err := p.initializer(b)
			return err
		case 3: // dims
			for _, dim := range varints(b, v) {
				if dim < 0 || dim > maxDense || elements*dim > maxDense {
					return fmt.Errorf("want sparse tensors of at most %d numbers, got more", maxDense)
				}
				elements *= dim
			}
		}
		return nil
	})
	if p.dense += elements; err == nil && p.dense > maxDense {
		err = fmt.Errorf("want sparse tensors of at most %d numbers, got more", maxDense)
	}
	return err
}

// addExternal notes which file a tensor lies in, and how far into it the tensor
// reaches. size is the tensor's own, for entries that give no length.
func (p *parser) addExternal(name string, entries map[string]string, size int64) error {
	loc := entries["location"]
	offset, length := int64(0), size
	for _, part := range []struct {
		key    string
		number *int64
	}{{"offset", &offset}, {"length", &length}} {
		text := entries[part.key]
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("tensor %q: external data: want a number of bytes as %s, got %q", name, part.key, text)
		}
		*part.number = n
	}
	if offset > math.MaxInt64-length {
		return fmt.Errorf("tensor %q: external data: want an end below 2^63, got offset %d and length %d", name, offset, length)
	}
	end := offset + length
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
		case 2: // shape, perhaps of a scalar
			t.Dims, t.Symbols = []int64{}, []string{}
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
