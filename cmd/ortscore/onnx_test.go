package main

import (
	"bytes"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/protowire"
)

// A writer of onnx.proto, a field at a time.

func protoText(num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, num, protowire.BytesType), s)
}

func protoNumber(num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), v)
}

func protoMessage(num protowire.Number, fields ...[]byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), bytes.Join(fields, nil))
}

// extendGraph adds fields to the graph of the model at path.
func extendGraph(path string, extra ...[]byte) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var out []byte
	for len(data) > 0 {
		num, typ, tag := protowire.ConsumeTag(data)
		n := protowire.ConsumeFieldValue(num, typ, data[tag:])
		if num == 7 { // graph
			graph, _ := protowire.ConsumeBytes(data[tag:])
			out = append(out, protoMessage(7, append([][]byte{graph}, extra...)...)...)
		} else {
			out = append(out, data[:tag+n]...)
		}
		data = data[tag+n:]
	}
	return os.WriteFile(path, out, 0o644)
}

// probabilities FILE OPERATOR
//
// puts a Softmax or LogSoftmax after the logits of a tiny model.onnx.
func endInProbabilities(ts *testscript.TestScript, _ bool, args []string) {
	editFile(ts, false, []string{args[0], "logits", "scores"})
	const floatType, words = 1, 512
	var shape []byte
	for range 2 {
		shape = append(shape, protoMessage(1, protoText(2, "n"))...)
	}
	shape = append(shape, protoMessage(1, protoNumber(1, words))...)
	ts.Check(extendGraph(ts.MkAbs(args[0]),
		protoMessage(1, protoText(1, "scores"), protoText(2, "logits"), protoText(4, args[1])),
		protoMessage(12, protoText(1, "logits"), protoMessage(2, protoMessage(1, protoNumber(1, floatType), protoMessage(2, shape))))))
}
