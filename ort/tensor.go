package ort

import (
	"slices"
	"unsafe"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// integers makes an input [B, T] of int64 or int32 from value(b, row, position).
func integers(typ graph.ElemType, value func(b *model.Batch, r, t int) int64) inputMaker {
	if typ == graph.Int32 {
		return matrix[int32](value)
	}
	return matrix[int64](value)
}

func matrix[T int32 | int64](value func(b *model.Batch, r, t int) int64) inputMaker {
	var buf []T
	return func(b *model.Batch) (onnx.Value, error) {
		buf = slices.Grow(buf[:0], b.Rows*b.Width)[:b.Rows*b.Width]
		for r := range b.Rows {
			for t := range b.Width {
				buf[r*b.Width+t] = T(value(b, r, t))
			}
		}
		return onnx.NewTensor(onnx.NewShape(int64(b.Rows), int64(b.Width)), buf)
	}
}

// keepAll asks a graph that can drop positions for the logits of all of them.
func keepAll(t graph.Tensor) inputMaker {
	return func(*model.Batch) (onnx.Value, error) {
		switch {
		case t.Type == graph.Int32 && len(t.Dims) == 0:
			return onnx.NewScalar[int32](0)
		case len(t.Dims) == 0:
			return onnx.NewScalar[int64](0)
		case t.Type == graph.Int32:
			return onnx.NewTensor(onnx.NewShape(1), []int32{0})
		}
		return onnx.NewTensor(onnx.NewShape(1), []int64{0})
	}
}

// noCache is false for use_cache_branch, bool [1].
func noCache(*model.Batch) (onnx.Value, error) {
	return onnx.NewCustomDataTensor(onnx.NewShape(1), []byte{0}, onnx.TensorElementDataTypeBool)
}

// emptyPast makes a cache of no tokens, [B, heads, 0, headDim].
func emptyPast(typ graph.ElemType, heads, headDim int) inputMaker {
	return func(b *model.Batch) (onnx.Value, error) {
		// The binding refuses empty data; the shape says that none of it is read.
		dummy := make([]byte, 8)
		return onnx.NewCustomDataTensor(onnx.NewShape(int64(b.Rows), int64(heads), 0, int64(headDim)), dummy, elementType(typ))
	}
}

func elementType(t graph.ElemType) onnx.TensorElementDataType {
	// Both sides number types as onnx.TensorProto does.
	return onnx.TensorElementDataType(t)
}

// output is the memory that logits [B, T, V] are written to. It is kept from
// batch to batch and grows to the largest. It must be
// pre-allocated: what ONNX Runtime allocates the binding copies once more, and
// for 16-bit floats wrongly.
type output struct {
	typ   graph.ElemType
	vocab int
	f32   []float32
	u16   []uint16
}

func (o *output) prepare(b *model.Batch) (*model.Logits, onnx.Value, error) {
	n := b.Rows * b.Width * o.vocab
	shape := onnx.NewShape(int64(b.Rows), int64(b.Width), int64(o.vocab))
	logits := &model.Logits{Rows: b.Rows, Width: b.Width, Vocab: o.vocab}
	if o.typ == graph.Float32 {
		resize(&o.f32, n)
		logits.F32 = o.f32
		v, err := onnx.NewTensor(shape, o.f32)
		return logits, v, err
	}
	resize(&o.u16, n)
	if o.typ == graph.Float16 {
		logits.F16 = o.u16
	} else {
		logits.BF16 = o.u16
	}
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(o.u16))), 2*n)
	v, err := onnx.NewCustomDataTensor(shape, bytes, elementType(o.typ))
	return logits, v, err
}

// resize makes a slice n numbers long, in the same memory where that is enough.
// What it held is not kept, so that it never has old and new memory at once.
func resize[T any](s *[]T, n int) {
	if cap(*s) < n {
		*s = nil
		*s = make([]T, n)
	}
	*s = (*s)[:n]
}
