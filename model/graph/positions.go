package graph

import "slices"

// positions finds the longest text for which a graph has positions.
type positions struct {
	conv  *Convention
	most  int64 // tokens; 0 for no bound
	steps int   // left, of one walk
}

// mostTokens returns how many tokens a text may have, 0 where nothing in the graph
// bounds it. Bounds are: a table that is read by the tokens' positions (learned
// positions, or angles), the tables of operators that rotate, and a constant of
// which as much is cut as the text is long (masks, ALiBi, numbers of positions).
func (s *scope) mostTokens(c *Convention) int64 {
	p := &positions{conv: c}
	s.all(func(s *scope, n *operator) {
		switch n.op {
		case "Gather", "GatherElements", "GatherND", "com.microsoft.GatherBlockQuantized":
			p.gather(s, n)
		case "Slice":
			p.slice(s, n)
		case "com.microsoft.GroupQueryAttention":
			p.bound(first(s.table(n.input(cosInput))))
		case "com.microsoft.RotaryEmbedding":
			p.bound(first(s.table(n.input(2))))
		case "RotaryEmbedding":
			p.bound(first(s.table(n.input(1))))
		}
	})
	return p.most
}

func (p *positions) bound(tokens int64) {
	if tokens > 0 && (p.most == 0 || tokens < p.most) {
		p.most = tokens
	}
}

// first returns the rows of a table of two dimensions.
func first(dims []int64) int64 {
	if len(dims) != 2 {
		return 0
	}
	return dims[0]
}

// gather takes a table that is read by positions.
func (p *positions) gather(s *scope, n *operator) {
	dims := s.table(n.input(0))
	if len(dims) == 0 {
		return
	}
	axis := n.attribute("axis")
	switch {
	case n.op == "GatherND" && n.attribute("batch_dims") != 0:
		return
	case n.op == "GatherElements": // of a table that was repeated for each row
		axis = int64(len(dims)) - 2
	case axis < 0:
		axis += int64(len(dims))
	}
	if axis < 0 || axis >= int64(len(dims)) {
		return
	}
	p.steps = 64
	if ahead, ok := p.ahead(s, n.input(1)); ok {
		p.bound(dims[axis] - ahead)
	}
}

// ahead reports whether a tensor holds the tokens' positions, and by how much the
// last is more than the number of tokens before it: OPT's begin at 2.
func (p *positions) ahead(s *scope, name string) (ahead int64, ok bool) {
	if p.steps--; p.steps < 0 {
		return 0, false
	}
	if s.isInput(name) {
		return 0, name == p.conv.PositionIDs
	}
	n, in := s.maker(name)
	if n == nil {
		return 0, false
	}
	switch n.op {
	case "Range", "NonZero":
		return 0, true
	case "CumSum":
		return 1, true
	case "Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Expand", "Tile", "Transpose", "Slice":
		return p.ahead(in, n.input(0))
	case "Where":
		return p.either(in, n.input(1), n.input(2))
	case "Mul": // with the mask
		if in.table(n.input(0)) == nil && in.table(n.input(1)) == nil {
			return p.either(in, n.input(0), n.input(1))
		}
	case "Add":
		return p.sum(in, n)
	case "Sub":
		by, known := in.scalar(n.input(1))
		ahead, ok = p.ahead(in, n.input(0))
		return ahead - by, ok && known
	}
	return 0, false
}

// sum adds a constant, or the length of the cache, to positions.
func (p *positions) sum(s *scope, n *operator) (ahead int64, ok bool) {
	for i := range 2 {
		if by, known := s.scalar(n.input(1 - i)); known {
			ahead, ok = p.ahead(s, n.input(i))
			return ahead + by, ok
		}
	}
	return p.either(s, n.input(0), n.input(1))
}

// either returns the one of two tensors that holds positions.
func (p *positions) either(s *scope, a, b string) (ahead int64, ok bool) {
	if ahead, ok = p.ahead(s, a); ok {
		_, both := p.ahead(s, b)
		return ahead, !both
	}
	return p.ahead(s, b)
}

// slice takes a constant of which as much is cut as the text is long.
func (p *positions) slice(s *scope, n *operator) {
	dims := s.table(n.input(0))
	axis, known := s.scalar(n.input(3))
	if !known || len(dims) == 0 {
		return
	}
	if axis < 0 {
		axis += int64(len(dims))
	}
	fixed := func(name string) bool { _, ok := s.scalar(name); return ok }
	if axis < 0 || axis >= int64(len(dims)) || dims[axis] < 2 || fixed(n.input(1)) && fixed(n.input(2)) {
		return
	}
	if !slices.ContainsFunc([]string{n.input(1), n.input(2)}, func(name string) bool { return p.length(s, name) }) {
		return
	}
	p.bound(dims[axis])
}

// length reports whether a tensor is made of the lengths of what the model is fed.
func (p *positions) length(s *scope, name string) bool {
	p.steps = 64
	return p.fromShape(s, name)
}

func (p *positions) fromShape(s *scope, name string) bool {
	if p.steps--; p.steps < 0 {
		return false
	}
	n, in := s.maker(name)
	if n == nil {
		return false
	}
	switch n.op {
	case "Shape", "Size":
		return true
	case "Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Gather", "Slice", "Add", "Sub", "Concat", "Neg":
		return slices.ContainsFunc(n.inputs, func(name string) bool { return p.fromShape(in, name) })
	}
	return false
}
