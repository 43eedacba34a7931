package hf

import (
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// redirectStderr makes file what the process, its C and Rust code included, writes
// errors to, until the function that it returns is called.
func redirectStderr(t *testing.T, file *os.File) (restore func()) {
	t.Helper()
	saved, err := unix.Dup(2)
	require.NoError(t, err)
	require.NoError(t, unix.Dup3(int(file.Fd()), 2, 0))
	return sync.OnceFunc(func() {
		_ = unix.Dup3(saved, 2, 0)
		_ = unix.Close(saved)
	})
}
