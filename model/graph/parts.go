package graph

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// parts are a model's bytes: its graph, and what stands around it.
type parts struct {
	model                *Model
	before, graph, after []byte
	opset                uint64
}

func split(data []byte) (m parts, err error) {
	if m.model, err = Parse(data); err != nil { // its bounds hold for what follows
		return m, err
	}
	for rest := data; len(rest) > 0; {
		f, more, err := nextField(rest)
		if err != nil {
			return m, err
		}
		switch f.num {
		case 7: // graph
			m.graph, m.before, m.after = f.bytes, data[:len(data)-len(rest)], more
		case 8: // opset_import
			if m.opset, err = ownOpset(f.bytes, m.opset); err != nil {
				return m, err
			}
		}
		rest = more
	}
	return m, nil
}

// ownOpset returns the version of ONNX's own operators, where this
// OperatorSetIdProto is theirs, else what was known.
func ownOpset(b []byte, known uint64) (uint64, error) {
	domain, version := "", uint64(0)
	err := fields(b, func(num protowire.Number, b []byte, v uint64) error {
		switch num {
		case 1:
			domain = clip(b)
		case 2:
			version = v
		}
		return nil
	})
	if domain != "" && domain != "ai.onnx" {
		version = known
	}
	return version, err
}

// checkRewritten reads what was written, as ONNX Runtime will.
func checkRewritten(data []byte, locations map[string]string) error {
	m, err := Parse(data)
	if err != nil || locations == nil {
		return err
	}
	renamed := map[string]bool{}
	for _, to := range locations {
		renamed[to] = true
	}
	for _, ext := range m.External {
		if !renamed[ext.Location] {
			return fmt.Errorf("want external data in initializers of the graph itself, got %q elsewhere", ext.Location)
		}
	}
	return nil
}

// assemble puts the model together: its fields around the graph as they were.
func (w *rewriter) assemble(m parts) ([]byte, error) {
	size := 0
	for _, p := range w.parts {
		size += len(p)
	}
	if total := len(m.before) + size + len(m.after); total > maxFile-64 {
		return nil, errors.New("want a model below 2 GiB with the nodes that are added, got more")
	}
	out := make([]byte, 0, len(m.before)+size+len(m.after)+16)
	out = append(out, m.before...)
	out = protowire.AppendTag(out, 7, protowire.BytesType)
	out = protowire.AppendVarint(out, uint64(size))
	for _, p := range w.parts {
		out = append(out, p...)
	}
	return append(out, m.after...), nil
}
