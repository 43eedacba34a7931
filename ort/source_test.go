package ort

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// link makes a link to a fixture's file, or to a path relative to the link.
func link(t *testing.T, to string, parts ...string) {
	t.Helper()
	at := filepath.Join(parts...)
	require.NoError(t, os.MkdirAll(filepath.Dir(at), 0o755))
	require.NoError(t, os.Symlink(to, at))
}

func copyFixture(t *testing.T, file, to string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "tiny-gqa", file))
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	require.NoError(t, os.WriteFile(to, data, 0o644))
}

// A graph that is rewritten finds its weights wherever one that is not does.
func TestWeightsOfARewrittenGraph(t *testing.T) {
	want := openFixture(t, "tiny-gqa", Options{Threads: 1})
	seqs := someSequences(5, want.Info().Vocab)
	scores := score(t, want, model.Limits{Tokens: 100}, seqs)
	const data = "model.onnx.data"
	for name, build := range map[string]func(dir string) (path string){
		"a folder that is a link": func(dir string) string {
			copyFixture(t, "model.onnx", filepath.Join(dir, "real", "model.onnx"))
			copyFixture(t, data, filepath.Join(dir, "real", data))
			link(t, "real", dir, "link")
			return filepath.Join(dir, "link", "model.onnx")
		},
		"the hugging face cache": func(dir string) string {
			copyFixture(t, "model.onnx", filepath.Join(dir, "blobs", "0a4e"))
			copyFixture(t, data, filepath.Join(dir, "blobs", "1b5f"))
			link(t, "../../blobs/0a4e", dir, "snapshots", "9f8e", "model.onnx")
			link(t, "../../blobs/1b5f", dir, "snapshots", "9f8e", data)
			return filepath.Join(dir, "snapshots", "9f8e", "model.onnx")
		},
		"weights that link to another name beside them": func(dir string) string {
			copyFixture(t, "model.onnx", filepath.Join(dir, "model.onnx"))
			copyFixture(t, data, filepath.Join(dir, "weights"))
			link(t, "weights", dir, data)
			return filepath.Join(dir, "model.onnx")
		},
		"a model that links, weights that lie there": func(dir string) string {
			copyFixture(t, "model.onnx", filepath.Join(dir, "elsewhere", "graph"))
			copyFixture(t, data, filepath.Join(dir, data))
			link(t, "elsewhere/graph", dir, "model.onnx")
			return filepath.Join(dir, "model.onnx")
		},
	} {
		lm, err := Open(context.Background(), build(t.TempDir()), Options{Threads: 1})
		require.NoError(t, err, name)
		require.Equal(t, LogProbs, lm.Info().Form, name)
		require.Empty(t, lm.Info().Notes, name)
		require.Equal(t, scores, score(t, lm, model.Limits{Tokens: 100}, seqs), name)
		require.NoError(t, lm.Close())
	}

	// Weights outside are refused for both, in the words of ONNX Runtime.
	dir := t.TempDir()
	copyFixture(t, "model.onnx", filepath.Join(dir, "model", "model.onnx"))
	copyFixture(t, data, filepath.Join(dir, "outside.data"))
	link(t, "../outside.data", dir, "model", data)
	_, err := Open(context.Background(), filepath.Join(dir, "model", "model.onnx"), Options{})
	require.ErrorContains(t, err, "External data path escapes model directory")
}
