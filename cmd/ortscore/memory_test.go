package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Ten times the rows must not take more memory: what is read is dropped once it
// is written.
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("scores 22,000 rows")
	}
	needNative(t)
	dir := t.TempDir()
	binary := filepath.Join(dir, "ortscore")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))

	few := peakMemory(t, binary, writeRows(t, dir, 2000))
	many := peakMemory(t, binary, writeRows(t, dir, 20000))
	t.Logf("peak memory: %d KiB for 2,000 rows, %d KiB for 20,000, ratio %.3f", few, many, float64(many)/float64(few))
	require.LessOrEqual(t, float64(many), 1.1*float64(few))
}

// writeRows writes n rows, each with words of its own.
func writeRows(t *testing.T, dir string, n int) string {
	path := filepath.Join(dir, fmt.Sprintf("rows%d.jsonl", n))
	f, err := os.Create(path)
	require.NoError(t, err)
	for i := range n {
		_, err := fmt.Fprintf(f, `{"query": "what is number %d", "answers": ["it is %d"], "pos": ["the number is %d, not %d"], "neg": ["no number at all here"]}`+"\n",
			i, i, i, i+1)
		require.NoError(t, err)
	}
	require.NoError(t, f.Close())
	return path
}

// peakMemory scores the file and returns the process's largest resident set, in
// KiB as Linux counts it.
func peakMemory(t *testing.T, binary, rows string) int64 {
	cmd := exec.Command(binary, "nll", "--onnx", filepath.Join("..", "..", "testdata", "tiny-gqa"), "--quiet", rows)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
}
