package ort

import (
	"unsafe"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// inputMaker makes the value of one input for a forward.
type inputMaker func(f *forward) (onnx.Value, error)

// integers makes an input [n, width] of int64 or int32 from the forward's own.
func integers(typ graph.ElemType, get func(f *forward) (data []int64, width int)) inputMaker {
	var narrow []int32
	return func(f *forward) (onnx.Value, error) {
		data, width := get(f)
		shape := onnx.NewShape(int64(len(data)/width), int64(width))
		if typ != graph.Int32 {
			return onnx.NewTensor(shape, data)
		}
		resize(&narrow, len(data))
		for i, v := range data {
			narrow[i] = int32(v)
		}
		return onnx.NewTensor(shape, narrow)
	}
}

// rowLengths makes the input that says where each row ends, int32 [B]: the last of
// the columns that it may look at, were they side by side.
func rowLengths() inputMaker {
	var last []int32
	return func(f *forward) (onnx.Value, error) {
		resize(&last, f.rows)
		for r, n := range f.lens {
			last[r] = int32(n - 1)
		}
		return onnx.NewTensor(onnx.NewShape(int64(f.rows)), last)
	}
}

// totalLength makes the input that says how many columns there are, an int32 scalar.
func totalLength(f *forward) (onnx.Value, error) { return onnx.NewScalar(int32(f.past + f.width)) }

// keepAll asks a graph that can drop positions for the logits of all of them.
func keepAll(t graph.Tensor) inputMaker {
	return func(*forward) (onnx.Value, error) {
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

// useCache says for use_cache_branch, bool [1], whether the past holds anything.
func useCache(f *forward) (onnx.Value, error) {
	flag := []byte{0}
	if f.past > 0 {
		flag[0] = 1
	}
	return onnx.NewCustomDataTensor(onnx.NewShape(1), flag, onnx.TensorElementDataTypeBool)
}

// pastMaker makes the value of one cache input for a number of rows.
type pastMaker func(rows int) (onnx.Value, error)

// emptyPast makes a cache of no tokens, [B, heads, 0, headDim].
func emptyPast(typ graph.ElemType, heads, headDim int) pastMaker {
	return func(rows int) (onnx.Value, error) {
		// The binding refuses empty data; the shape says that none of it is read.
		dummy := make([]byte, 8)
		return onnx.NewCustomDataTensor(onnx.NewShape(int64(rows), int64(heads), 0, int64(headDim)), dummy, elementType(typ))
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
	flat  bool // the graph gives [B*T, V]
	f32   []float32
	u16   []uint16
}

func (o *output) prepare(rows, width int) (*model.Logits, onnx.Value, error) {
	n := rows * width * o.vocab
	shape := onnx.NewShape(int64(rows), int64(width), int64(o.vocab))
	if o.flat {
		shape = onnx.NewShape(int64(rows*width), int64(o.vocab))
	}
	logits := &model.Logits{Rows: rows, Width: width, Vocab: o.vocab}
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
