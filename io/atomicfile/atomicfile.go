// Package atomicfile writes a file that is either whole or not there: the
// bytes go to a temporary file in the same folder, which takes the final name
// only once everything is on disk.
package atomicfile

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// bufferSize is the size of the write buffer: large enough that a system call
// is rare beside the work of making a line.
const bufferSize = 64 << 10

// File is a file being written. It is not safe for concurrent use.
//
// Every File must end in Commit or Abort; Abort after Commit does nothing, so
// that it can be deferred.
type File struct {
	path   string // as the caller spelled it, for messages
	target string // path with symbolic links followed
	temp   string
	force  bool
	done   bool
	sys    filesystem.System
	file   filesystem.Handle
	buf    *bufio.Writer
}

// temporary holds the names of the files that are neither committed nor aborted.
var temporary sync.Map

// RemoveAll removes the temporary files of all that is being written, for a
// process that ends without aborting them.
func RemoveAll() {
	temporary.Range(func(name, _ any) bool {
		_ = os.Remove(name.(string))
		return true
	})
}

// oldTemp is the end of a temporary file's name.
var oldTemp = regexp.MustCompile(`^\.tmp-[0-9a-f]{8}$`)

// RemoveOld removes the temporary files of path that processes have left behind which were
// killed, and returns their names. Whoever is writing to path now, in another process,
// fails at Commit.
func RemoveOld(path string) (removed []string) {
	target, err := filesystem.FollowLinks(path)
	if err != nil {
		return nil
	}
	dir, base := filepath.Split(target)
	entries, _ := os.ReadDir(cmp.Or(dir, ".")) // a folder that cannot be read may be written to
	for _, e := range entries {
		end, ours := strings.CutPrefix(e.Name(), "."+base)
		name := dir + e.Name()
		_, live := temporary.Load(name)
		if ours && !live && oldTemp.MatchString(end) && e.Type().IsRegular() && os.Remove(name) == nil {
			removed = append(removed, name)
		}
	}
	return removed
}

// Create starts a file that Commit will put at path. Nothing is visible under
// that name before.
//
// Without force, a file that exists at path is an error for which
// errors.Is(err, fs.ErrExist) holds, here and, for a file that appears
// meanwhile, in Commit. With force the file is replaced and the new one takes
// over its permissions. Where path is a symbolic link, the file it points to is
// written and the link stays.
func Create(path string, force bool) (*File, error) {
	return create(filesystem.OS{}, path, force)
}

func create(sys filesystem.System, path string, force bool) (*File, error) {
	f := &File{path: path, force: force, sys: sys}
	var err error
	if f.target, err = filesystem.FollowLinks(path); err != nil {
		return nil, f.fail("create", err)
	}
	old, err := filesystem.Writable(sys, path, f.target, force)
	if err != nil {
		return nil, err
	}
	if err := f.openTemp(); err != nil {
		return nil, f.fail("create", err)
	}
	if old != nil {
		if err := sys.Chmod(f.temp, old.Mode().Perm()); err != nil {
			f.discard()
			return nil, f.fail("create", err)
		}
	}
	f.buf = bufio.NewWriterSize(f.file, bufferSize)
	return f, nil
}

// openTemp opens a file of a new name beside the target. os.CreateTemp would
// make it private (0600); a result file gets the mode any new file gets.
func (f *File) openTemp() error {
	dir, base := filepath.Split(f.target)
	for try := 0; ; try++ {
		f.temp = fmt.Sprintf("%s.%s.tmp-%08x", dir, base, rand.Uint32())
		var err error
		f.file, err = f.sys.Open(f.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if err == nil {
			temporary.Store(f.temp, true)
		}
		if err == nil || try == 100 || !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

// Write adds p to the file. After an error the file can only be aborted:
// Commit repeats the error.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.buf.Write(p)
	if err != nil {
		return n, f.fail("write", err)
	}
	return n, nil
}

// Commit puts the file, whole and synced, at its path. On error the temporary
// file is gone and what stood at the path is untouched; the one exception is a
// failed sync of the folder, after which the file is in place but might not
// survive a power cut.
func (f *File) Commit() error {
	if f.done {
		return f.fail("commit", fs.ErrClosed)
	}
	f.done = true
	defer temporary.Delete(f.temp)
	if err := f.finish(); err != nil {
		f.discard()
		return err
	}
	if err := f.sys.SyncDir(filesystem.Folder(f.target)); err != nil {
		return f.fail("sync folder", err)
	}
	return nil
}

// finish brings everything to disk and gives it the final name.
func (f *File) finish() error {
	if err := f.buf.Flush(); err != nil {
		return f.fail("write", err)
	}
	if err := f.file.Sync(); err != nil {
		return f.fail("sync", err)
	}
	if err := f.file.Close(); err != nil {
		return f.fail("close", err)
	}
	if err := filesystem.Publish(f.sys, f.path, f.temp, f.target, f.force); err != nil {
		return err
	}
	// The file is in place; a second name left behind would do no harm.
	_ = f.sys.Remove(f.temp)
	return nil
}

// Abort throws the file away. After Commit or another Abort it does nothing.
func (f *File) Abort() error {
	if f.done {
		return nil
	}
	f.done = true
	if err := f.discard(); err != nil {
		return f.fail("remove the temporary file", err)
	}
	return nil
}

func (f *File) discard() error {
	defer temporary.Delete(f.temp)
	_ = f.file.Close() // may be closed already; nothing in it is wanted
	return f.sys.Remove(f.temp)
}

// fail names the path the caller knows in place of the temporary one.
func (f *File) fail(op string, err error) error { return filesystem.Fail(f.path, op, err) }
