package graph

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
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
	Present       []Tensor // the outputs that Past is fed from, in its order; nil where they do not pair up
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
	// What an encoder gives out, or a decoder without its head, has the shape of
	// logits; only an io map can say that it is meant.
	hiddenPattern = regexp.MustCompile(`(?i)hidden|embed|feature|encode`)
)

// Detect finds the roles of a decoder graph's inputs and outputs from their
// names, ranks and types. ioMap, from role to the graph's own name, settles what
// names alone cannot.
//
// Known are the graphs of onnxruntime-genai's model builder, of optimum, of
// transformers.js, and those of a plain torch.onnx export whose names are free.
func Detect(m *Model, ioMap map[string]string) (*Convention, error) {
	d := &detector{conv: &Convention{IntType: Int64}, roles: map[string]string{}}
	if err := d.useMap(m, ioMap); err != nil {
		return nil, err
	}
	if err := checkInputs(m.Inputs, d.roles); err != nil {
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
	if err := d.intType(); err != nil {
		return nil, err
	}
	if err := d.logits(m); err != nil {
		return nil, err
	}
	d.conv.Present = pair(d.conv.Past, m.Outputs)
	d.conv.Name = d.conv.name(m)
	return d.conv, nil
}

type detector struct {
	conv            *Convention
	roles           map[string]string // from the graph's names
	mask, positions Tensor
}

// useMap fills roles: what the map says and, for a role it does not give, the
// role's own name.
func (d *detector) useMap(m *Model, ioMap map[string]string) error {
	known := []string{roleInputIDs, roleMask, rolePositions, roleLogits}
	for _, role := range slices.Sorted(maps.Keys(ioMap)) {
		name := ioMap[role]
		if !slices.Contains(known, role) {
			return fmt.Errorf("io map: want input_ids, attention_mask, position_ids or logits, got %q", role)
		}
		tensors := m.Inputs
		if role == roleLogits {
			tensors = m.Outputs
		}
		if !contains(tensors, name) {
			return fmt.Errorf("io map: %s: want one of %s, got %q", role, list(tensors), name)
		}
		if other, twice := d.roles[name]; twice {
			return fmt.Errorf("io map: want a role for each name, got %s and %s for %q", other, role, name)
		}
		d.roles[name] = role
	}
	for _, role := range known {
		if _, mapped := ioMap[role]; mapped || d.roles[role] != "" {
			continue
		}
		d.roles[role] = role
	}
	return nil
}

// take gives the tensor its role where its name tells it.
func (d *detector) take(t Tensor) bool {
	role := d.roles[t.Name]
	switch {
	case role == roleInputIDs && isRow(t):
		d.conv.InputIDs = t
	case role == roleMask && isRow(t):
		d.mask = t
	case role == rolePositions && isRow(t):
		d.positions = t
	case len(t.Dims) == 4 && t.Type.IsFloat() && pastPattern.MatchString(t.Name):
		d.conv.Past = append(d.conv.Past, t)
	case len(t.Dims) <= 1 && isInteger(t) && keepPattern.MatchString(t.Name):
		d.conv.KeepLogits = t
	case t.Type == Bool && cachePattern.MatchString(t.Name):
		d.conv.UseCache = t
	default:
		return false
	}
	return true
}

func isInteger(t Tensor) bool { return t.Type == Int64 || t.Type == Int32 }

// isRow reports whether t may be integers [batch, sequence].
func isRow(t Tensor) bool { return isInteger(t) && (len(t.Dims) == 2 || t.Dims == nil) }

// intType settles the one type that mask and positions are fed with.
func (d *detector) intType() error {
	c := d.conv
	for _, t := range []Tensor{d.mask, d.positions} {
		if t.Name != "" {
			c.IntType = t.Type
		}
	}
	c.AttentionMask, c.PositionIDs = d.mask.Name, d.positions.Name
	if d.mask.Name != "" && d.mask.Type != c.IntType {
		return fmt.Errorf("inputs: want mask and positions of one type, got %s", list([]Tensor{d.mask, d.positions}))
	}
	return nil
}

// takeRest settles the inputs whose names are not the usual ones: integers
// [batch, sequence] with a telling part in the name, and the only one left.
func (d *detector) takeRest(rest []Tensor) error {
	var unknown []Tensor
	for _, t := range rest {
		name := strings.ToLower(t.Name)
		isIDs := strings.Contains(name, "token") || strings.Contains(name, "ids") || len(rest) == 1
		switch {
		case d.roles[t.Name] != "" || !isRow(t) || strings.Contains(name, "type"):
			unknown = append(unknown, t)
		case d.mask.Name == "" && strings.Contains(name, "mask"):
			d.mask = t
		case d.positions.Name == "" && strings.Contains(name, "pos"):
			d.positions = t
		case d.conv.InputIDs.Name == "" && isIDs:
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
	t, err := d.findLogits(m)
	if err != nil {
		return err
	}
	switch {
	case !t.Type.IsFloat():
		return fmt.Errorf("output %s: want fp32, fp16 or bf16, got %s", t.Name, t.Type)
	case t.Dims == nil:
		return fmt.Errorf("output %s: want a shape [batch, sequence, vocabulary] in the graph, got none", t.Name)
	case len(t.Dims) != 3 || t.Dims[1] == 1:
		return fmt.Errorf("output %s: want full logits [batch, sequence, vocabulary], got %s: the graph keeps only the last position",
			t.Name, shape(t))
	}
	d.conv.Logits = t
	return nil
}

// findLogits goes by the name, else by the shape if only one output has it.
func (d *detector) findLogits(m *Model) (Tensor, error) {
	var candidates []Tensor
	for _, t := range m.Outputs {
		if d.roles[t.Name] == roleLogits {
			return t, nil
		}
		if len(t.Dims) == 3 && t.Type.IsFloat() && !hiddenPattern.MatchString(t.Name) {
			candidates = append(candidates, t)
		}
	}
	if len(candidates) != 1 {
		return Tensor{}, fmt.Errorf("outputs: want one of logits [batch, sequence, vocabulary], got %s", list(m.Outputs))
	}
	return candidates[0], nil
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

// cacheWords are what the names of a cache's inputs and outputs begin with.
var cacheWords = regexp.MustCompile(`(?i)^(past|present|cache)(_key_values?|_kv)?(_in|_out)?[._]*`)

// pair finds the output of each past input: past_key_values.3.key and
// present.3.key are the same but for the word they begin with. Without one for
// each, of its type and rank, there is no cache to keep, and it returns nil.
func pair(past, outputs []Tensor) []Tensor {
	rest := func(t Tensor) string { return strings.ToLower(cacheWords.ReplaceAllString(t.Name, "")) }
	byRest := map[string]Tensor{}
	for _, t := range outputs {
		if len(t.Dims) == 4 && cacheWords.MatchString(t.Name) {
			byRest[rest(t)] = t
		}
	}
	var present []Tensor
	for _, t := range past {
		out, ok := byRest[rest(t)]
		if !ok || out.Type != t.Type {
			return nil
		}
		delete(byRest, rest(t))
		present = append(present, out)
	}
	return present
}

// InPlace reports whether every layer's cache goes through a
// GroupQueryAttention, which writes a token's keys where its row ends: past and
// present can then be one buffer.
func (c *Convention) InPlace(m *Model) bool {
	return len(c.Past) > 0 && 2*m.Ops["GroupQueryAttention"] == len(c.Past)
}

// KVLayers returns the number of layers with a cache.
func (c *Convention) KVLayers() int { return len(c.Past) / 2 }

func contains(tensors []Tensor, name string) bool {
	return slices.ContainsFunc(tensors, func(t Tensor) bool { return t.Name == name })
}
