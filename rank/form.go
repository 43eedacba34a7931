package rank

import (
	"slices"
	"strings"
)

// form is how a text states a ranking.
type form int

const (
	chain    form = iota // identifiers joined by ">"
	sequence             // one behind the other, and nothing else on their lines
	listForm             // a list with numbers of its own
	object               // JSON
)

// candidate is what may be the ranking of a text.
type candidate struct {
	items    []entry
	from, to int // in the original
	form     form
	style    style
	prose    bool   // words stand among its identifiers
	doubtful bool   // what stands before it does not say that it is a ranking
	listing  bool   // what stands before it says that it only lists passages
	unclear  bool   // it states an order that cannot be told
	open     bool   // it goes on with what is no identifier
	rises    bool   // it is joined by "<", so that it begins with the worst
	lead     string // what stands before it
	final    bool   // it stands alone, or what stands before it says that it is the last word
}

// entry is an identifier of a candidate.
type entry struct {
	number int
	asked  bool // written and joined as the prompt asks
}

// finder finds the candidates of a text.
type finder struct {
	original string
	plain    plainText
	all      []mention
	joints   map[[2]int]joint
	named    map[int]bool // numbers that are written as identifiers
	table    bool         // of ranks and identifiers
	n, first int
	found    []candidate
}

// newFinder reads a text's mentions.
func newFinder(text string, n, first int) *finder {
	r := &finder{original: text, plain: plain(text), joints: map[[2]int]joint{}, n: n, first: first}
	r.all = mentions(r.plain, text)
	r.named = numbersOf(slices.DeleteFunc(slices.Clone(r.all), func(m mention) bool { return m.style < labelled }))
	r.table = rankColumn.MatchString(r.plain.text)
	return r
}

// candidates returns what may be a ranking in the text, in its order.
func (r *finder) candidates() []candidate {
	r.add(r.numberedLists())
	// Where some identifiers are in brackets, other numbers are prose, unless they
	// are a ranking by themselves.
	for _, least := range []style{square, labelled, round, bare} {
		some := slices.DeleteFunc(slices.Clone(r.all), func(m mention) bool { return m.style < least })
		r.add(r.chains(some))
		r.add(r.sequences(some))
	}
	slices.SortStableFunc(r.found, func(a, b candidate) int { return a.to - b.to })
	for i := range r.found {
		r.doubt(&r.found[i])
	}
	return r.found
}

// add keeps candidates that share nothing with an earlier one. A chain may hold
// what was taken for a part of something else.
func (r *finder) add(more []candidate) {
	for _, c := range more {
		clash := func(o candidate) bool { return c.from < o.to && o.from < c.to }
		stays := func(o candidate) bool {
			holds := c.form == chain && o.form != listForm && c.from <= o.from && o.to <= c.to
			return clash(o) && !(holds && distinct(o.items) < min(r.n, distinct(c.items)))
		}
		if !slices.ContainsFunc(r.found, stays) {
			r.found = append(slices.DeleteFunc(r.found, clash), c)
		}
	}
}

// joint is what joins two mentions. It is asked for many times.
func (r *finder) joint(a, b mention) joint {
	key := [2]int{a.to, b.from}
	j, ok := r.joints[key]
	if !ok {
		j = jointOf(r.plain, r.original, a, b)
		r.joints[key] = j
	}
	return j
}

// distinct counts the numbers of entries.
func distinct(items []entry) int {
	seen := map[int]bool{}
	for _, e := range items {
		seen[e.number] = true
	}
	return len(seen)
}

// chains finds identifiers that are joined by arrows.
func (r *finder) chains(ms []mention) []candidate {
	var out []candidate
	for at := 0; at < len(ms); {
		joints := []joint{apart}
		for at+len(joints) < len(ms) {
			run, next := ms[at:at+len(joints)], ms[at+len(joints)]
			j := r.joint(run[len(run)-1], next)
			if j <= listed && !(j == listed && r.shares(run, next)) || j == then {
				break
			}
			joints = append(joints, j)
		}
		k := r.again(ms[at : at+len(joints)])
		if k < len(joints) {
			joints[k] = apart
		}
		for _, part := range [][2]int{{0, k}, {k, len(joints)}} {
			if part[0] < part[1] {
				if c, ok := r.chain(ms[at+part[0]:at+part[1]], joints[part[0]:part[1]]); ok {
					out = append(out, c)
				}
			}
		}
		at += len(joints)
	}
	return out
}

// again returns where a second whole ranking begins in a chain, as in
// "[0] > [1] -> [1] > [0]"; else its length.
func (r *finder) again(run []mention) int {
	seen := map[int]bool{}
	for k, m := range run {
		seen[m.number] = true
		if len(seen) >= r.n {
			if len(numbersOf(run[k+1:])) >= r.n {
				return k + 1
			}
			break
		}
	}
	return len(run)
}

// numbersOf returns the numbers of mentions.
func numbersOf(ms []mention) map[int]bool {
	seen := map[int]bool{}
	for _, m := range ms {
		seen[m.number] = true
	}
	return seen
}

// shares says whether an identifier that is listed behind a run shares the place of
// the last, as in "[2] > [0], [1]".
func (r *finder) shares(run []mention, next mention) bool {
	if next.inside {
		return true
	}
	gap := r.plain.text[run[len(run)-1].to:next.from]
	return len(run) < r.n && !strings.ContainsAny(gap, "\n:") && next.number >= 0 && next.number <= r.first+r.n &&
		!slices.ContainsFunc(run, func(m mention) bool { return m.number == next.number })
}

// loose says whether it cannot be told what shares a place: where more follows, only
// brackets tell.
func (r *finder) loose(run []mention, joints []joint) bool {
	start := 0
	for k := 1; k < len(run); k++ {
		if joints[k] != listed || run[k].inside {
			start = k
			continue
		}
		if k+1 == len(run) || joints[k+1] == listed {
			continue
		}
		if start == 0 || !strings.ContainsAny(r.plain.text[run[start-1].to:run[start].from], "([{") {
			return true
		}
	}
	return false
}

// chain makes a candidate of identifiers of which some are joined by arrows or
// ties.
func (r *finder) chain(run []mention, joints []joint) (candidate, bool) {
	rest := r.rest(run[len(run)-1])
	up, down := slices.Contains(joints, before), slices.ContainsFunc(joints, func(j joint) bool { return j >= behind })
	down = down || run[0].style == square && incomplete.MatchString(rest) && !r.others(run[0])
	if !up && !down && !(slices.Contains(joints, tied) && len(run) > 1) {
		return candidate{}, false
	}
	c := r.candidate(run, joints)
	c.form = chain
	lead := falls.ReplaceAllString(r.lead(run[0].from), "")
	c.unclear = c.unclear || up && down || r.rising(run) || slices.Contains(joints, elided) || down && worstFirst.MatchString(lead) || r.loose(run, joints)
	line, _, _ := strings.Cut(rest, "\n")
	c.doubtful, c.final = remarks.MatchString(lead), finals.MatchString(lead) || lead == "" && nothing.MatchString(line)
	c.open = goesOn.MatchString(rest) && !incomplete.MatchString(rest) && !theRest.MatchString(rest) || comesFrom.MatchString(r.ahead(run[0]))
	if c.style == bare && distinct(c.items) < min(r.n, 3) || negated.MatchString(lead) {
		return candidate{}, false
	}
	if c.rises = up; up {
		slices.Reverse(c.items)
		for i := range c.items {
			c.items[i].asked = false
		}
	}
	return c, true
}

// candidate gathers the identifiers of a run. joints[k] joins the k-th to the one
// before.
func (r *finder) candidate(run []mention, joints []joint) candidate {
	c := candidate{from: r.plain.at[run[0].from], to: r.plain.at[run[len(run)-1].to-1] + 1, style: run[0].style}
	for k, m := range run {
		c.style = max(c.style, m.style)
		if joints[k] == through {
			named := distinct(c.items)
			before := len(c.items)
			c.items = r.fill(c.items, m.number)
			c.unclear = c.unclear || distinct(c.items)-named < len(c.items)-before
		} else {
			c.items = append(c.items, entry{m.number, m.asked && (k == 0 || joints[k] == exact)})
		}
	}
	return c
}

// fill adds all numbers from the last one of items to the end of a range.
func (r *finder) fill(items []entry, end int) []entry {
	at := items[len(items)-1].number
	if inReach := func(k int) bool { return k >= 0 && k <= r.first+r.n }; !inReach(at) || !inReach(end) {
		return append(items, entry{number: end})
	}
	items[len(items)-1].asked = false
	for at != end {
		if at < end {
			at++
		} else {
			at--
		}
		items = append(items, entry{number: at})
	}
	return items
}

// sequences finds identifiers that stand one behind the other, or one below the
// other, and nothing but they.
func (r *finder) sequences(ms []mention) []candidate {
	var out []candidate
	for at := 0; at < len(ms); {
		joints, seen := []joint{apart}, map[int]bool{ms[at].number: true}
		for at+len(joints) < len(ms) {
			a, b := ms[at+len(joints)-1], ms[at+len(joints)]
			j := r.joint(a, b)
			if !(j >= listed && j <= then) || strings.Contains(r.plain.text[a.to:b.from], ":") || r.newSequence(a, b, seen) {
				break
			}
			joints, seen[b.number] = append(joints, j), true
		}
		run := ms[at : at+len(joints)]
		at += len(joints)
		if c, ok := r.sequence(run, joints); ok {
			out = append(out, c)
		}
	}
	return append(out, r.scored(ms)...)
}

// newSequence says whether a line begins another sequence: where the one before,
// with the numbers seen, is whole, or more than one identifier stands on either line.
func (r *finder) newSequence(last, next mention, seen map[int]bool) bool {
	gap := r.plain.text[last.to:next.from]
	if !strings.Contains(gap, "\n") || strings.ContainsAny(gap, ",;|") {
		return false
	}
	if seen[next.number] && len(seen) >= r.n {
		return true
	}
	alone := func(m mention) bool {
		from, to := r.line(m.from)
		return !number.MatchString(r.plain.text[from:m.from]) && !number.MatchString(r.plain.text[m.to:to])
	}
	return !alone(last) || !alone(next)
}

// sequence makes a candidate of identifiers that stand one behind the other.
func (r *finder) sequence(run []mention, joints []joint) (candidate, bool) {
	c := r.candidate(run, joints)
	c.form = sequence
	c.unclear = c.unclear || r.pairs(run)
	if r.plural(run) {
		c.style, c.doubtful = bare, true
	} else if slices.ContainsFunc(run, func(m mention) bool { return m.style < min(c.style, labelled) }) {
		return candidate{}, false // "[2]: 3" has a score
	}
	if !slices.ContainsFunc(joints[1:], func(j joint) bool { return j != through }) {
		if len(run) == 2 {
			return candidate{}, false // "[0]-[2]" tells no order
		}
		c = r.candidate(run, make([]joint, len(run))) // "2 - 0 - 1" lists
		c.form = sequence
	}
	if slices.Contains(joints, then) {
		c.prose = true
		lead := r.lead(run[0].from)
		return c, !negated.MatchString(lead) && !turned.MatchString(falls.ReplaceAllString(lead, "")) && (c.style > bare || r.justThen(run, joints))
	}
	if !r.alone(run, c.style) {
		return candidate{}, false
	}
	told, ok := r.told(run[0], c.style)
	c.doubtful = c.doubtful || told == perhaps
	c.listing = c.doubtful && listing.MatchString(r.lead(run[0].from))
	return c, ok && (c.style > bare || r.tidy(c.items))
}

// pairs says whether brackets hold several identifiers more than once, as those of
// a passage and its rank do.
func (r *finder) pairs(run []mention) bool {
	shared := 0
	for k, m := range run {
		if m.inside && (k == 0 || !run[k-1].inside) {
			shared++
		}
	}
	return shared > 1
}

// justThen says whether no other words than "then" stand in a sequence.
func (r *finder) justThen(run []mention, joints []joint) bool {
	for k, j := range joints {
		if j == then && !justThen.MatchString(r.plain.text[run[k-1].to:run[k].from]) {
			return false
		}
	}
	return true
}

// alone says whether a sequence is long enough to be one, and nothing follows it on
// its line but a remark.
func (r *finder) alone(run []mention, s style) bool {
	least := 2
	if s == square || r.n == 1 {
		least = 1
	}
	if len(run) < least || len(run) == 1 && r.others(run[0]) {
		return false
	}
	behind, _, _ := strings.Cut(r.rest(run[len(run)-1]), "\n")
	if m := remarkLast.FindStringSubmatch(behind); m != nil {
		return !turned.MatchString(falls.ReplaceAllString(m[1], ""))
	}
	return nothing.MatchString(behind)
}

// plural says whether one word stands before all: "Passages 2, 0, 1".
func (r *finder) plural(run []mention) bool {
	later := run[1:]
	return run[0].style == labelled && len(later) > 0 && strings.Contains(strings.ToLower(r.plain.text[run[0].from:run[0].to]), "s") &&
		!slices.ContainsFunc(later, func(m mention) bool { return m.style != bare })
}

// others says whether the text has other identifiers than one.
func (r *finder) others(one mention) bool {
	return len(r.named) > 1 || len(r.named) == 1 && !r.named[one.number]
}

// tidy says whether numbers are nothing but passages, each once.
func (r *finder) tidy(items []entry) bool {
	outside := func(e entry) bool { return e.number < max(0, r.first-1) || e.number > r.first+r.n }
	return distinct(items) == len(items) && len(items) <= r.n && !slices.ContainsFunc(items, outside)
}

// line returns the bounds of the line that holds a place.
func (r *finder) line(at int) (from, to int) {
	from = strings.LastIndexByte(r.plain.text[:at], '\n') + 1
	if to = strings.IndexByte(r.plain.text[at:], '\n'); to < 0 {
		return from, len(r.plain.text)
	}
	return from, at + to
}
