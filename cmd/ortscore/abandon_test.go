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
	"google.golang.org/protobuf/encoding/protowire"
)

// slowModel writes tiny-gqa with a second output, for which ONNX Runtime multiplies
// large matrices for minutes when it makes a session.
func slowModel(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(root, "testdata", "tiny-gqa"))))
	text := func(num protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), s)
	}
	add := func(graph []byte, num protowire.Number, parts ...[]byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(graph, num, protowire.BytesType), bytes.Join(parts, nil))
	}
	number := func(num protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
	}
	const int64Type, floatType, size = 7, 1, 3000
	extra := add(nil, 5, number(1, 2), number(2, int64Type), number(7, size), number(7, size), text(8, "slow.shape"))
	extra = add(extra, 1, text(1, "slow.shape"), text(2, "slow.0"), text(4, "ConstantOfShape"))
	last := "slow.0"
	for i := range 300 {
		next := "slow." + strings.Repeat("i", i+1)
		extra = add(extra, 1, text(1, last), text(1, "slow.0"), text(2, next), text(4, "MatMul"))
		last = next
	}
	extra = add(extra, 12, text(1, last), add(nil, 2, add(nil, 1, number(1, floatType))))

	path := filepath.Join(dir, "model.onnx")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	var out []byte
	for len(data) > 0 {
		num, typ, tag := protowire.ConsumeTag(data)
		n := protowire.ConsumeFieldValue(num, typ, data[tag:])
		if num == 7 { // graph
			graph, _ := protowire.ConsumeBytes(data[tag:])
			out = add(out, 7, graph, extra)
		} else {
			out = append(out, data[:tag+n]...)
		}
		data = data[tag+n:]
	}
	require.NoError(t, os.WriteFile(path, out, 0o644))
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
	require.Equal(t, "ortscore: error: interrupted; nothing was written for the file in work\n", stderr.String())
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
