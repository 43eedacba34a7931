package graph

import (
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Form is what a graph is rewritten to give.
type Form int

// The forms. All run the head over chosen positions alone.
const (
	// Scoring gives the log-probabilities of K tokens at each position, and takes
	// rows that are trees where the graph allows it.
	Scoring Form = iota
	// ScoringPresent does so too, for CUDA, whose GroupQueryAttention writes the
	// keys and values of a prefill whether they are read or not: the operator's
	// outputs stay, and nothing reads them.
	ScoringPresent
	// Decoding gives the logits of all words at each position, and the cache.
	Decoding
	// DecodingTokens gives the logits and the log-probabilities of K tokens at each
	// position, and the cache.
	DecodingTokens
	// DecodingLikeliest does so too, and adds the likeliest token.
	DecodingLikeliest
)

// decodes reports whether a form keeps the cache.
func (f Form) decodes() bool { return f >= Decoding }

// Rewritten is a model whose graph has been rewritten.
type Rewritten struct {
	Data      []byte // of the model's file; external data stays where it is
	Positions string // an input, int64 [n]: row*T + position
	Targets   string // an input, int64 [n, K]: the tokens asked for; "" for the form that gives all
	// Output is, for each position, by the form:
	//
	//	Scoring, ScoringPresent  K log-probabilities, fp32
	//	Decoding                 V logits of the graph's own type
	//	DecodingTokens           K logits and K log-probabilities, fp32
	//	DecodingLikeliest        K+1 of either, the likeliest token's the last of each, and its id, fp32
	Output   string
	Uncached bool  // the inputs of the cache are gone
	Trees    Trees // of the scoring form; empty where rows are sequences
	Lengths  Lengths
}

// Rewrite rewrites the graph of the model file at path, whose convention is c.
// Before the lm_head, or before the last layer's last multiplies where these can
// do with it, the hidden states at the positions asked for are gathered, so that
// what follows runs over n positions in place of B*T:
//
//	hidden [B, T, H] -> [B*T, H] -> Gather(positions) -> [n, H] -> the head and its tail -> [n, V]
//	of K tokens: -> the log-softmax in fp32 at the targets -> [n, K]
//
// The scoring form does without the cache where the graph allows it, and gives
// out log-probabilities alone. Fields that are not understood are kept.
//
// locations names files of weights anew, by the location in the model; it must
// hold all of them, or be nil. An error says why the graph cannot be rewritten;
// it may still run as it is.
func Rewrite(path string, c *Convention, form Form, locations map[string]string) (*Rewritten, error) {
	data, unmap, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	defer unmap()
	return rewrite(data, c, form, locations)
}

func rewrite(data []byte, c *Convention, form Form, locations map[string]string) (*Rewritten, error) {
	m, err := split(data)
	if err != nil {
		return nil, err
	}
	if op := m.model.Batchwide.Quantizer; op != "" {
		return nil, fmt.Errorf("%s takes its scale over every position that it is given", op)
	}
	// GatherElements, and TopK as it is used here, are of version 11.
	if m.opset < 11 {
		return nil, fmt.Errorf("want opset 11 or later, got %d", m.opset)
	}
	g, err := readBody(m.graph)
	if err != nil {
		return nil, err
	}
	w, err := newRewriter(g, c, form, locations)
	if err != nil {
		return nil, err
	}
	if err := w.rewrite(); err != nil {
		return nil, err
	}
	w.out.Data, err = w.assemble(m)
	if err != nil {
		return nil, err
	}
	return w.out, checkRewritten(w.out.Data, locations)
}

// rewriter makes the new graph as a list of fields, old ones by reference.
type rewriter struct {
	*body
	conv      *Convention
	form      Form
	head      *head
	chosen    *chosen
	cut       *cacheCut
	trees     *trees    // nil where rows are sequences
	lengths   *counting // nil where the graph takes a mask
	bias      string    // of the trees, in the attention's type
	last      string    // the number of the last axis, once it is written
	locations map[string]string
	renamed   map[string]string // inputs of the head and its tail, and lengths
	gone      map[*operator]bool
	changed   map[string]bool // tensors whose value_info is out of date
	made      map[string]int  // numbers that fresh names were given, so that none is tried twice
	out       *Rewritten
	parts     [][]byte
	gathered  map[string]string // by the tensor over all positions
}

func newRewriter(g *body, c *Convention, form Form, locations map[string]string) (*rewriter, error) {
	w := &rewriter{body: g, conv: c, form: form, locations: locations, cut: &cacheCut{},
		renamed: map[string]string{}, gone: map[*operator]bool{}, changed: map[string]bool{}, made: map[string]int{}}
	var err error
	if w.head, err = g.findHead(c.Logits.Name); err != nil {
		return nil, err
	}
	if !form.decodes() {
		w.cut = g.cutCache(c)
	}
	w.out = &Rewritten{Positions: w.fresh("positions"), Uncached: len(w.cut.inputs) > 0}
	w.chosen = g.chooseEarly(w.head)
	w.gathered = map[string]string{}
	for n := range w.chosen.nodes {
		for _, name := range n.outputs {
			w.changed[name] = true
		}
	}
	if form == Scoring {
		w.trees = g.findTrees(c, w.cut)
	}
	w.lengths = g.findLengths(c)
	w.output()
	return w, nil
}

// fresh returns a name that the graph does not have.
func (w *rewriter) fresh(name string) string {
	name = "ortscore/" + name
	own := name
	for w.names[own] {
		w.made[name]++
		own = name + "_" + strconv.Itoa(w.made[name])
	}
	w.names[own] = true
	return own
}

// output follows the logits through the head and its tail, without the Reshape
// that would make three dimensions of two, to the tensor that is [n, V] in the end.
func (w *rewriter) output() {
	now := w.head.node.outputs[0]
	w.changed[now] = true
	for _, n := range w.head.tail {
		if n.op == "Reshape" {
			w.gone[n.operator] = true
			w.renamed[n.outputs[0]] = now
			continue
		}
		now = n.outputs[0]
		w.changed[now] = true
	}
	for name := range w.cut.outputs {
		w.changed[name] = true
	}
	w.out.Output = now
}

// rewrite goes through the graph's fields and adds what is new.
func (w *rewriter) rewrite() error {
	if w.trees != nil {
		w.treeInputs()
	}
	if w.lengths != nil {
		w.lengthInputs(w.lengths)
	}
	for i, f := range w.fields {
		if f.num == 1 {
			w.node(f, w.nodes[i])
			continue
		}
		if f.num == 5 && w.locations != nil {
			if err := w.initializer(f); err != nil {
				return err
			}
			continue
		}
		if keep, err := w.keeps(f); err != nil {
			return err
		} else if keep {
			w.parts = append(w.parts, f.raw)
		}
	}
	w.add(11, appendValueInfo(places(w.out.Positions, Int64)))
	switch w.form {
	case Decoding:
		w.add(12, appendValueInfo(places(w.out.Output, w.conv.Logits.Type, w.conv.Logits.Dims[2])))
	case DecodingTokens, DecodingLikeliest:
		w.chosenTokens()
	default:
		w.logProbs()
	}
	return nil
}

// add adds a field to the graph.
func (w *rewriter) add(num protowire.Number, msg []byte) {
	w.parts = append(w.parts, protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), msg))
}

// node writes a node, with what stands before it.
func (w *rewriter) node(f field, n *operator) {
	switch {
	case w.gone[n]:
	case w.chosen.nodes[n]:
		w.gather(n)
		w.add(1, n.with(renamed(n.inputs, w.gathered), len(n.outputs), ""))
	case w.cut.attention[n]:
		w.attention(n)
	case w.renames(n):
		w.add(1, n.with(renamed(n.inputs, w.renamed), len(n.outputs), ""))
	default:
		w.parts = append(w.parts, f.raw)
	}
}

// renamed returns names, those that have another now by that.
func renamed(names []string, now map[string]string) []string {
	out := slices.Clone(names)
	for i, name := range out {
		if to, ok := now[name]; ok {
			out[i] = to
		}
	}
	return out
}

// gather writes what picks the positions asked for out of the tensors that a node
// reads, where that has not been done.
func (w *rewriter) gather(n *operator) {
	for _, name := range n.inputs {
		if _, done := w.gathered[name]; !w.chosen.reads[name] || done {
			continue
		}
		rows := name
		if !w.head.flat {
			rows = w.fresh("flat")
			w.add(1, appendNode("Flatten", []string{name}, rows, setting{"axis", 2}))
		}
		w.gathered[name] = w.fresh("hidden")
		w.add(1, appendNode("Gather", []string{rows, w.out.Positions}, w.gathered[name], setting{"axis", 0}))
	}
}

func (w *rewriter) renames(n *operator) bool {
	for _, name := range n.inputs {
		if _, ok := w.renamed[name]; ok {
			return true
		}
	}
	return false
}

// keeps reports whether a field of the graph stays: not an input or output that
// goes, nor the shape of a tensor that changes.
func (w *rewriter) keeps(f field) (bool, error) {
	if f.num < 11 || f.num > 13 {
		return true, nil
	}
	name, err := nameOf(f.bytes)
	switch f.num {
	case 11: // input
		return !w.cut.inputs[name] && (w.lengths == nil || name != w.conv.AttentionMask), err
	case 12: // output
		if !w.form.decodes() && !w.cut.stays {
			return false, err
		}
		return name != w.conv.Logits.Name, err
	}
	return !w.changed[name], err
}

// initializer writes a weight, its file by its new name.
func (w *rewriter) initializer(f field) error {
	var out []byte
	for msg := f.bytes; len(msg) > 0; {
		part, rest, err := nextField(msg)
		if err != nil {
			return err
		}
		msg = rest
		if part.num == 13 { // external_data
			key, value, err := entry(part.bytes)
			if err != nil {
				return err
			}
			if to, ok := w.locations[value]; ok && key == "location" {
				pair := appendString(appendString(nil, 1, key), 2, to)
				out = protowire.AppendBytes(protowire.AppendTag(out, 13, protowire.BytesType), pair)
				continue
			}
		}
		out = append(out, part.raw...)
	}
	w.add(5, out)
	return nil
}
