package graph

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func intAttribute(name string, v int64) []byte { return msg(str(1, name), number(3, v), number(20, 2)) }

// attentionNode is a GroupQueryAttention, for a graph or a subgraph.
func attentionNode(attributes ...[]byte) []byte {
	return inDomain(node("GroupQueryAttention", attributes...), "com.microsoft")
}

func TestFullCache(t *testing.T) {
	window, heads := intAttribute("local_window_size", 32), intAttribute("num_heads", 4)
	cache := intAttribute(windowCache, 1)
	inside := func(body []byte) []byte { return node("If", intAttribute("x", 1), bytesField(6, body), heads) }
	message := func(field []byte) []byte { f, _, err := nextField(field); require.NoError(t, err); return f.bytes }
	for _, c := range []struct {
		name      string
		got, want []byte // nodes; no want where nothing is to change
	}{
		{"in the middle", attentionNode(heads, cache, window), attentionNode(heads, window)},
		{"alone", attentionNode(cache), attentionNode()},
		{"none", attentionNode(heads, window), nil},
		{"another operator's", node("Other", cache), nil},
		{"in a subgraph", inside(msg(node("Add"), attentionNode(cache, window))), inside(msg(node("Add"), attentionNode(window)))},
		{"two deep", inside(inside(attentionNode(cache))), inside(inside(attentionNode()))},
		{"none in a subgraph", inside(attentionNode(window)), nil},
	} {
		got := fullCache(message(c.got))
		if c.want == nil {
			require.Nil(t, got, c.name)
			continue
		}
		require.Equal(t, message(c.want), got, c.name)
		m, err := Parse(onnxModel(logits(), c.got))
		require.NoError(t, err)
		require.True(t, m.WindowCache, c.name)
	}
}
