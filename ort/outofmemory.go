package ort

import (
	"fmt"
	"strings"

	"github.com/ortscore/ortscore/model"
)

// outOfMemory is how ONNX Runtime 1.31 and CUDA say that memory ran out, in lower
// case. The arena's words are in core/framework/bfc_arena.cc: for a device that
// has no more, for --gpu-memory, and for both after it has grown. cuBLAS and cuDNN
// take memory of their own, beside the arena.
var outOfMemory = []string{
	"failed to allocate memory for requested buffer",
	"available memory of", // N is smaller than requested bytes of M
	"failed to find a free memory block",
	"failed to allocate external initializer buffer",
	"bad_alloc",
	"out of memory",
	"cudaerrormemoryallocation",
	"cublas failure 3:", // the resource allocation failed
	"cublas failure 1:", // not initialized: what a handle gives for want of memory, too
	"the resource allocation failed",
	"cublas_status_alloc_failed",
	"cudnn_status_alloc_failed",
	"device_allocation_failed", // cuDNN 9's internal errors
	"host_allocation_failed",
}

// memoryError makes an error of a text that says that memory ran out, with
// model.ErrOutOfMemory in its chain and the words that say so; nil for another.
func memoryError(text string) error {
	lower := strings.ToLower(text)
	for _, words := range outOfMemory {
		at := strings.Index(lower, words)
		if at < 0 {
			continue
		}
		if words == model.ErrOutOfMemory.Error() {
			return model.ErrOutOfMemory
		}
		return fmt.Errorf("%w: %s", model.ErrOutOfMemory, lower[at:])
	}
	return nil
}
