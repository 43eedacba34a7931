package graph

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// A fixture cut at any byte is an error, never a panic; but for a cut between
// two fields of the model after the graph, which leaves a whole model behind.
func TestParseCutAtEveryByte(t *testing.T) {
	for _, name := range []string{"tiny-gqa", "tiny-rawnames"} {
		data := readFixture(t, name)
		graphEnd := endOfGraph(t, data)
		whole, err := Parse(data)
		require.NoError(t, err)
		for n := range data {
			m, err := Parse(data[:n:n])
			if n < graphEnd {
				require.ErrorIs(t, err, errCut, "cut at %d", n)
			} else if err == nil {
				require.Equal(t, whole.Inputs, m.Inputs)
				require.Equal(t, whole.External, m.External)
			}
		}
	}
}

// endOfGraph returns the offset after the model's graph.
func endOfGraph(t *testing.T, data []byte) int {
	for at := 0; at < len(data); {
		num, typ, n := protowire.ConsumeTag(data[at:])
		require.Positive(t, n)
		at += n
		n = protowire.ConsumeFieldValue(num, typ, data[at:])
		require.Positive(t, n)
		at += n
		if num == 7 {
			return at
		}
	}
	t.Fatal("no graph")
	return 0
}

// One byte changed anywhere may give any answer but a panic or a hang.
func TestParseOneByteChanged(t *testing.T) {
	data := readFixture(t, "tiny-gqa")
	for i := range data {
		old := data[i]
		for _, b := range []byte{0, 0xff, old ^ 0x80, old ^ 1} {
			data[i] = b
			if m, err := Parse(data); err == nil {
				_, _ = Detect(m, nil)
			}
		}
		data[i] = old
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range fixtures {
		f.Add(readFixture(f, name))
	}
	f.Add(onnxModel(logits()))
	f.Add(onnxModel(nested(maxDepth), logits()))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		require.NotEmpty(t, m.Outputs)
		require.GreaterOrEqual(t, m.Params, int64(0))
		for _, tensors := range [][]Tensor{m.Inputs, m.Outputs} {
			for _, tensor := range tensors {
				require.Len(t, tensor.Symbols, len(tensor.Dims))
				require.LessOrEqual(t, len(tensor.Dims), maxRank)
			}
		}
		for _, ext := range m.External {
			require.GreaterOrEqual(t, ext.Size, int64(0))
		}
		_, _ = Detect(m, nil)
	})
}

// nested is a node with n subgraphs inside one another.
func nested(n int) []byte {
	inner := node("Identity")
	for range n {
		inner = node("If", bytesField(6, inner))
	}
	return inner
}

func TestParseHostile(t *testing.T) {
	huge := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.BytesType), 1<<62)
	many := make([]byte, 0, 4<<20)
	for range maxItems + 1 {
		many = append(many, 0x0a, 0) // an empty node
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, errCut.Error()},
		{"text", []byte("version https://git-lfs.github.com/spec/v1\n"), errCut.Error()},
		{"JSON", []byte(`{"model": 1}`), errCut.Error()},
		{"a length that is only claimed", huge, errCut.Error()},
		{"no graph", number(1, 10), errCut.Error()},
		{"two graphs", msg(onnxModel(logits()), onnxModel(logits())), errCut.Error()},
		{"no outputs", onnxModel(node("MatMul")), errCut.Error()},
		{"a number for a graph", number(7, 1), errCut.Error()},
		{"a field numbered 0", []byte{0x00, 0x00}, errCut.Error()},
		{"an end of group without a start", []byte{0x0c}, errCut.Error()},
		{"more nodes than any model", onnxModel(many, logits()), "want at most 1048576 nodes and tensors, got more"},
		{"a function of as many", msg(onnxModel(logits()), bytesField(25, manyNodes(maxItems+1))), "want at most 1048576 nodes and tensors, got more"},
		{"17 dimensions", onnxModel(output(value("x", Float32, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1))), "x: want at most 16 dimensions, got more"},
	} {
		m, err := Parse(c.data)
		require.EqualError(t, err, c.want, c.name)
		require.Nil(t, m)
	}
}

func manyNodes(n int) []byte { return []byte(strings.Repeat("\x3a\x00", n)) }

// Groups, long gone from protobuf, may nest: stepping over them must not eat
// the stack.
func TestParseNestedGroups(t *testing.T) {
	start, end := protowire.AppendTag(nil, 99, protowire.StartGroupType), protowire.AppendTag(nil, 99, protowire.EndGroupType)
	for _, depth := range []int{10, 1_000_000} {
		groups := []byte(strings.Repeat(string(start), depth) + strings.Repeat(string(end), depth))
		m, err := Parse(msg(groups, onnxModel(logits())))
		if depth == 10 {
			require.NoError(t, err)
			require.Len(t, m.Outputs, 1)
		} else {
			require.ErrorIs(t, err, errCut)
		}
	}
}
