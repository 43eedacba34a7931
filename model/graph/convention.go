package graph

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
)

// Convention names the inputs and outputs of a decoder graph by the role they
// play. An empty name is a role that the graph does not have.
type Convention struct {
	Name          string // for a person to read: "gqa", "explicit" ...
	InputIDs      Tensor
	AttentionMask string
	PositionIDs   string
	Past          []Tensor // past key and value inputs, in the graph's order
	KeepLogits    Tensor   // scalar or [1]: how many positions keep logits, 0 for all
	UseCache      Tensor   // bool [1]: whether the past holds anything
	Logits        Tensor
	IntType       ElemType // of the mask and the positions
}

// Roles are the names that an io map may give to a graph's inputs and outputs.
const (
	roleInputIDs  = "input_ids"
	roleMask      = "attention_mask"
	rolePositions = "position_ids"
	roleLogits    = "logits"
)

var (
	pastPattern  = regexp.MustCompile(`(?i)(past|cache).*\d`)
	keepPattern  = regexp.MustCompile(`(?i)^(num_)?logits_to_keep$`)
	cachePattern = regexp.MustCompile(`(?i)^use_cache(_branch)?$`)
)

// Detect finds the roles of a decoder graph's inputs and outputs from their
// names, ranks and types. ioMap, from role to the graph's own name, settles what
// names alone cannot.
//
// Known are the graphs of onnxruntime-genai's model builder, of optimum, of
// transformers.js, and those of a plain torch.onnx export whose names are free.
func Detect(m *Model, ioMap map[string]string) (*Convention, error) {
	d := &detector{conv: &Convention{IntType: Int64}, byName: map[string]string{}}
	if err := d.useMap(m, ioMap); err != nil {
		return nil, err
	}
	var rest []Tensor
	for _, t := range m.Inputs {
		if !d.take(t) {
			rest = append(rest, t)
		}
	}
	if err := d.takeRest(rest); err != nil {
		return nil, err
	}
	if d.conv.InputIDs.Name == "" {
		return nil, fmt.Errorf("inputs: want one of token ids [batch, sequence], got %s", list(m.Inputs))
	}
	if err := d.logits(m); err != nil {
		return nil, err
	}
	d.conv.Name = d.conv.name(m)
	return d.conv, nil
}

type detector struct {
	conv   *Convention
	byName map[string]string // the graph's name to its role, from the io map
}

func (d *detector) useMap(m *Model, ioMap map[string]string) error {
	for role, name := range ioMap {
		switch role {
		case roleInputIDs, roleMask, rolePositions, roleLogits:
		default:
			return fmt.Errorf("io map: want input_ids, attention_mask, position_ids or logits, got %q", role)
		}
		tensors := m.Inputs
		if role == roleLogits {
			tensors = m.Outputs
		}
		if !contains(tensors, name) {
			return fmt.Errorf("io map: %s: want one of %s, got %q", role, list(tensors), name)
		}
		d.byName[name] = role
	}
	return nil
}

// take gives the tensor its role where its name tells it.
func (d *detector) take(t Tensor) bool {
	role := t.Name
	if mapped, ok := d.byName[t.Name]; ok {
		role = mapped
	}
	switch {
	case role == roleInputIDs:
		d.conv.InputIDs = t
	case role == roleMask:
		d.conv.AttentionMask, d.conv.IntType = t.Name, t.Type
	case role == rolePositions:
		d.conv.PositionIDs, d.conv.IntType = t.Name, t.Type
	case len(t.Dims) == 4 && t.Type.IsFloat() && pastPattern.MatchString(t.Name):
		d.conv.Past = append(d.conv.Past, t)
	case len(t.Dims) <= 1 && keepPattern.MatchString(t.Name):
		d.conv.KeepLogits = t
	case t.Type == Bool && cachePattern.MatchString(t.Name):
		d.conv.UseCache = t
	default:
		return false
	}
	return true
}

// takeRest settles the inputs whose names are not the usual ones: integers
// [batch, sequence] with a telling part in the name, and the only one left.
func (d *detector) takeRest(rest []Tensor) error {
	var unknown []Tensor
	for _, t := range rest {
		name := strings.ToLower(t.Name)
		isRow := len(t.Dims) == 2 && (t.Type == Int64 || t.Type == Int32)
		switch {
		case isRow && d.conv.AttentionMask == "" && strings.Contains(name, "mask"):
			d.conv.AttentionMask, d.conv.IntType = t.Name, t.Type
		case isRow && d.conv.PositionIDs == "" && strings.Contains(name, "pos"):
			d.conv.PositionIDs, d.conv.IntType = t.Name, t.Type
		case isRow && d.conv.InputIDs.Name == "" && (strings.Contains(name, "token") || strings.Contains(name, "ids") || len(rest) == 1):
			d.conv.InputIDs = t
		default:
			unknown = append(unknown, t)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("inputs: want token ids, mask, positions or a cache, got %s", list(unknown))
	}
	return nil
}

// logits finds the output with a score for every word at every position.
func (d *detector) logits(m *Model) error {
	var candidates []Tensor
	for _, t := range m.Outputs {
		if role, ok := d.byName[t.Name]; ok && role == roleLogits || !ok && t.Name == roleLogits {
			candidates = []Tensor{t}
			break
		}
		if len(t.Dims) == 3 && t.Type.IsFloat() {
			candidates = append(candidates, t)
		}
	}
	if len(candidates) != 1 {
		return fmt.Errorf("outputs: want one of logits [batch, sequence, vocabulary], got %s", list(m.Outputs))
	}
	t := candidates[0]
	if !t.Type.IsFloat() {
		return fmt.Errorf("output %s: want fp32, fp16 or bf16, got %s", t.Name, t.Type)
	}
	if len(t.Dims) != 3 || t.Dims[1] == 1 {
		return fmt.Errorf("output %s: want full logits [batch, sequence, vocabulary], got %s: the graph keeps only the last position",
			t.Name, shape(t))
	}
	d.conv.Logits = t
	return nil
}

func (c *Convention) name(m *Model) string {
	attention := "explicit attention"
	if m.Has("GroupQueryAttention") {
		attention = "GroupQueryAttention"
	}
	parts := []string{attention}
	if c.PositionIDs != "" {
		parts = append(parts, "position_ids")
	}
	if len(c.Past) > 0 {
		parts = append(parts, "past")
	}
	if c.KeepLogits.Name != "" {
		parts = append(parts, c.KeepLogits.Name)
	}
	if c.UseCache.Name != "" {
		parts = append(parts, c.UseCache.Name)
	}
	return strings.Join(parts, ", ")
}

// KVLayers returns the number of layers with a cache.
func (c *Convention) KVLayers() int { return len(c.Past) / 2 }

func contains(tensors []Tensor, name string) bool {
	for _, t := range tensors {
		if t.Name == name {
			return true
		}
	}
	return false
}

// list names tensors for an error, the cache's many cut to a few.
func list(tensors []Tensor) string {
	names := make([]string, 0, len(tensors))
	for _, t := range tensors {
		names = append(names, fmt.Sprintf("%s %s %s", t.Name, t.Type, shape(t)))
	}
	sort.Strings(names)
	if len(names) > 8 {
		names = append(names[:8], "...")
	}
	return strings.Join(names, ", ")
}

func shape(t Tensor) string {
	dims := make([]string, len(t.Dims))
	for i, d := range t.Dims {
		switch {
		case d >= 0:
			dims[i] = fmt.Sprint(d)
		case t.Symbols[i] != "":
			dims[i] = t.Symbols[i]
		default:
			dims[i] = "?"
		}
	}
	return "[" + strings.Join(dims, ", ") + "]"
}
