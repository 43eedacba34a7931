package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// operation is something that a program asks of the file system.
type operation struct {
	name string // "write", "rename"
	file string // the base name of the file
}

// faulty is the real file system, which notes each operation and lets one fail.
// As a test's disk need not survive anything, it does not sync.
type faulty struct {
	filesystem.OS
	at    int   // the operation that fails, counted from 0; -1 is none
	err   error // its error; nil is the usual one of such an operation
	after bool  // all later ones fail too: the process has died
	done  []operation
	held  int // files that are open and locks that are taken
}

func sound() *faulty { return &faulty{at: -1} }

// fails notes an operation and gives its error.
func (s *faulty) fails(name, path string) error {
	n := len(s.done)
	s.done = append(s.done, operation{name, filepath.Base(path)})
	if s.at >= 0 && (n == s.at || s.after && n > s.at) {
		err := s.err
		if err == nil {
			err = cause(name)
		}
		return &fs.PathError{Op: name, Path: path, Err: err}
	}
	return nil
}

// failed is the operation that failed.
func (s *faulty) failed() operation { return s.done[s.at] }

func (s *faulty) Open(name string, flag int) (filesystem.Handle, error) {
	op := "open"
	if flag&os.O_CREATE != 0 {
		op = "create"
	}
	if err := s.fails(op, name); err != nil {
		return nil, err
	}
	h, err := s.OS.Open(name, flag)
	if err != nil {
		return nil, err
	}
	s.held++
	return &faultyHandle{h, s, name}, nil
}

func (s *faulty) Lock(name string) filesystem.Lock { return &faultyLock{s.OS.Lock(name), s, name} }

func (s *faulty) Lstat(name string) (fs.FileInfo, error) {
	if err := s.fails("stat", name); err != nil {
		return nil, err
	}
	return s.OS.Lstat(name)
}

func (s *faulty) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := s.fails("list", "the folder"); err != nil {
		return nil, err
	}
	return s.OS.ReadDir(name)
}

func (s *faulty) Link(from, to string) error {
	if err := s.fails("link", to); err != nil {
		return err
	}
	return s.OS.Link(from, to)
}

func (s *faulty) Rename(from, to string) error {
	if err := s.fails("rename", to); err != nil {
		return err
	}
	return s.OS.Rename(from, to)
}

func (s *faulty) Remove(name string) error {
	if err := s.fails("remove", name); err != nil {
		return err
	}
	return s.OS.Remove(name)
}

func (s *faulty) SyncDir(name string) error { return s.fails("sync folder", "the folder") }

type faultyHandle struct {
	filesystem.Handle
	sys  *faulty
	name string
}

// Write writes half of what there is where it fails, as on a full disk.
func (h *faultyHandle) Write(p []byte) (int, error) {
	dead := h.sys.after && len(h.sys.done) > h.sys.at
	if err := h.sys.fails("write", h.name); err != nil {
		n := 0
		if !dead {
			n, _ = h.Handle.Write(p[:len(p)/2])
		}
		return n, err
	}
	return h.Handle.Write(p)
}

func (h *faultyHandle) Read(p []byte) (int, error) {
	if err := h.sys.fails("read", h.name); err != nil {
		return 0, err
	}
	return h.Handle.Read(p)
}

func (h *faultyHandle) Truncate(size int64) error {
	if err := h.sys.fails("truncate", h.name); err != nil {
		return err
	}
	return h.Handle.Truncate(size)
}

func (s *faulty) Chmod(name string, m fs.FileMode) error {
	if err := s.fails("chmod", name); err != nil {
		return err
	}
	return s.OS.Chmod(name, m)
}

func (h *faultyHandle) Sync() error { return h.sys.fails("sync", h.name) }

func (h *faultyHandle) Close() error {
	err := h.sys.fails("close", h.name)
	h.sys.held--
	if e := h.Handle.Close(); err == nil {
		err = e
	}
	return err
}

type faultyLock struct {
	filesystem.Lock
	sys  *faulty
	name string
}

func (l *faultyLock) TryLock() (bool, error) {
	if err := l.sys.fails("lock", l.name); err != nil {
		return false, err
	}
	ours, err := l.Lock.TryLock()
	if ours {
		l.sys.held++
	}
	return ours, err
}

func (l *faultyLock) Unlock() error {
	l.sys.held--
	return l.Lock.Unlock()
}

// cause is how each operation fails.
func cause(op string) error {
	switch op {
	case "write", "create":
		return syscall.ENOSPC
	case "close":
		return syscall.EDQUOT
	case "rename", "link", "remove", "chmod", "lock":
		return syscall.EACCES
	}
	return syscall.EIO
}
