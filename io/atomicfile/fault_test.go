package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// faulty is the real file system with some operations failing.
type faulty struct {
	filesystem.OS
	fail map[string]error // by operation
}

func (s faulty) Open(name string, flag int) (filesystem.Handle, error) {
	if err := s.fail["create"]; err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	h, err := s.OS.Open(name, flag)
	return faultyHandle{h, s.fail}, err
}

func (s faulty) Link(from, to string) error {
	if err := s.fail["link"]; err != nil {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}
	return s.OS.Link(from, to)
}

func (s faulty) Rename(from, to string) error {
	if err := s.fail["rename"]; err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return s.OS.Rename(from, to)
}

func (s faulty) SyncDir(name string) error {
	if err := s.fail["syncDir"]; err != nil {
		return err
	}
	return s.OS.SyncDir(name)
}

type faultyHandle struct {
	filesystem.Handle
	fail map[string]error
}

func (h faultyHandle) Write(p []byte) (int, error) {
	if err := h.fail["write"]; err != nil {
		n, _ := h.Handle.Write(p[:len(p)/2]) // a full disk takes what fits
		return n, &fs.PathError{Op: "write", Path: "the temporary name", Err: err}
	}
	return h.Handle.Write(p)
}

func (h faultyHandle) Sync() error {
	if err := h.fail["sync"]; err != nil {
		return err
	}
	return h.Handle.Sync()
}

func (s faulty) Chmod(name string, m fs.FileMode) error {
	if err := s.fail["chmod"]; err != nil {
		return err
	}
	return s.OS.Chmod(name, m)
}

func (h faultyHandle) Close() error {
	err := h.Handle.Close()
	if h.fail["close"] != nil {
		return h.fail["close"]
	}
	return err
}

// Whatever step fails, the error names the path, the old file is untouched and
// no temporary file stays.
func TestFailingFileSystem(t *testing.T) {
	for op, c := range map[string]struct {
		err  error
		want string
	}{
		"create": {syscall.EROFS, "create: read-only file system"},
		"chmod":  {syscall.EPERM, "create: operation not permitted"},
		"write":  {syscall.ENOSPC, "write: no space left on device"},
		"sync":   {syscall.EIO, "sync: input/output error"},
		"close":  {syscall.EDQUOT, "close: disk quota exceeded"},
		"rename": {syscall.EACCES, "rename: permission denied"},
	} {
		t.Run(op, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "out.jsonl")
			require.NoError(t, os.WriteFile(path, []byte("old"), 0o666))
			err := writeOver(path, faulty{fail: map[string]error{op: c.err}})
			require.EqualError(t, err, path+": "+c.want)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, "old", content(t, path))
			require.Equal(t, []string{"out.jsonl"}, names(t, dir))
		})
	}
}

func writeOver(path string, sys filesystem.System) error {
	f, err := create(sys, path, true)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte("short, so that only Commit flushes it")); err != nil {
		return err
	}
	return f.Commit()
}

// A disk that is full while rows are still coming: Write says so, and a Commit
// that comes nevertheless does not publish the half file.
func TestWriteErrorSticks(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.jsonl")
	f, err := create(faulty{fail: map[string]error{"write": syscall.ENOSPC}}, path, false)
	require.NoError(t, err)
	_, err = f.Write([]byte(strings.Repeat("x", 2*bufferSize)))
	require.EqualError(t, err, path+": write: no space left on device")
	require.EqualError(t, f.Commit(), path+": write: no space left on device")
	require.NoError(t, f.Abort())
	require.Empty(t, names(t, dir))
}

func TestFileSystemWithoutHardLinks(t *testing.T) {
	sys := faulty{fail: map[string]error{"link": syscall.EPERM}}
	dir := t.TempDir()
	path := filepath.Join(dir, "out.jsonl")
	f, err := create(sys, path, false)
	require.NoError(t, err)
	write(t, f, "new")
	require.NoError(t, f.Commit())
	require.Equal(t, "new", content(t, path))

	path = filepath.Join(dir, "other.jsonl")
	f, err = create(sys, path, false)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte("theirs"), 0o666))
	require.ErrorIs(t, f.Commit(), fs.ErrExist)
	require.Equal(t, "theirs", content(t, path))
	require.Equal(t, []string{"other.jsonl", "out.jsonl"}, names(t, dir))

	sys.fail["rename"] = syscall.EIO
	path = filepath.Join(dir, "third.jsonl")
	f, err = create(sys, path, false)
	require.NoError(t, err)
	require.EqualError(t, f.Commit(), path+": rename: input/output error")
	require.Equal(t, []string{"other.jsonl", "out.jsonl"}, names(t, dir))
}

func TestFolderSyncErrorIsReported(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	f, err := create(faulty{fail: map[string]error{"syncDir": syscall.EIO}}, path, false)
	require.NoError(t, err)
	require.EqualError(t, f.Commit(), path+": sync folder: input/output error")
	require.FileExists(t, path)
}
