package ort

import (
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a provider does to the handlers is played by signal.Ignore, which
// changes the process's own disposition as well.
func TestSignalsArePutBack(t *testing.T) {
	require.False(t, ignored(t, syscall.SIGUSR1))
	restore := saveSignals()
	signal.Ignore(syscall.SIGUSR1)
	defer signal.Reset(syscall.SIGUSR1)
	require.True(t, ignored(t, syscall.SIGUSR1))
	restore()
	require.False(t, ignored(t, syscall.SIGUSR1))
}

// ignored asks the kernel whether the process ignores a signal.
func ignored(t *testing.T, s syscall.Signal) bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs /proc")
	}
	m := regexp.MustCompile(`SigIgn:\s*([0-9a-f]+)`).FindSubmatch(status)
	require.NotNil(t, m)
	mask, err := strconv.ParseUint(string(m[1]), 16, 64)
	require.NoError(t, err)
	return mask&(1<<(s-1)) != 0
}
