package ort

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// LibraryEnv is the environment variable that names the library.
const LibraryEnv = "ORTSCORE_ORT_LIB"

// Place is one place where the ONNX Runtime library is looked for.
type Place struct {
	Source string // what made this a place to look at: "--ort-lib", LibraryEnv ...
	Path   string // a file, or a bare name for the loader's own search
}

// NotFoundError reports that no ONNX Runtime library could be loaded. It names
// every place and what was wrong there.
type NotFoundError struct {
	Places  []Place
	Reasons []error
}

func (e *NotFoundError) Error() string {
	var b strings.Builder
	b.WriteString("onnx runtime library not found; looked at")
	for i, p := range e.Places {
		fmt.Fprintf(&b, "\n  %s (%s): %v", p.Path, p.Source, e.Reasons[i])
	}
	return b.String()
}

func libraryName() string {
	if runtime.GOOS == "darwin" {
		return "libonnxruntime.dylib"
	}
	return "libonnxruntime.so"
}

// places lists where to look, in order: the flag, the environment, lib/ beside
// the executable, the loader's path. A named place is the only one: a library
// that somebody asked for is never replaced by another in silence.
func places(flag string) []Place {
	if flag != "" {
		return []Place{{"--ort-lib", libraryIn(flag)}}
	}
	if env := os.Getenv(LibraryEnv); env != "" {
		return []Place{{LibraryEnv, libraryIn(env)}}
	}
	var list []Place
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			exe = real
		}
		list = append(list, Place{"lib beside the executable", filepath.Join(filepath.Dir(exe), "lib", libraryName())})
	}
	return append(list, Place{"the loader's path", libraryName()})
}

// libraryIn lets a folder stand for the library in it.
func libraryIn(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return filepath.Join(path, libraryName())
	} else if err == nil {
		// A bare name would send the loader looking elsewhere.
		if abs, err := filepath.Abs(path); err == nil {
			return abs
		}
	}
	return path
}

// load tries the places in turn with open and returns the one that worked.
func load(list []Place, open func(path string) error) (Place, error) {
	failed := &NotFoundError{}
	for _, p := range list {
		err := tryOpen(p, open)
		if err == nil {
			return p, nil
		}
		failed.Places = append(failed.Places, p)
		failed.Reasons = append(failed.Reasons, err)
	}
	return Place{}, failed
}

func tryOpen(p Place, open func(path string) error) error {
	if strings.ContainsRune(p.Path, filepath.Separator) {
		info, err := os.Stat(p.Path)
		if errors.Is(err, os.ErrNotExist) {
			return errors.New("no such file")
		}
		// The loader would wait for a pipe.
		if err == nil && !info.Mode().IsRegular() {
			return errors.New("want a library, got no regular file")
		}
	}
	return open(p.Path)
}
