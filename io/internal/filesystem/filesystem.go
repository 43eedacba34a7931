// Package filesystem is what the packages that make files need of the file
// system, behind an interface, so that tests can let each step fail.
package filesystem

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

// System is a file system. OS is the real one.
type System interface {
	// Open opens a file with the flags of os.OpenFile; a new one gets the mode
	// that any new file gets.
	Open(name string, flag int) (Handle, error)
	// Lock makes a lock of the file at name, not yet taken.
	Lock(name string) Lock
	Lstat(name string) (fs.FileInfo, error)
	ReadDir(name string) ([]fs.DirEntry, error)
	Link(from, to string) error
	Rename(from, to string) error
	Remove(name string) error
	Chmod(name string, mode fs.FileMode) error
	// SyncDir makes the names in a folder durable.
	SyncDir(name string) error
}

// Handle is an open file.
type Handle interface {
	io.ReadWriteSeeker
	io.Closer
	Stat() (fs.FileInfo, error)
	Truncate(size int64) error
	Sync() error
}

// Lock is a lock of a whole file that only one process has, and that ends with it.
type Lock interface {
	// TryLock says at once whether the lock is ours now.
	TryLock() (bool, error)
	// Stat tells of the locked file, whatever its name leads to now.
	Stat() (fs.FileInfo, error)
	Unlock() error
}

// OS is the file system of the operating system.
type OS struct{}

// Open opens a file; see System.
func (OS) Open(name string, flag int) (Handle, error) {
	f, err := os.OpenFile(name, flag, 0o666)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

// Lock makes a lock. It opens the file for writing too, which NFS wants.
func (OS) Lock(name string) Lock { return flock.New(name, flock.SetFlag(os.O_RDWR)) }

// Lstat tells of the file at name, or of the link there.
func (OS) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(name) }

// ReadDir lists a folder.
func (OS) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

// Link gives a file a second name; one that is taken is an error.
func (OS) Link(from, to string) error { return os.Link(from, to) }

// Rename gives a file another name, also one that is taken.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// Chmod sets the permissions of a file.
func (OS) Chmod(name string, mode fs.FileMode) error { return os.Chmod(name, mode) }

// SyncDir makes the names in a folder durable. File systems that cannot sync a
// folder say so; there is nothing more to do on them.
func (OS) SyncDir(name string) error {
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

// Folder is the folder of the file at path.
func Folder(path string) string {
	dir, _ := filepath.Split(path)
	if dir == "" {
		return "."
	}
	return dir
}

// Fail is err with the path that the caller knows in place of another.
func Fail(path, op string, err error) error {
	var atPath *fs.PathError
	var atLink *os.LinkError
	if errors.As(err, &atPath) {
		err = atPath.Err
	} else if errors.As(err, &atLink) {
		err = atLink.Err
	}
	return fmt.Errorf("%s: %s: %w", path, op, err)
}

// existsError says that there is a file where a new one was wanted.
type existsError struct{ path string }

func (e *existsError) Error() string {
	return e.path + ": want a new file, got one that exists"
}

// Is makes the error one of the fs.ErrExist family.
func (e *existsError) Is(target error) bool { return target == fs.ErrExist }

// Writable says whether a file can be made at target, or, with force, replaced:
// nil for nothing there, an error for which errors.Is(err, fs.ErrExist) holds for
// a file, and another for what is no regular file. The file there, if any, comes
// too. Messages name it path.
func Writable(sys System, path, target string, force bool) (old fs.FileInfo, err error) {
	old, err = sys.Lstat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, Fail(path, "create", err)
	case old.IsDir():
		return old, fmt.Errorf("%s: want a file, got a folder", path)
	case !old.Mode().IsRegular():
		// A rename would put a plain file in the place of /dev/null.
		return old, fmt.Errorf("%s: want a regular file, got a device, pipe or socket", path)
	case !force:
		return old, &existsError{path}
	}
	return old, nil
}

// Publish gives the file at from the name target. Without force it never
// replaces a file: link, unlike rename, fails on a name that is taken. The name
// from may stay beside it. Messages name it path.
func Publish(sys System, path, from, target string, force bool) error {
	if !force {
		err := sys.Link(from, target)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, fs.ErrExist):
			return &existsError{path}
		}
		// Not every file system has hard links. Looking first leaves a short race,
		// the best that rename alone can do.
		if _, err := sys.Lstat(target); err == nil {
			return &existsError{path}
		}
	}
	if err := sys.Rename(from, target); err != nil {
		return Fail(path, "rename", err)
	}
	return nil
}

// maxLinks is how many symbolic links are followed, as many as Linux does.
const maxLinks = 40

// FollowLinks gives the path that writing to path would write to. Unlike
// filepath.EvalSymlinks it also follows a link to a file that is not there yet.
func FollowLinks(path string) (string, error) {
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
