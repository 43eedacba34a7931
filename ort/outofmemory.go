package ort

import (
	"strings"

	"github.com/ortscore/ortscore/model"
)

// memoryError is an error of ONNX Runtime that says that memory ran out.
type memoryError struct{ text string }

func (e *memoryError) Error() string { return e.text }
func (e *memoryError) Unwrap() error { return model.ErrOutOfMemory }

// outOfMemory is how ONNX Runtime 1.31 and CUDA say that memory ran out, in lower
// case. The arena's words are in core/framework/bfc_arena.cc: for a device that
// has no more, for --gpu-memory, and for both after it has grown. cuBLAS and cuDNN
// take memory of their own, beside the arena.
var outOfMemory = []string{
	"failed to allocate memory for requested buffer",
	"is smaller than requested bytes of",
	"failed to find a free memory block",
	"failed to allocate external initializer buffer",
	"bad_alloc",
	"out of memory",
	"cudaerrormemoryallocation",
	"cublas_status_alloc_failed",
	"cudnn_status_alloc_failed",
}

func saysOutOfMemory(text string) bool {
	text = strings.ToLower(text)
	for _, part := range outOfMemory {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
