package durable

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// small mounts a file system of 2 MB.
func small(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	return dir
}

// fill writes blocks of one row until something fails.
func fill(o *Output, rows int, line string) error {
	from := 0
	if last := o.Last(); last != nil {
		from = last.Rows
	}
	for row := from; row < rows; row++ {
		if len(o.Kept()[row]) == 0 {
			if err := o.Keep(row, strings.Repeat("a", row%500)); err != nil {
				return err
			}
		}
		if err := o.Write(fmt.Appendf(nil, "%d %s", row, line)); err != nil {
			return err
		}
		if err := o.EndBlock(row+1, row); err != nil {
			return err
		}
	}
	return o.Finish(nil)
}

// TestFullDisk writes to a file system of 2 MB until it is full, makes room and
// goes on, with less and less room to begin with, so that it is full at another
// place each time.
func TestFullDisk(t *testing.T) {
	const rows = 300
	text := noise(8000)
	dir, whole := small(t), t.TempDir()
	for _, ext := range extensions {
		opts := Options{Path: filepath.Join(whole, "out"+ext)}
		o, err := open(sound(), opts, 0)
		require.NoError(t, err)
		require.NoError(t, fill(o, rows, text))
		want := contents(t, whole)["out"+ext]
		for taken := range 12 {
			full := filepath.Join(dir, "filler")
			require.NoError(t, os.WriteFile(full, make([]byte, 200_000+taken*1500), 0o666))
			opts.Path = filepath.Join(dir, "out"+ext)
			interval := time.Duration(taken%2) * time.Millisecond
			requireFull(t, opts, interval, rows, text)
			require.NoError(t, os.Remove(full))
			require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"))
			o, err := Open(opts)
			require.NoError(t, err)
			if interval == 0 {
				require.Greater(t, o.Last().Rows, rows/2, "what was committed is there")
			}
			require.NoError(t, fill(o, rows, text))
			require.NoError(t, o.Close())
			require.Equal(t, want, contents(t, dir)["out"+ext])
			require.Equal(t, []string{"out" + ext}, names(t, dir))
			require.NoError(t, os.Remove(opts.Path))
			require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=2m"))
		}
	}
}

// requireFull runs until the disk is full, and again: it is full still.
func requireFull(t *testing.T, opts Options, interval time.Duration, rows int, text string) {
	t.Helper()
	o, err := open(filesystem.OS{}, opts, interval)
	require.NoError(t, err)
	err = fill(o, rows, text)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Regexp(t, `out\.jsonl[.a-z]*: write: no space left on device$`, err.Error())
	require.EqualError(t, o.Close(), err.Error())
	if o, err := open(filesystem.OS{}, opts, interval); err == nil {
		err = fill(o, rows, text)
		require.ErrorIs(t, err, syscall.ENOSPC)
		_ = o.Close()
	} else {
		require.ErrorIs(t, err, syscall.ENOSPC)
	}
}

// noise is a text that no packer makes much smaller.
func noise(length int) string {
	text := make([]byte, length)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range text {
		text[i] = byte(' ' + random.IntN('~'-' '))
	}
	return string(text)
}

// TestNothingFits opens an output where there is no room at all.
func TestNothingFits(t *testing.T) {
	dir := small(t)
	require.ErrorIs(t, os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 4<<20), 0o666), syscall.ENOSPC)
	_, err := Open(options(filepath.Join(dir, "out.jsonl")))
	require.EqualError(t, err, filepath.Join(dir, "out.jsonl.journal")+": write: no space left on device")
	require.Equal(t, []string{"filler"}, names(t, dir))
}

// TestReadOnly opens an output, new or unfinished, where nothing can be written.
func TestReadOnly(t *testing.T) {
	dir := small(t)
	path := filepath.Join(dir, "out.jsonl")
	for range 2 {
		require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		_, err := Open(options(path))
		require.EqualError(t, err, path+": create: read-only file system")
		require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, ""))
		begun(t, options(path))
	}
}

// TestFullDevice finds /dev/full where its files should be.
func TestFullDevice(t *testing.T) {
	t.Chdir(t.TempDir())
	for link, want := range map[string]string{
		"out.jsonl":                        "out.jsonl",
		"out.jsonl.rejected.jsonl":         "out.jsonl.rejected.jsonl",
		"out.jsonl.manifest.json":          "out.jsonl.manifest.json",
		"out.jsonl.journal":                "out.jsonl.journal",
		"out.jsonl.partial":                "out.jsonl.partial",
		"out.jsonl.rejected.jsonl.partial": "out.jsonl.rejected.jsonl.partial",
	} {
		require.NoError(t, os.Symlink("/dev/full", link))
		opts := options("out.jsonl")
		opts.Force = true
		_, err := Open(opts)
		require.EqualError(t, err, want+": want a regular file, got a device, pipe or socket")
		require.Equal(t, []string{link}, names(t, "."))
		require.NoError(t, os.Remove(link))
	}
}
