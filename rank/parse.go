package rank

import "strings"

// Ranking is an order that was read from a text.
type Ranking struct {
	Order   []int // [n] a permutation of 0..n-1: the passages, the best first
	Found   int   // distinct passages that the text names
	Repairs Repairs
}

// Repairs counts what a text had to be forgiven before it was a ranking.
type Repairs struct {
	Missing    int `json:"missing"`      // passages that it does not name; they come last, in the order shown
	Duplicate  int `json:"duplicate"`    // identifiers after their first
	OutOfRange int `json:"out_of_range"` // numbers that are no passage's
	WrongForm  int `json:"wrong_form"`   // passages that it names in another form than "[2] > [0]"
	Refusal    int `json:"refusal"`      // 1 where it names none: the order is no ranking then, and must not be used
}

// Add adds the counts of another text.
func (r *Repairs) Add(o Repairs) {
	r.Missing += o.Missing
	r.Duplicate += o.Duplicate
	r.OutOfRange += o.OutOfRange
	r.WrongForm += o.WrongForm
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
// any text. What stands in think tags is skipped; where the prompt ends with an
// open one, text must begin with it.
//
// An identifier is a number in brackets, never one in prose. Where several are
// joined by ">", that is the ranking: the first that is whole, else the longest.
// Other identifiers then only come before the missing. Where none are, all count
// in the order of the text. Where no number is in brackets at all, bare ones are
// taken, if nothing else could be meant (see bareMentions).
func Parse(text string, n, first int) Ranking {
	text = withoutThinking(text)
	all := mentions(text, n, first)
	if len(all) == 0 {
		all = bareMentions(text, n, first)
	}
	from, to, _ := mainRun(all, n)
	r := reading{seen: make([]bool, n)}
	r.Order = make([]int, 0, n)
	for k, m := range all[from:to] {
		r.take(m, m.plain && (k == 0 || m.joint == exact))
	}
	for _, m := range append(all[:from:from], all[to:]...) {
		if m.passage >= 0 && !r.seen[m.passage] {
			r.take(m, false)
		}
	}
	r.finish()
	return r.Ranking
}

// Complete reports whether text holds a whole ranking joined by ">". Parse reads
// that one, and whatever follows it, short of a closing think tag, changes no
// passage's place: decoding may stop. Only a closing bracket makes a text whole,
// so that this need not be asked after a token without one.
func Complete(text string, n, first int) bool {
	_, _, whole := mainRun(mentions(withoutThinking(text), n, first), n)
	return whole
}

// mainRun finds the mentions that are the ranking, all[from:to], and says whether
// they are one of all n passages joined by ">".
func mainRun(all []mention, n int) (from, to int, whole bool) {
	to = len(all)
	most := 0
	for at := 0; at < len(all); {
		end, ranked := at+1, n == 1
		for end < len(all) && all[end].joint != apart {
			ranked = ranked || all[end].joint >= behind
			end++
		}
		if ranked {
			if found := distinct(all[at:end], n); found > most {
				from, to, most = at, end, found
			}
			if most == n {
				return from, to, true
			}
		}
		at = end
	}
	return from, to, false
}

// distinct counts the passages that are mentioned.
func distinct(all []mention, n int) int {
	seen, count := make([]bool, n), 0
	for _, m := range all {
		if m.passage >= 0 && !seen[m.passage] {
			seen[m.passage] = true
			count++
		}
	}
	return count
}

// reading is a ranking while it is put together.
type reading struct {
	Ranking
	seen []bool // [n] passages in Order
}

// take adds a mention to the order, if it can.
func (r *reading) take(m mention, asAsked bool) {
	switch {
	case m.passage < 0:
		r.Repairs.OutOfRange++
		return
	case r.seen[m.passage]:
		r.Repairs.Duplicate++
		return
	case !asAsked:
		r.Repairs.WrongForm++
	}
	r.seen[m.passage] = true
	r.Order = append(r.Order, m.passage)
}

// finish adds the missing.
func (r *reading) finish() {
	r.Found = len(r.Order)
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
