package manifest_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/manifest"
)

const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2

func TestHash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(path, []byte("abc"), 0o666))
	n, got, err := manifest.Hash(t.Context(), path)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
	require.Equal(t, abc, got)

	_, _, err = manifest.Hash(t.Context(), dir)
	require.ErrorContains(t, err, "want a file, got a folder")
	_, _, err = manifest.Hash(t.Context(), filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o666))
	_, _, err = manifest.Hash(t.Context(), pipe)
	require.ErrorContains(t, err, "want a regular file")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = manifest.Hash(ctx, path)
	require.ErrorIs(t, err, context.Canceled)
}

func TestHashAll(t *testing.T) {
	dir := t.TempDir()
	var files []manifest.File
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("abc"), 0o666))
		files = append(files, manifest.File{Role: name, Path: path})
	}
	require.NoError(t, manifest.HashAll(t.Context(), files, ""))
	for i, f := range files {
		require.Equal(t, manifest.File{Role: string("abcdef"[i]), Path: filepath.Join(dir, string("abcdef"[i])), Bytes: 3, SHA256: abc}, f)
	}
	t.Chdir(dir)
	relative := manifest.File{Path: "a"}
	require.NoError(t, relative.Hash(t.Context(), ""))
	require.Equal(t, files[0].Path, relative.Path)

	require.NoError(t, os.Remove(files[3].Path))
	err := manifest.HashAll(t.Context(), files, "")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, files[3].Path)
}

// A large file (65 MiB, with no blocks on disk) whose time is long past.
func large(t *testing.T) (path string, cache manifest.Cache) {
	dir := t.TempDir()
	path = filepath.Join(dir, "model.onnx_data")
	require.NoError(t, os.WriteFile(path, []byte("abc"), 0o666))
	require.NoError(t, os.Truncate(path, 65<<20))
	return path, manifest.Cache(filepath.Join(dir, "cache", "sha256"))
}

func TestCache(t *testing.T) {
	t.Parallel()
	start := time.Now()
	path, cache := large(t)
	entries := func() int {
		found, err := os.ReadDir(string(cache))
		if err != nil {
			require.ErrorIs(t, err, os.ErrNotExist)
		}
		return len(found)
	}
	hash := func() string {
		n, got, err := cache.Hash(t.Context(), path)
		require.NoError(t, err)
		require.EqualValues(t, 65<<20, n)
		_, want, err := manifest.Hash(t.Context(), path)
		require.NoError(t, err)
		require.Equal(t, want, got)
		return got
	}
	before := hash()
	if time.Since(start) < 2*time.Second {
		require.Zero(t, entries(), "a file that has only just changed may change again within a tick")
	}

	time.Sleep(2100 * time.Millisecond)
	require.Equal(t, before, hash())
	require.Equal(t, 1, entries())

	// The sum comes from there now: another one in its place comes back.
	found, err := filepath.Glob(filepath.Join(string(cache), "*.json"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	text, err := os.ReadFile(found[0])
	require.NoError(t, err)
	forged := []byte(string(text[:len(text)-len(before)-2]) + abc + `"}`)
	require.NoError(t, os.WriteFile(found[0], forged, 0o666))
	_, got, err := cache.Hash(t.Context(), path)
	require.NoError(t, err)
	require.Equal(t, abc, got)

	// A damaged entry is none.
	require.NoError(t, os.WriteFile(found[0], []byte("{"), 0o666))
	require.Equal(t, before, hash())
	require.Equal(t, 1, entries())

	// Other bytes of the same size, with the old time put back: the time of the change
	// tells.
	info, err := os.Stat(path)
	require.NoError(t, err)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("d"), 60<<20)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	require.NotEqual(t, before, hash())
}

// What cannot be kept costs time, and is no error; nor is anything kept of small files.
func TestCacheThatCannotBe(t *testing.T) {
	t.Parallel()
	path, _ := large(t)
	small := filepath.Join(filepath.Dir(path), "small")
	require.NoError(t, os.WriteFile(small, []byte("abc"), 0o666))
	time.Sleep(2100 * time.Millisecond)
	for _, cache := range []manifest.Cache{"", manifest.Cache(small), "/proc/none"} {
		_, _, err := cache.Hash(t.Context(), path)
		require.NoError(t, err, string(cache))
	}
	cache := manifest.Cache(t.TempDir())
	_, got, err := cache.Hash(t.Context(), small)
	require.NoError(t, err)
	require.Equal(t, abc, got)
	found, err := os.ReadDir(string(cache))
	require.NoError(t, err)
	require.Empty(t, found)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err = cache.Hash(ctx, path)
	require.ErrorIs(t, err, context.Canceled)
}
