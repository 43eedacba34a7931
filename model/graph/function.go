package graph

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxCalls bounds the functions that call one another: an exporter writes one for
// each level of modules, fewer than ten.
const maxCalls = 64

// maxUnfolded bounds the nodes of a graph with the bodies of functions in the place
// of their calls: ONNX Runtime takes 9 s for 16,384, and more than in proportion.
const maxUnfolded = 1 << 16

// call is a node that may call a function, so many subgraphs deep.
type call struct {
	function string // its domain, name and overload
	depth    int
}

// code is the graph or the body of a function: its nodes, those of subgraphs too,
// and how often each function may be called.
type code struct {
	nodes int
	calls map[call]int
}

func (c *code) add(function string, depth int) {
	c.nodes++
	if c.calls == nil {
		c.calls = map[call]int{}
	}
	c.calls[call{function, depth}]++
}

// size is what code becomes with the bodies of functions in the place of their
// calls, as ONNX Runtime puts them there.
type size struct {
	nodes int
	depth int // of subgraphs inside one another
	calls int // of functions that call one another
}

// unfolder finds the sizes of functions, each once: 30 of them, each of which
// calls the next twice, become a billion nodes.
type unfolder struct {
	functions map[string]*code
	known     map[string]*size // nil while it is being found
}

func (u *unfolder) size(c *code, level int) (*size, error) {
	if level > maxCalls {
		return nil, fmt.Errorf("want functions that call one another at most %d deep, got more", maxCalls)
	}
	s := &size{nodes: c.nodes}
	for called, times := range c.calls {
		s.depth = max(s.depth, called.depth)
		if u.functions[called.function] == nil {
			continue // an operator
		}
		inner, err := u.function(called.function, level)
		if err != nil {
			return nil, err
		}
		s.nodes += times * inner.nodes // at most maxItems times maxUnfolded
		s.depth = max(s.depth, called.depth+inner.depth)
		s.calls = max(s.calls, 1+inner.calls)
		switch {
		case s.nodes > maxUnfolded:
			return nil, fmt.Errorf("want at most %d nodes with functions unfolded, got more", maxUnfolded)
		case s.depth > maxDepth:
			return nil, fmt.Errorf("want subgraphs at most %d deep with functions unfolded, got more", maxDepth)
		case s.calls > maxCalls:
			return nil, fmt.Errorf("want functions that call one another at most %d deep, got more", maxCalls)
		}
	}
	return s, nil
}

func (u *unfolder) function(name string, level int) (*size, error) {
	known, seen := u.known[name]
	if !seen {
		u.known[name] = nil
		var err error
		if known, err = u.size(u.functions[name], level+1); err != nil {
			return nil, err
		}
		u.known[name] = known
	}
	if known == nil {
		return nil, fmt.Errorf("function %q: want one that does not call itself, got one that does", name)
	}
	return known, nil
}

// functionName joins the parts of a function's name.
func functionName(domain, name, overload string) string {
	if domain == "ai.onnx" {
		domain = ""
	}
	return domain + "." + name + ":" + overload
}

// function reads a FunctionProto: operators that the model itself defines.
func (p *parser) function(b []byte) error {
	if err := p.count(); err != nil {
		return err
	}
	outer := p.code
	p.code = &code{}
	defer func() { p.code = outer }()
	var name, domain, overload string
	err := fields(b, func(num protowire.Number, b []byte, _ uint64) error {
		switch num {
		case 1:
			name = clip(b)
		case 10:
			domain = clip(b)
		case 13:
			overload = clip(b)
		case 7: // node
			if err := p.count(); err != nil {
				return err
			}
			return p.node(b, 0)
		case 11: // an attribute's default
			return p.attribute(b, 0)
		}
		return nil
	})
	p.functions[functionName(domain, name, overload)] = p.code
	return err
}

// checkFunctions refuses a model whose functions unfold to more than a graph may
// hold.
func (p *parser) checkFunctions() error {
	_, err := (&unfolder{p.functions, map[string]*size{}}).size(p.code, 0)
	return err
}
