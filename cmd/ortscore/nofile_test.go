package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Wherever a path is given, or a model's folder is read, a pipe, a device and a
// folder are refused by name. None is waited for or read without end.
func TestPathsThatAreNoFiles(t *testing.T) {
	needNative(t)
	command, err := exeInPath("ortscore")
	require.NoError(t, err)
	tiny, err := filepath.Abs(filepath.Join(root, "testdata", "tiny-gqa"))
	require.NoError(t, err)
	nll := func(args ...string) []string { return append([]string{"nll", "--onnx", "m", "in.jsonl"}, args...) }
	rank := func(args ...string) []string { return append([]string{"rank", "--onnx", "m", "in.jsonl"}, args...) }
	gpt := []string{"rank", "--model-type", "gpt", "--base-url", "http://127.0.0.1:9/v1", "--model", "x", "in.jsonl"}
	for _, c := range []struct {
		path string // what is no file
		args []string
	}{
		{"m/model.onnx", nll()},
		{"m/model.onnx.data", nll()},
		{"m/config.json", nll()},
		{"m/tokenizer.json", nll()},
		{"m/tokenizer_config.json", nll()},
		{"m/chat_template.jinja", nll()},
		{"m/generation_config.json", rank()},
		{"x.onnx", []string{"nll", "--onnx", "x.onnx", "--tokenizer", "m", "--max-length", "99", "in.jsonl"}},
		{"t.json", nll("--tokenizer", "t.json")},
		{"t.txt", nll("--template", "t.txt")},
		{"t.txt", rank("--prompt-template", "t.txt")},
		{"key", append(gpt, "--api-key-file", "key")},
		{"lib.so", nll("--ort-lib", "./lib.so")},
		{"in.jsonl", nll()},
		{"in.jsonl", rank()},
		{"in.jsonl", nll("--dry-run")},
		{"d/a/train.jsonl", []string{"rank", "--onnx", "m", "--dataset-path", "d", "--output-dir", "o"}},
	} {
		for _, kind := range []string{"pipe", "device", "folder"} {
			if kind == "folder" && slices.Contains([]string{"t.json", "lib.so", "x.onnx"}, c.path) {
				continue // which stands for the file in it
			}
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(filepath.Join(dir, "m"), os.DirFS(tiny)))
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "d", "a"), 0o755))
			for _, name := range []string{"in.jsonl", "d/a/train.jsonl"} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(`{"query": "q", "answers": ["a"], "pos": ["p"], "neg": ["n"]}`+"\n"), 0o644))
			}
			noFile(t, kind, filepath.Join(dir, c.path))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, command, c.args...)
			var stderr bytes.Buffer
			cmd.Dir, cmd.Stderr = dir, &stderr
			_ = cmd.Run()
			require.NoError(t, ctx.Err(), "%s %s %v", kind, c.path, c.args)
			want := exitUsage
			if strings.HasPrefix(c.path, "m/") || slices.Contains([]string{"x.onnx", "t.json", "lib.so"}, c.path) {
				want = exitModel
			}
			require.Equal(t, want, cmd.ProcessState.ExitCode(), "%s %s: %s", kind, c.path, &stderr)
			require.Contains(t, stderr.String(), filepath.Base(c.path), kind)
			require.Regexp(t, "^ortscore: (error|note): ", stderr.String())
			require.NotContains(t, stderr.String(), c.path+": "+c.path)
		}
	}
}

// noFile puts something at path that is no regular file.
func noFile(t *testing.T, kind, path string) {
	require.NoError(t, os.RemoveAll(path))
	switch kind {
	case "pipe":
		require.NoError(t, syscall.Mkfifo(path, 0o644))
	case "device":
		require.NoError(t, os.Symlink("/dev/zero", path))
	case "folder":
		require.NoError(t, os.MkdirAll(path, 0o755))
	}
}
