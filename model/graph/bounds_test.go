package graph

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// function is a FunctionProto; calls are the functions that its body calls.
func function(name string, body ...[]byte) []byte {
	return bytesField(25, msg(str(1, name), msg(body...), str(10, "own")))
}

// called is a node of a function's body, or of a graph as field 1.
func called(num protowire.Number, function string, attributes ...[]byte) []byte {
	out := msg(str(4, function), str(7, "own"))
	for _, a := range attributes {
		out = append(out, bytesField(5, a)...)
	}
	return bytesField(num, out)
}

// chain is n functions, each of which calls the next so many times.
func chain(n, times int) []byte {
	var out []byte
	for i := range n {
		out = append(out, function(fmt.Sprint("f", i), bytes.Repeat(called(7, fmt.Sprint("f", i+1)), times))...)
	}
	return append(out, function(fmt.Sprint("f", n), called(7, "Identity"))...)
}

// What is small in the file and large in ONNX Runtime is refused, at once.
func TestParseBombs(t *testing.T) {
	start := called(1, "f0")
	subgraph := func(inner []byte) []byte { return bytesField(6, inner) }
	var deep []byte // a function each, a subgraph in each
	for i := range maxDepth + 1 {
		deep = append(deep, function(fmt.Sprint("f", i), called(7, "If", subgraph(called(1, fmt.Sprint("f", i+1)))))...)
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"2^30 nodes", msg(onnxModel(start, logits()), chain(30, 2)), "want at most 65536 nodes with functions unfolded, got more"},
		{"2^60 nodes", msg(onnxModel(start, logits()), chain(60, 2)), "want at most 65536 nodes with functions unfolded, got more"},
		{"1000^10 nodes, functions first", msg(chain(10, 1000), onnxModel(start, logits())), "want at most 65536 nodes with functions unfolded, got more"},
		{"calls from the subgraphs", msg(onnxModel(node("If", subgraph(start)), logits()), chain(30, 2)), "want at most 65536 nodes with functions unfolded, got more"},
		{"a long chain", msg(onnxModel(start, logits()), chain(maxCalls+1, 1)), "want functions that call one another at most 64 deep, got more"},
		{"a very long chain", msg(onnxModel(start, logits()), chain(100_000, 1)), "want functions that call one another at most 64 deep, got more"},
		{"itself", msg(onnxModel(start, logits()), function("f0", called(7, "f0"))), `function "own.f0:": want one that does not call itself, got one that does`},
		{"one another", msg(onnxModel(start, logits()), function("f0", called(7, "f1")), function("f1", called(7, "f0"))), "want one that does not call itself, got one that does"},
		{"subgraphs of functions", msg(onnxModel(start, logits()), deep), "want subgraphs at most 8 deep with functions unfolded, got more"},
		{"many functions", msg(onnxModel(logits()), bytes.Repeat([]byte{0xca, 0x01, 0x00}, maxItems+1)), "want at most 1048576 nodes and tensors, got more"},
		{"many properties", msg(onnxModel(logits()), bytes.Repeat([]byte{0x72, 0x00}, maxMessages+1)), "want at most 8388608 messages and names, got more"},
		{"many shapes", onnxModel(logits(), bytes.Repeat([]byte{0x6a, 0x00}, maxMessages+1)), "want at most 8388608 messages and names, got more"},
		{"many names", onnxModel(logits(), bytesField(1, bytes.Repeat([]byte{0x0a, 0x00}, maxMessages+1))), "want at most 8388608 messages and names, got more"},
		{"many dimensions", onnxModel(logits(), bytesField(13, bytesField(2, bytesField(1, bytesField(2, bytes.Repeat([]byte{0x0a, 0x00}, maxMessages+1)))))),
			"want at most 8388608 messages and names, got more"},
		{"a sparse tensor", onnxModel(logits(), bytesField(15, packed(3, 1<<20, 1<<20))), "want sparse tensors of at most 268435456 numbers, got more"},
		{"a sparse tensor past 2^64", onnxModel(logits(), bytesField(15, packed(3, 1<<40, 1<<40))), "want sparse tensors of at most 268435456 numbers, got more"},
		{"many sparse tensors", onnxModel(logits(), bytes.Repeat(bytesField(15, packed(3, 1<<28)), 2)), "want sparse tensors of at most 268435456 numbers, got more"},
		{"types of types", onnxModel(logits(), bytesField(13, bytesField(2, types(200)))), "want messages at most 100 deep, got more"},
	} {
		begin := time.Now()
		_, err := Parse(c.data)
		require.ErrorContains(t, err, c.want, c.name)
		require.Less(t, time.Since(begin), 10*time.Second, c.name)
	}

	// What exporters write is well within the bounds.
	for _, data := range [][]byte{
		msg(onnxModel(start, logits()), chain(9, 3)),
		msg(onnxModel(start, logits()), chain(maxCalls-1, 1)),
		msg(onnxModel(called(1, "If", subgraph(called(1, "f0"))), logits()), chain(3, 3)),
		msg(onnxModel(logits()), chain(40, 2)), // which nothing calls
		onnxModel(logits(), bytesField(15, packed(3, 1<<20, 100))),
	} {
		_, err := Parse(data)
		require.NoError(t, err)
	}
}

// types is a TypeProto of sequences of sequences.
func types(n int) []byte {
	var out []byte
	for range n {
		out = bytesField(4, bytesField(1, out))
	}
	return out
}
