package graph

import (
	"fmt"
	"syscall"

	"github.com/ortscore/ortscore/io/regular"
)

// mapFile maps a file into memory, read-only. Weights inside the model file are
// stepped over, so their pages are never read.
func mapFile(path string) (data []byte, unmap func(), err error) {
	f, err := regular.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	size := info.Size()
	if size == 0 || size > maxFile {
		return nil, nil, fmt.Errorf("%s: want an ONNX model of 1 byte to 2 GiB, got %d bytes", path, size)
	}
	data, err = syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: map into memory: %w", path, err)
	}
	return data, func() { _ = syscall.Munmap(data) }, nil
}
