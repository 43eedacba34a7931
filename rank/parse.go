package rank

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Ranking is an order that was read from a text.
type Ranking struct {
	Order   []int   `json:"order"` // [n] a permutation of 0..n-1: the passages, the best first
	Found   int     `json:"found"` // distinct passages that the text names
	Repairs Repairs `json:"repairs,omitzero"`
}

// Repairs counts what a text had to be forgiven before it was a ranking.
type Repairs struct {
	Missing    int `json:"missing"`      // passages that it does not name; they come last, in the order shown
	Duplicate  int `json:"duplicate"`    // identifiers after their first
	OutOfRange int `json:"out_of_range"` // numbers that are no passage's
	WrongForm  int `json:"wrong_form"`   // passages that it names in another form than "[2] > [0]"
	OtherBase  int `json:"other_base"`   // 1 where it counts from 1 and not from 0, or the other way round
	Revised    int `json:"revised"`      // 1 where it holds whole rankings that differ; the last counts
	Refusal    int `json:"refusal"`      // 1 where it holds no clear ranking: the order is none then, and must not be used
}

// Add adds the counts of another text.
func (r *Repairs) Add(o Repairs) {
	r.Missing += o.Missing
	r.Duplicate += o.Duplicate
	r.OutOfRange += o.OutOfRange
	r.WrongForm += o.WrongForm
	r.OtherBase += o.OtherBase
	r.Revised += o.Revised
	r.Refusal += o.Refusal
}

// Format writes a ranking as the prompt asks for it, such as "[2] > [0] > [1]",
// with identifiers from first on.
func Format(order []int, first int) string {
	ids := make([]string, len(order))
	for place, i := range order {
		ids[place] = identifier(first + i)
	}
	return strings.Join(ids, separator)
}

// Parse reads a ranking of n passages, whose identifiers begin with first, from
// any text. Thoughts between marks such as <think> are skipped; where the prompt
// ends with an open mark, text must begin with it.
//
// The last whole ranking counts, in any form that is clear: identifiers joined by
// ">", a list that stands alone or has numbers of its own, JSON. Without a whole
// one, what is the longest counts, unless another contradicts it. Identifiers in
// prose rank nothing. A text with a NUL is none.
func Parse(text string, n, first int) Ranking {
	ranking, _ := parse(text, n, first)
	return ranking
}

// parse is Parse; closed says that the ranking is whole and that nothing follows
// it, so that it stands even where the text was cut.
func parse(text string, n, first int) (ranking Ranking, closed bool) {
	said, complete := said(text)
	visible, open := withoutThoughts(said)
	visible = tailOf(visible)
	if strings.Contains(text, "\x00") {
		visible = ""
	}
	complete = complete && open == ""
	if s, ok := answerOf(visible); ok {
		if r, _ := parserOf(visible[s.from:s.to], n, first); r.Found == n && n > 0 {
			return r.Ranking, complete && nothing.MatchString(plain(visible[s.to:]).text)
		}
	}
	r, end := parserOf(visible, n, first)
	return r.Ranking, complete && r.Found == n && nothing.MatchString(plain(visible[end:]).text)
}

// parserOf reads a text without thoughts; end is where its ranking ends.
func parserOf(text string, n, first int) (r parser, end int) {
	r = parser{n: n, first: first, text: text, seen: make([]bool, n)}
	r.Order = make([]int, 0, n)
	found, rest := objects(text, n, first)
	f := newFinder(rest, n, first)
	for i := range found {
		f.doubt(&found[i])
	}
	found = append(found, f.candidates()...)
	r.named = namedIn(found, f.named)
	if best, ok := r.choose(found); ok {
		r.takeAll(best)
		end = best.to
	} else {
		r.Repairs = Repairs{}
	}
	r.finish()
	return r, end
}

// mostText bounds the text that is looked at, at its end, where the ranking that
// counts stands.
const mostText = 64 << 10

// tailOf returns the last lines of a text.
func tailOf(text string) string {
	if len(text) <= mostText {
		return text
	}
	text = text[len(text)-mostText:]
	return text[strings.IndexByte(text, '\n')+1:]
}

// parser is a ranking while it is put together.
type parser struct {
	Ranking
	n, first int
	text     string
	seen     []bool       // [n] passages in Order
	named    map[int]bool // numbers that the text gives to passages
}

// choose picks the candidate that counts.
func (r *parser) choose(found []candidate) (best candidate, ok bool) {
	slices.SortStableFunc(found, func(a, b candidate) int { return a.to - b.to })
	var whole, doubtful, part []candidate
	for _, c := range found {
		switch complete := r.whole(c); {
		case complete && c.doubtful:
			doubtful = append(doubtful, c)
		case complete:
			whole = append(whole, c)
		case !c.doubtful && !(c.prose && (c.style == bare || c.form == sequence)):
			part = append(part, c)
		}
	}
	switch {
	case len(whole) > 0:
		best, ok = r.last(whole)
		revised := func(c candidate) bool { return r.mayRevise(c, best) }
		return best, ok && !slices.ContainsFunc(doubtful, revised) && !slices.ContainsFunc(part, revised)
	case len(doubtful) > 0:
		best = doubtful[len(doubtful)-1]
		return best, len(doubtful) == 1 && !best.unclear && len(part) == 0 && !slices.IsSorted(r.passages(best))
	}
	return r.longest(part)
}

// last picks the last whole ranking. A list of remarks after a chain may be either
// a ranking or remarks.
func (r *parser) last(whole []candidate) (candidate, bool) {
	best := whole[len(whole)-1]
	for _, c := range whole[:len(whole)-1] {
		if slices.Equal(r.passages(c), r.passages(best)) {
			continue
		}
		if best.prose && c.form == chain || r.rivals(c, best) {
			return best, false
		}
		r.Repairs.Revised = 1
	}
	return best, !best.unclear
}

// newer is what stands before a ranking that replaces another one.
var newer = regexp.MustCompile(`(?i)\b(?:so|therefore|thus|hence|better|best|correct|correction|updated|new|improved|wait|reconsider\w*|rather|hmm+|mine|my)\b|\bno\W*$|最终|最終|因此|所以`)

// rivals says whether two rankings that differ are of two kinds, such as by date
// and by length, or of two tasks, so that the later one does not replace the other.
func (r *parser) rivals(c, best candidate) bool {
	if c.to < best.from && newTask.MatchString(r.text[c.to:best.from]) {
		return true
	}
	replaces := finals.MatchString(best.lead) || newer.MatchString(best.lead)
	plainly := c.lead == "" && rankWords.MatchString(best.lead)
	return !c.unclear && letters.MatchString(best.lead) && !replaces && !plainly
}

// mayRevise says whether what may be a ranking, or the final part of one, follows
// the best and contradicts it.
func (r *parser) mayRevise(c, best candidate) bool {
	order := r.passages(c)
	lists := c.listing && slices.IsSorted(order)
	return c.from > best.from && (c.doubtful || c.final) && !lists && !within(order, r.passages(best))
}

// longest picks what names most passages. What another says must not contradict
// it; where both rank the same passages the last counts.
func (r *parser) longest(part []candidate) (best candidate, ok bool) {
	for _, c := range part {
		if len(r.passages(c)) >= len(r.passages(best)) {
			best, ok = c, true
		}
	}
	order := r.passages(best)
	for _, c := range part {
		if other := r.passages(c); slices.Equal(other, order) {
			continue
		} else if sameSet(other, order) {
			r.Repairs.Revised = 1
		} else if !within(other, order) {
			return best, false
		}
	}
	return best, ok && !best.unclear && !best.open
}

// sameSet says whether two orders, without duplicates, are of the same passages.
func sameSet(a, b []int) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(i int) bool { return !slices.Contains(b, i) })
}

// within says whether order ranks the passages of part alike.
func within(part, order []int) bool {
	last := -1
	for _, i := range part {
		place := slices.Index(order, i)
		if place <= last {
			return false
		}
		last = place
	}
	return true
}

// whole says whether a candidate names all passages.
func (r *parser) whole(c candidate) bool { return r.n > 0 && len(r.passages(c)) == r.n }

// passages returns the passages that a candidate names, each once.
func (r *parser) passages(c candidate) []int {
	var out []int
	base := r.base(c)
	for _, e := range c.items {
		if i := e.number - base; e.number >= 0 && i >= 0 && i < r.n && !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

// namedIn gathers the numbers that are identifiers: those of candidates, and those
// that are written as identifiers elsewhere.
func namedIn(found []candidate, elsewhere map[int]bool) map[int]bool {
	named := maps.Clone(elsewhere)
	if named == nil {
		named = map[int]bool{}
	}
	for _, c := range found {
		for _, e := range c.items {
			named[e.number] = true
		}
	}
	return named
}

// base is the identifier of the first passage as a candidate counts. One that is
// whole by its own base needs no look at the rest of the text.
func (r *parser) base(c candidate) int {
	own := namedIn([]candidate{c}, nil)
	base := r.baseOf(own, own)
	for id := base; id < base+r.n; id++ {
		if !own[id] {
			return r.baseOf(own, r.named)
		}
	}
	return base
}

// baseOf is the prompt's base, unless that is never named and the number behind the
// last identifier is; or, where the prompt counts from 1, the last is never named
// and 0 is.
func (r *parser) baseOf(own, named map[int]bool) int {
	switch {
	case own[r.first+r.n] && !named[r.first]:
		return r.first + 1
	case r.first == 1 && own[0] && !named[r.n]:
		return 0
	}
	return r.first
}

// takeAll adds what a candidate names to the order.
func (r *parser) takeAll(c candidate) {
	base := r.base(c)
	if base != r.first {
		r.Repairs.OtherBase = 1
	}
	for _, e := range c.items {
		r.take(e.number-base, e)
	}
}

// take adds a passage to the order, if there is one.
func (r *parser) take(i int, e entry) {
	switch {
	case e.number < 0 || i < 0 || i >= r.n:
		r.Repairs.OutOfRange++
		return
	case r.seen[i]:
		r.Repairs.Duplicate++
		return
	case !e.asked:
		r.Repairs.WrongForm++
	}
	r.seen[i] = true
	r.Order = append(r.Order, i)
	r.Found++
}

// finish adds the missing.
func (r *parser) finish() {
	for i, seen := range r.seen {
		if !seen {
			r.Order = append(r.Order, i)
			r.Repairs.Missing++
		}
	}
	if r.Found == 0 {
		r.Repairs.Refusal = 1
	}
}
