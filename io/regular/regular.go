// Package regular opens regular files and nothing else: a named pipe would keep
// the reader waiting, and a device need not end.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Small is the most bytes of a file that a person writes, or a tool for one model:
// settings, templates, keys.
const Small = 16 << 20

// Open opens the regular file at path for reading. What else may lie there is
// refused without being opened or waited for.
func Open(path string) (*os.File, error) {
	if err := Check(path); err != nil {
		return nil, err
	}
	// Another file may have taken the name since.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = check(path, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Check reports why path is no regular file, or nil.
func Check(path string) error {
	info, err := os.Stat(path)
	var bad *fs.PathError
	if errors.As(err, &bad) {
		bad.Op = "open"
	}
	if err != nil {
		return err
	}
	return check(path, info)
}

func check(path string, info os.FileInfo) error {
	switch {
	case info.IsDir():
		return fmt.Errorf("%s: want a file, got a folder", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: want a regular file, got a pipe, socket or device", path)
	}
	return nil
}

// Read returns what is in the regular file at path. More than limit bytes are an
// error, and are not read.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: want a file of at most %d MiB, got a larger one", path, limit>>20)
	}
	return data, nil
}
