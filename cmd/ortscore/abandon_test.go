package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// slowModel writes tiny-gqa with a second output, for which ONNX Runtime multiplies
// large matrices for minutes when it makes a session.
func slowModel(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(root, "testdata", "tiny-gqa"))))
	const int64Type, floatType, size = 7, 1, 3000
	extra := protoMessage(5, protoNumber(1, 2), protoNumber(2, int64Type), protoNumber(7, size), protoNumber(7, size), protoText(8, "slow.shape"))
	extra = append(extra, protoMessage(1, protoText(1, "slow.shape"), protoText(2, "slow.0"), protoText(4, "ConstantOfShape"))...)
	last := "slow.0"
	for i := range 300 {
		next := "slow." + strings.Repeat("i", i+1)
		extra = append(extra, protoMessage(1, protoText(1, last), protoText(1, "slow.0"), protoText(2, next), protoText(4, "MatMul"))...)
		last = next
	}
	extra = append(extra, protoMessage(12, protoText(1, last), protoMessage(2, protoMessage(1, protoNumber(1, floatType))))...)
	require.NoError(t, extendGraph(filepath.Join(dir, "model.onnx"), extra))
}

// Ctrl+C ends a run at once while ONNX Runtime makes a session, which nothing can
// call off.
func TestInterruptWhileAModelLoads(t *testing.T) {
	needNative(t)
	command, err := exeInPath("ortscore")
	require.NoError(t, err)
	dir := t.TempDir()
	slowModel(t, filepath.Join(dir, "m"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in.jsonl"), []byte(`{"query": "q", "answers": ["a"], "pos": ["p"], "neg": ["n"]}`+"\n"), 0o644))
	cmd := exec.Command(command, "nll", "--onnx", "m", "--graph", "full", "in.jsonl")
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	require.NoError(t, cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	time.Sleep(2 * time.Second)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT), &stderr)
	select {
	case <-done:
	case <-time.After(patience + 4*time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("want an end soon after the signal, got none")
	}
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode(), &stderr)
	require.Equal(t, "ortscore: error: interrupted; nothing was written\n", stderr.String())
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "m")}, left)
}
