package model

// Mixing says which sequences may share a batch without a change to the numbers of
// any of them. The zero value mixes all.
type Mixing struct {
	// Alone runs each sequence in a batch of its own: the model settles something,
	// such as the scale of a quantization, for the batch as a whole.
	Alone bool
	// EqualLengths batches sequences of one length: padding changes their numbers.
	EqualLengths bool
	// Breaks are lengths, in rising order, at which the model changes its numbers for
	// the whole batch: those of a batch are all longer than a break, or none is.
	Breaks []int
}

// Any reports whether sequences may be mixed at will, and so may share a row.
func (m Mixing) Any() bool { return !m.Alone && !m.EqualLengths && len(m.Breaks) == 0 }

// Takes reports whether sequences of the lengths a and b may share a batch.
func (m Mixing) Takes(a, b int) bool {
	return !m.Alone && (a == b || !m.EqualLengths && m.side(a) == m.side(b))
}

// side is how many breaks a length is beyond.
func (m Mixing) side(n int) int {
	side := 0
	for side < len(m.Breaks) && n > m.Breaks[side] {
		side++
	}
	return side
}

// Crosses reports whether a sequence passes a break when it grows from one length
// to another.
func (m Mixing) Crosses(from, to int) bool { return m.side(from) != m.side(to) }

// Within is the longest length up to limit that is on the same side of every break as n.
func (m Mixing) Within(n, limit int) int {
	if side := m.side(n); side < len(m.Breaks) {
		limit = min(limit, m.Breaks[side])
	}
	return limit
}

// and is what holds for two models that are to give the same numbers.
func (m Mixing) and(other Mixing) Mixing {
	m.Alone, m.EqualLengths = m.Alone || other.Alone, m.EqualLengths || other.EqualLengths
	if len(m.Breaks) == 0 {
		m.Breaks = other.Breaks
	}
	return m
}
