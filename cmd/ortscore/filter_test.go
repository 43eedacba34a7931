package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// As a filter, the command answers each block of rows while its input stays open: one
// process serves a partition, whose rows come one after another.
func TestFilterAnswersEachBlock(t *testing.T) {
	needNative(t)
	command, err := exeInPath("ortscore")
	require.NoError(t, err)
	model, err := filepath.Abs(filepath.Join(root, "testdata", "tiny-gqa"))
	require.NoError(t, err)
	for _, scorer := range []string{"nll", "rank"} {
		cmd := exec.CommandContext(t.Context(), command, scorer, "--onnx", model, "--in", "-", "--out", "-")
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := make(chan string, 1000)
		go func() {
			defer close(lines)
			for s := bufio.NewScanner(out); s.Scan(); {
				lines <- s.Text()
			}
		}()
		row := 0
		for _, rows := range []int{128, 256, 30} {
			for k := range rows {
				_, err := fmt.Fprintf(in, `{"query": "who is %d", "answers": ["it"], "pos": ["the %d"], "neg": ["a river"]}`+"\n", row+k, k)
				require.NoError(t, err)
			}
			if rows == 30 {
				require.NoError(t, in.Close())
			}
			for range rows {
				select {
				case line := <-lines:
					require.Contains(t, line, fmt.Sprintf(`"who is %d"`, row))
				case <-time.After(time.Minute):
					t.Fatalf("%s: want row %d while the process is up, got none", scorer, row)
				}
				row++
			}
		}
		_, more := <-lines
		require.False(t, more)
		_, _ = io.Copy(io.Discard, out)
		require.NoError(t, cmd.Wait())
	}
}
