package rank

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
)

// foreignScores are the score fields that ortscore nll writes, and rank does not.
var foreignScores = []string{"teacher_scores"}

// stale says whether a row has such a field, which stands beside the new ones as if
// they were of one run. Relabelling drops it.
func (s *Scorer) stale(ex *Example) bool {
	return !s.DropScores && slices.ContainsFunc(foreignScores, ex.Row.Has)
}

// Scores implements job.Scorer. Ask has applied the answers.
func (s *Scorer) Scores(ex *Example, _ []Answer, sum *Summary) (*job.Scores, error) {
	for _, p := range ex.permutations {
		sum.addReadings(p.read)
	}
	if ex.bad != nil {
		return nil, ex.bad
	}
	done := ex.done()
	if len(done) == 0 && !s.EqualScores {
		sum.NoRanking++
		return nil, job.NoScores(ex.Row.Errorf("", "%s", ex.permutations[0].failure))
	}
	order, scores := s.result(ex, done)
	sum.add(ex, order, done)
	// Without a ranking there is nothing to relabel by.
	relabel := s.Relabel && len(done) > 0
	out := ex.scored(order, scores, relabel)
	if s.DropScores || relabel { // by which they go with the order before
		out.Drop = foreignScores
	} else if s.stale(ex) {
		sum.Stale++
	}
	return out, nil
}

// done returns the permutations that have an order.
func (ex *Example) done() []*permutation {
	var out []*permutation
	for _, p := range ex.permutations {
		if p.failure == "" {
			out = append(out, p)
		}
	}
	return out
}

// result makes one order and the scores of all permutations. Passages that are the same
// have one score. Without any ranking, the scores are equal and the order is the row's
// own.
func (s *Scorer) result(ex *Example, done []*permutation) (order []int, scores []float32) {
	if len(done) == 0 {
		order = InputOrder.Order(ex, 0, 0)
		return order, make([]float32, len(order))
	}
	orders, worths := make([][]int, len(done)), make([][]float64, len(done))
	for k, p := range done {
		orders[k], worths[k] = p.sort.Order(), p.sort.Worths()
	}
	order = orders[0]
	if len(done) > 1 {
		order = Aggregate(s.Aggregate, orders, ex.permutations[0].shown)
	}
	return ex.prepared.all(order, Scores(s.Kind, order, MeanWorths(worths)))
}

// scored is a row's scores and, to relabel it, its passages anew: the first becomes pos,
// with those that are the same, since no passage may be a positive and a negative at
// once.
func (ex *Example) scored(order []int, scores []float32, relabel bool) *job.Scores {
	out, pos := &job.Scores{Row: ex.Row}, ex.Pos
	if relabel {
		pos = len(ex.prepared.copies(order[0]))
		out.Fields = relabelled(ex, order, pos)
		ranked := make([]float32, len(order))
		for place, i := range order {
			ranked[place] = scores[i]
		}
		scores = ranked
	}
	out.Lists = []job.List{{Name: "pos_scores", Values: scores[:pos]}, {Name: "neg_scores", Values: scores[pos:]}}
	return out
}

// relabelled makes the first passages pos and the others neg, in the order of
// their ranks, each as it stands in the line.
func relabelled(ex *Example, order []int, pos int) []dataset.Field {
	texts := append(ex.Row.Elements("pos"), ex.Row.Elements("neg")...)
	ranked := make([][]byte, len(order))
	for place, i := range order {
		ranked[place] = texts[i]
	}
	list := func(texts [][]byte) []byte {
		return append(append([]byte("["), bytes.Join(texts, []byte(", "))...), ']')
	}
	return []dataset.Field{{Name: "pos", Value: list(ranked[:pos])}, {Name: "neg", Value: list(ranked[pos:])}}
}

// abridged quotes the beginning of a text on one line.
func abridged(text string) string {
	const most = 80
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return strconv.Quote(text)
}
