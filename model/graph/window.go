package graph

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// windowCache is the attribute of a GroupQueryAttention that wants a cache of its
// window's size, and throws out of it what leaves the window. It says nothing of
// which tokens are attended to; local_window_size does.
const windowCache = "sliding_window_cache"

// FullCache returns the bytes of the model at path with caches of the sequence's
// length in place of those of a window's: an empty one, as scoring feeds, would
// be too small for these, and rows could not be laid out by their own lengths.
// locations is as for Rewrite, which does the same.
func FullCache(path string, locations map[string]string) ([]byte, error) {
	data, unmap, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	defer unmap()
	m, err := split(data)
	if err != nil {
		return nil, err
	}
	g, err := readBody(m.graph)
	if err != nil {
		return nil, err
	}
	w := &rewriter{body: g, locations: locations}
	for _, f := range g.fields {
		if f.num != 5 || locations == nil {
			w.parts = append(w.parts, f.raw)
		} else if err := w.initializer(f); err != nil {
			return nil, err
		}
	}
	out, err := w.assemble(m)
	if err != nil {
		return nil, err
	}
	return out, checkRewritten(out, locations)
}

// fullCache returns a NodeProto without the attribute, in it and in its
// subgraphs, or nil where it has none.
func fullCache(node []byte) []byte {
	n, err := readOperator(node)
	if err != nil {
		return nil // it is refused where it is read
	}
	attention := n.op == "com.microsoft.GroupQueryAttention"
	return edit(node, 5, func(attribute []byte) (out []byte, keep bool) {
		if attention && attributeName(attribute) == windowCache {
			return nil, false
		}
		return editGraphs(attribute), true
	})
}

// editGraphs is fullCache for the subgraphs of an AttributeProto.
func editGraphs(attribute []byte) []byte {
	if !holdsGraph(attribute) {
		return nil
	}
	out, changed := attribute, false
	for _, num := range []protowire.Number{6, 11} { // g, graphs
		msg := edit(out, num, func(graph []byte) ([]byte, bool) {
			return edit(graph, 1, func(node []byte) ([]byte, bool) { return fullCache(node), true }), true
		})
		if msg != nil {
			out, changed = msg, true
		}
	}
	if !changed {
		return nil
	}
	return out
}

// edit returns a message with its fields num as change returns them: left out, or
// with other bytes where those are not nil. It returns nil where nothing changes.
func edit(msg []byte, num protowire.Number, change func([]byte) (out []byte, keep bool)) []byte {
	var out []byte
	changed := false
	for rest := msg; len(rest) > 0; {
		f, more, err := nextField(rest)
		if err != nil {
			return nil // Parse has read it
		}
		raw, own := f.raw, false
		if f.num == num {
			switch bytes, keep := change(f.bytes); {
			case !keep:
				raw, own = nil, true
			case bytes != nil:
				raw, own = appendMessage(nil, num, bytes), true
			}
		}
		if own && !changed { // a message without a change is not copied
			out, changed = append(out, msg[:len(msg)-len(rest)]...), true
		}
		if changed {
			out = append(out, raw...)
		}
		rest = more
	}
	return out
}
