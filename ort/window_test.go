package ort

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// setting is an integer attribute that a test gives every GroupQueryAttention.
type setting struct {
	name  string
	value uint64
}

// withAttention writes tiny-gqa anew, its attention with further attributes, and
// returns the path.
func withAttention(t *testing.T, settings ...setting) string {
	t.Helper()
	var extra []byte
	for _, s := range settings {
		a := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), s.name)
		a = protowire.AppendVarint(protowire.AppendTag(a, 3, protowire.VarintType), s.value)
		a = protowire.AppendVarint(protowire.AppendTag(a, 20, protowire.VarintType), 2) // INT
		extra = protowire.AppendBytes(protowire.AppendTag(extra, 5, protowire.BytesType), a)
	}
	data, err := os.ReadFile(fixture("tiny-gqa"))
	require.NoError(t, err)
	attention := protowire.AppendString(protowire.AppendTag(nil, 4, protowire.BytesType), "GroupQueryAttention")
	out := rewriteField(data, 7, func(graph []byte) []byte {
		return rewriteField(graph, 1, func(node []byte) []byte {
			if !contains(node, attention) {
				return node
			}
			return append(node[:len(node):len(node)], extra...)
		})
	})
	path := filepath.Join(t.TempDir(), "model.onnx")
	require.NoError(t, os.WriteFile(path, out, 0o644))
	weights, err := os.ReadFile(fixture("tiny-gqa") + ".data")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".data", weights, 0o644))
	return path
}

// rewriteField changes the fields of one number in a protobuf message.
func rewriteField(msg []byte, want protowire.Number, change func([]byte) []byte) (out []byte) {
	for len(msg) > 0 {
		num, typ, tag := protowire.ConsumeTag(msg)
		n := protowire.ConsumeFieldValue(num, typ, msg[tag:])
		if num == want {
			value, _ := protowire.ConsumeBytes(msg[tag:])
			out = protowire.AppendBytes(append(out, msg[:tag]...), change(value))
		} else {
			out = append(out, msg[:tag+n]...)
		}
		msg = msg[tag+n:]
	}
	return out
}

// contains reports whether one of the message's fields is these bytes.
func contains(msg, field []byte) bool {
	for len(msg) > 0 {
		num, typ, tag := protowire.ConsumeTag(msg)
		n := tag + protowire.ConsumeFieldValue(num, typ, msg[tag:])
		if string(msg[:n]) == string(field) {
			return true
		}
		msg = msg[n:]
	}
	return false
}

// A graph whose cache is to be of the window's size (onnxruntime-genai's exports of
// Gemma 2, GPT-OSS and their like) scores and writes in every form as one whose
// cache is of the text's length. The window itself stays, and is well below the
// texts' lengths.
func TestCacheOfTheWindowsSize(t *testing.T) {
	needLibrary(t)
	plain := withAttention(t, setting{"local_window_size", 5})
	windowed := withAttention(t, setting{"local_window_size", 5}, setting{"sliding_window_cache", 1})
	seqs := someSequences(40, 500)
	var want []float32
	for _, c := range []struct {
		path string
		g    Graph
	}{{plain, FullGraph}, {windowed, FullGraph}, {plain, AutoGraph}, {windowed, AutoGraph}} {
		lm, err := Open(context.Background(), c.path, Options{Graph: c.g})
		require.NoError(t, err)
		require.Equal(t, c.g == FullGraph, lm.Info().Form == FullLogits)
		got := score(t, lm, model.Limits{Tokens: 512}, seqs)
		if want == nil {
			want = got
		}
		require.LessOrEqual(t, maxDiff(t, want, got), 1e-5, "%+v", c)
		require.NoError(t, lm.Reopen(context.Background()))
		require.Equal(t, got, score(t, lm, model.Limits{Tokens: 512}, seqs), "made anew")
		require.NoError(t, lm.Close())
	}
	whole := openFixture(t, "tiny-gqa", Options{})
	require.Greater(t, maxDiff(t, want, score(t, whole, model.Limits{Tokens: 512}, seqs)), 0.01, "the window matters")

	in := prompts(9)
	var texts [][]int32
	for _, path := range []string{plain, windowed} {
		for _, g := range []Graph{FullGraph, AutoGraph} {
			d, err := OpenDecoder(context.Background(), path, Options{Graph: g})
			require.NoError(t, err)
			require.Equal(t, CacheInPlace, d.Info().Cache)
			got := written(t, d, model.Limits{Rows: 3, Tokens: 40}, model.Sampling{}, in)
			if texts == nil {
				texts = got
			}
			require.Equal(t, texts, got)
			require.NoError(t, d.Close())
		}
	}
}

// A graph whose attention is told to look ahead is refused, in every form.
func TestAttentionThatLooksAhead(t *testing.T) {
	needLibrary(t)
	path := withAttention(t, setting{"causal", 0})
	for _, g := range []Graph{AutoGraph, FullGraph} {
		_, err := Open(context.Background(), path, Options{Graph: g})
		var leak *graph.NotCausalError
		require.ErrorAs(t, err, &leak)
		_, err = OpenDecoder(context.Background(), path, Options{Graph: g})
		require.ErrorAs(t, err, &leak)
	}
	lm, err := Open(context.Background(), path, Options{AllowLeak: true})
	require.NoError(t, err)
	require.NoError(t, lm.Close())
}
