package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// names lists a folder, temporary files included.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func write(t *testing.T, f *File, text string) {
	t.Helper()
	n, err := f.Write([]byte(text))
	require.NoError(t, err)
	require.Equal(t, len(text), n)
}

func TestCommitMakesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.jsonl")
	f, err := Create(path, false)
	require.NoError(t, err)
	write(t, f, "hello ")
	write(t, f, "world")
	require.NoFileExists(t, path, "nothing under the final name before Commit")
	require.Len(t, names(t, dir), 1)
	require.Regexp(t, `^\.out\.jsonl\.tmp-[0-9a-f]{8}$`, names(t, dir)[0])

	require.NoError(t, f.Commit())
	require.NoError(t, f.Abort(), "Abort after Commit does nothing")
	require.Equal(t, "hello world", content(t, path))
	require.Equal(t, []string{"out.jsonl"}, names(t, dir))
	require.ErrorIs(t, f.Commit(), fs.ErrClosed)
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "out.jsonl"), false)
	require.NoError(t, err)
	write(t, f, "half")
	require.NoError(t, f.Abort())
	require.NoError(t, f.Abort())
	require.Empty(t, names(t, dir))
	require.ErrorIs(t, f.Commit(), fs.ErrClosed)
}

// A process that ends without aborting leaves nothing either, and what was
// committed stays.
func TestRemoveAll(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"committed", "aborted"} {
		f, err := Create(at(name), false)
		require.NoError(t, err)
		write(t, f, "text")
		if name == "aborted" {
			require.NoError(t, f.Abort())
		} else {
			require.NoError(t, f.Commit())
		}
	}
	for _, name := range []string{"one", "two"} {
		f, err := Create(at(name), false)
		require.NoError(t, err)
		write(t, f, "text")
		defer f.Abort()
	}
	require.Len(t, names(t, dir), 3)
	RemoveAll()
	require.Equal(t, []string{"committed"}, names(t, dir))
}

func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	f, err := Create("out.jsonl", false)
	require.NoError(t, err)
	write(t, f, "x")
	require.NoError(t, f.Commit())
	require.Equal(t, []string{"out.jsonl"}, names(t, "."))
}

func TestExistingFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o640))
	require.NoError(t, os.Chmod(path, 0o640)) // whatever the umask is

	_, err := Create(path, false)
	require.EqualError(t, err, path+": want a new file, got one that exists")
	require.ErrorIs(t, err, fs.ErrExist)

	f, err := Create(path, true)
	require.NoError(t, err)
	write(t, f, "new")
	require.Equal(t, "old", content(t, path))
	require.NoError(t, f.Commit())
	require.Equal(t, "new", content(t, path))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode(), "the old file's mode")
}

func TestNewFileHasTheUsualMode(t *testing.T) {
	dir := t.TempDir()
	usual, err := os.OpenFile(filepath.Join(dir, "usual"), os.O_CREATE|os.O_WRONLY, 0o666)
	require.NoError(t, err)
	require.NoError(t, usual.Close())
	f, err := Create(filepath.Join(dir, "ours"), false)
	require.NoError(t, err)
	require.NoError(t, f.Commit())
	want, err := os.Stat(filepath.Join(dir, "usual"))
	require.NoError(t, err)
	got, err := os.Stat(filepath.Join(dir, "ours"))
	require.NoError(t, err)
	require.Equal(t, want.Mode(), got.Mode())
}

func TestFileThatAppearsMeanwhile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.jsonl")
	f, err := Create(path, false)
	require.NoError(t, err)
	write(t, f, "ours")
	require.NoError(t, os.WriteFile(path, []byte("theirs"), 0o600))
	err = f.Commit()
	require.EqualError(t, err, path+": want a new file, got one that exists")
	require.ErrorIs(t, err, fs.ErrExist)
	require.Equal(t, "theirs", content(t, path))
	require.Equal(t, []string{"out.jsonl"}, names(t, dir))
}

func TestSymbolicLinks(t *testing.T) {
	for _, c := range []struct {
		name  string
		exist bool
	}{{"to a file", true}, {"to nothing yet", false}} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "real"), 0o777))
			target := filepath.Join(dir, "real", "data.jsonl")
			link := filepath.Join(dir, "link.jsonl")
			if c.exist {
				require.NoError(t, os.WriteFile(target, []byte("old"), 0o666))
			}
			require.NoError(t, os.Symlink("real/data.jsonl", link))
			f, err := Create(link, c.exist)
			require.NoError(t, err)
			write(t, f, "new")
			require.Equal(t, []string{"link.jsonl", "real"}, names(t, dir), "the temporary file is in the target's folder")
			require.NoError(t, f.Commit())
			to, err := os.Readlink(link)
			require.NoError(t, err, "the link stays a link")
			require.Equal(t, "real/data.jsonl", to)
			require.Equal(t, "new", content(t, target))
			require.Equal(t, []string{"data.jsonl"}, names(t, filepath.Join(dir, "real")))
		})
	}
}

func TestPathsThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666))
	for path, want := range map[string]string{
		dir:                              "want a file, got a folder",
		filepath.Join(dir, "pipe"):       "want a regular file, got a device, pipe or socket",
		filepath.Join(dir, "loop"):       "create: too many levels of symbolic links",
		filepath.Join(dir, "no", "file"): "create: no such file or directory",
	} {
		_, err := Create(path, true)
		require.EqualError(t, err, path+": "+want)
	}
	require.Equal(t, []string{"loop", "pipe"}, names(t, dir))
}

// What killed processes have left is removed, and nothing else.
func TestRemoveOld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out.jsonl")
	live, err := Create(path, false)
	require.NoError(t, err)
	defer live.Abort()
	keep := []string{"out.jsonl.tmp-01234567", ".out.jsonl.tmp-0123456", ".out.jsonl.tmp-0123456g", ".out.jsonl.gz.tmp-01234567", ".out.jsonl.tmp-01234567.x", ".a.out.jsonl.tmp-01234567"}
	for _, name := range append(keep, ".out.jsonl.tmp-01234567", ".out.jsonl.tmp-fedcba98") {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o666))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".out.jsonl.tmp-00000000"), 0o777))
	require.NoError(t, os.Symlink("out.jsonl", filepath.Join(dir, "link.jsonl")))
	require.Equal(t, []string{filepath.Join(dir, ".out.jsonl.tmp-01234567"), filepath.Join(dir, ".out.jsonl.tmp-fedcba98")}, RemoveOld(filepath.Join(dir, "link.jsonl")))
	require.Empty(t, RemoveOld(path))
	for _, name := range keep {
		require.FileExists(t, filepath.Join(dir, name))
	}
	require.NoError(t, live.Commit())
	require.Empty(t, RemoveOld(filepath.Join(dir, "none", "out.jsonl")))

	t.Chdir(dir)
	require.NoError(t, os.WriteFile(".out.jsonl.tmp-01234567", nil, 0o666))
	require.Equal(t, []string{".out.jsonl.tmp-01234567"}, RemoveOld("out.jsonl"))
}
