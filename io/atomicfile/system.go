package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// system is what a File needs of the file system, so that tests can let each
// step fail.
type system interface {
	// create opens a new file for writing; a name that is taken is an error.
	create(name string) (handle, error)
	lstat(name string) (fs.FileInfo, error)
	link(from, to string) error
	rename(from, to string) error
	remove(name string) error
	syncDir(name string) error
}

// handle is an open file.
type handle interface {
	io.WriteCloser
	Sync() error
	Chmod(fs.FileMode) error
}

type osSystem struct{}

func (osSystem) create(name string) (handle, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

func (osSystem) lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }
func (osSystem) link(from, to string) error             { return os.Link(from, to) }
func (osSystem) rename(from, to string) error           { return os.Rename(from, to) }
func (osSystem) remove(name string) error               { return os.Remove(name) }

// syncDir makes the new name durable. File systems that cannot sync a folder
// say so; there is nothing more to do on them.
func (osSystem) syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = dir.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

// maxLinks is how many symbolic links are followed, as many as Linux does.
const maxLinks = 40

// followLinks gives the path that writing to path would write to. Unlike
// filepath.EvalSymlinks it also follows a link to a file that is not there yet.
func followLinks(path string) (string, error) {
	for range maxLinks {
		info, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return path, nil
		}
		to, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(to) {
			// No filepath.Join: it would take "..", after a linked folder, for
			// the folder that holds the link.
			dir, _ := filepath.Split(path)
			to = dir + to
		}
		path = to
	}
	return "", syscall.ELOOP
}
