package graph

import (
	"fmt"
	"regexp"
	"strings"
)

// NotCausalError says that a graph is not that of a causal language model.
type NotCausalError struct {
	Reason string
	// Probabilities says that the graph gives these where logits are wanted, so that no
	// score of it means anything. Of their logarithms the log-softmax is themselves.
	Probabilities bool
}

func (e *NotCausalError) Error() string { return e.Reason }

// Refuses reports whether a graph is refused, where one that leaks may be allowed.
func (e *NotCausalError) Refuses(allowed bool) bool {
	return e != nil && (e.Probabilities || !allowed)
}

// encoderPattern is the names of what an encoder gives to a decoder.
var encoderPattern = regexp.MustCompile(`(?i)(^|[._/])(encoder|cross)([._/]|$)`)

// checkInputs refuses the decoder of an encoder-decoder, whose mask would pass for
// the tokens' own.
func checkInputs(inputs []Tensor, roles map[string]string) error {
	for _, t := range inputs {
		if encoderPattern.MatchString(t.Name) && roles[t.Name] == "" {
			return fmt.Errorf("inputs: want those of a causal language model, got %s: this is the decoder of an encoder-decoder, which needs what its encoder gives", t.Name)
		}
	}
	return nil
}

// Findings is what a graph tells beyond its inputs and outputs.
type Findings struct {
	// MostTokens is how many tokens a text may have by the graph's tables of
	// positions; 0 where it has none.
	MostTokens int
	// NotCausal says why the graph does not give the logits of a causal language
	// model; nil where it may.
	NotCausal *NotCausalError
}

// Examine looks for both in the graph of the model file at path, whose convention is c.
func Examine(path string, c *Convention) (*Findings, error) {
	data, unmap, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	defer unmap()
	return examine(data, c)
}

func examine(data []byte, c *Convention) (*Findings, error) {
	s, err := scopeOf(data)
	if err != nil {
		return nil, err
	}
	f := &Findings{MostTokens: int(s.mostTokens(c))}
	if op := s.normalizes(c.Logits.Name); op != "" {
		logarithms := op == "LogSoftmax" || strings.HasPrefix(op, "Sub ")
		f.NotCausal = &NotCausalError{fmt.Sprintf("output %s: want logits, got probabilities: the graph ends in %s", c.Logits.Name, op), !logarithms}
	} else if s.looksAhead() {
		f.NotCausal = &NotCausalError{Reason: "want attention to earlier tokens, got GroupQueryAttention with causal 0, which sees later ones"}
	}
	return f, nil
}

// normalizes returns the operator by which an output is made probabilities or their
// logarithms; "" for logits.
func (s *scope) normalizes(name string) string {
	for range maxTail {
		n, in := s.maker(name)
		if n == nil {
			return ""
		}
		switch op := n.op[strings.LastIndexByte(n.op, '.')+1:]; op {
		case "Softmax", "LogSoftmax", "Hardmax", "Sigmoid":
			return op
		case "If":
			return in.branches(n, name)
		case "Div", "Sub":
			if sum := in.sums(n.input(1)); sum != "" {
				return op + " by " + sum
			}
		case "Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Log", "Clip", "Slice", "Dropout", "Add", "Mul":
		default:
			return ""
		}
		if name = n.input(0); in.table(name) != nil {
			name = n.input(1)
		}
		s = in
	}
	return ""
}

// branches follows an output of an If into its branches.
func (s *scope) branches(n *operator, name string) string {
	for i, output := range n.outputs {
		if output != name {
			continue
		}
		for _, inner := range s.inner(n) {
			if outputs := inner.outputs(); i < len(outputs) {
				if op := inner.normalizes(outputs[i]); op != "" {
					return op
				}
			}
		}
	}
	return ""
}

// outputs are the names of a graph's outputs, in order.
func (g *body) outputs() (names []string) {
	for _, f := range g.fields {
		if f.num == 12 {
			name, _ := nameOf(f.bytes) // it was read before
			names = append(names, name)
		}
	}
	return names
}

// sums returns the operator that adds up over the words what a softmax, put
// together by hand, divides by.
func (s *scope) sums(name string) string {
	for range maxTail {
		n, in := s.maker(name)
		if n == nil {
			return ""
		}
		switch n.op {
		case "ReduceSum", "ReduceLogSumExp", "ReduceLogSum":
			return n.op
		case "Cast", "Identity", "Expand", "Unsqueeze", "Log", "Add", "Clip", "Max":
			name, s = n.input(0), in
		default:
			return ""
		}
	}
	return ""
}

// looksAhead reports whether an attention of the graph is told to.
func (s *scope) looksAhead() (ahead bool) {
	s.all(func(_ *scope, n *operator) {
		for _, a := range n.attributes {
			if n.op == "com.microsoft.GroupQueryAttention" && attributeName(a) == "causal" && n.attribute("causal") == 0 {
				ahead = true
			}
		}
	})
	return ahead
}
