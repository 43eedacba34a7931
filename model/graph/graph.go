// Package graph reads the graph of an ONNX model file: its inputs and outputs,
// its operators and the files its weights lie in. It reads the protobuf wire
// format directly (onnx.proto, https://github.com/onnx/onnx), so that a model
// of any size is described without loading a weight, and treats the file as
// hostile: nothing is allocated from a size the file merely claims, subgraphs
// nest to a bound, and a broken file is an error, never a panic.
package graph

import (
	"fmt"
	"os"
	"path/filepath"
)

// Model describes an ONNX model.
type Model struct {
	Producer string // what wrote the file, such as "pytorch 2.11"
	Inputs   []Tensor
	Outputs  []Tensor
	Ops      map[string]int // operator type to how often it stands in the graph
	External []External     // the files that hold weights, one entry a file
	Bytes    int64          // of the model's file and the weights beside it
	Params   int64          // elements in all initializers
	// Precision is the narrowest type that matrices of weights are stored in: fp32, fp16,
	// bf16, int8, int4 ... and "" where none is found. A head in fp32 does not make int8 layers fp32.
	Precision string
	Batchwide Batchwide
	// Embeddings are the rows of the smallest table that an input of integers is looked
	// up in, 0 where none is found: larger ids may fail.
	Embeddings int
	// WindowCache says that attention keeps caches of its window's size, for which
	// FullCache is.
	WindowCache bool
}

// Has reports whether the graph holds an operator of type op.
func (m *Model) Has(op string) bool { return m.Ops[op] > 0 }

// Tensor describes one input or output of the graph.
type Tensor struct {
	Name string
	Type ElemType
	Dims []int64 // -1 where the dimension is symbolic; empty for a scalar, nil where the file gives no shape
	// Symbols holds the dimensions' names, "" where a dimension has none.
	Symbols []string
}

// External is a file with weights beside the model.
type External struct {
	Location string // as written in the model, relative to its folder
	Size     int64  // bytes the model reads from it: the largest offset + length
}

// ElemType is a tensor's element type, numbered as onnx.TensorProto.DataType.
type ElemType int32

// The element types a decoder's inputs and outputs have.
const (
	Float32  ElemType = 1
	Int32    ElemType = 6
	Int64    ElemType = 7
	Bool     ElemType = 9
	Float16  ElemType = 10
	BFloat16 ElemType = 16
)

// String returns the type's short name, such as "fp16".
func (t ElemType) String() string {
	switch t {
	case Float32:
		return "fp32"
	case Int32:
		return "int32"
	case Int64:
		return "int64"
	case Bool:
		return "bool"
	case Float16:
		return "fp16"
	case BFloat16:
		return "bf16"
	}
	return fmt.Sprintf("onnx type %d", int32(t))
}

// IsFloat reports whether t is a type that logits may have.
func (t ElemType) IsFloat() bool { return t == Float32 || t == Float16 || t == BFloat16 }

// Size returns the bytes of one element, 0 for a type this package has no name for.
func (t ElemType) Size() int {
	switch t {
	case Float32, Int32:
		return 4
	case Int64:
		return 8
	case Bool:
		return 1
	case Float16, BFloat16:
		return 2
	}
	return 0
}

// maxFile is protobuf's own limit on a message; larger weights are external.
const maxFile = 2 << 30

// Read describes the model in the file at path and checks that the files its
// weights lie in are there, whole, and inside the model's folder.
func Read(path string) (*Model, error) {
	data, unmap, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	defer unmap()
	m, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	m.Bytes = int64(len(data))
	for _, ext := range m.External {
		m.Bytes += ext.Size
		if err := checkExternal(filepath.Dir(path), ext); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return m, nil
}

// checkExternal holds one file of weights against what the model expects. The
// rule is about names: a location must stay below the model's folder. Where
// that folder, or a file in it, is itself a link (as in the Hugging Face cache,
// where every file links to ../../blobs) the link is followed.
func checkExternal(dir string, ext External) error {
	if !filepath.IsLocal(ext.Location) {
		return fmt.Errorf("external data: want a file inside the model's folder, got %q", ext.Location)
	}
	info, err := os.Stat(filepath.Join(dir, ext.Location))
	if os.IsNotExist(err) {
		return fmt.Errorf("external data: want %q beside the model, got no such file", ext.Location)
	}
	if err != nil {
		return fmt.Errorf("external data: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("external data: want a file, got %q, which is none", ext.Location)
	}
	if info.Size() < ext.Size {
		return fmt.Errorf("external data: want at least %d bytes in %q, got %d: the file is cut off",
			ext.Size, ext.Location, info.Size())
	}
	return nil
}
