package regular

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(at("file"), []byte("0123456789"), 0o644))
	require.NoError(t, os.WriteFile(at("empty"), nil, 0o644))
	require.NoError(t, os.Symlink("file", at("link")))
	for name, want := range map[string]string{"file": "0123456789", "link": "0123456789", "empty": ""} {
		got, err := Read(at(name), 10)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}

	// A sparse file of 1 TiB is not read.
	require.NoError(t, os.WriteFile(at("large"), nil, 0o644))
	require.NoError(t, os.Truncate(at("large"), 1<<40))
	_, err := Read(at("large"), Small)
	require.EqualError(t, err, at("large")+": want a file of at most 16 MiB, got a larger one")
	_, err = Read(at("file"), 9)
	require.ErrorContains(t, err, "got a larger one")
	_, err = Read(at("none"), 9)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// None of these is waited for or read without end, whatever link leads there.
func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, syscall.Mkfifo(at("pipe"), 0o644))
	require.NoError(t, os.Symlink("/dev/zero", at("zero")))
	require.NoError(t, os.Symlink("pipe", at("link")))
	socket, err := net.Listen("unix", at("socket"))
	require.NoError(t, err)
	defer socket.Close()
	for name, want := range map[string]string{
		dir:          "want a file, got a folder",
		at("pipe"):   "want a regular file, got a pipe, socket or device",
		at("link"):   "want a regular file, got a pipe, socket or device",
		at("socket"): "want a regular file, got a pipe, socket or device",
		at("zero"):   "want a regular file, got a pipe, socket or device",
		"/dev/zero":  "want a regular file, got a pipe, socket or device",
	} {
		start := time.Now()
		_, err := Read(name, Small)
		require.EqualError(t, err, name+": "+want)
		require.Less(t, time.Since(start), 5*time.Second)
	}
}
