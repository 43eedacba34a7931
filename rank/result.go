package rank

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/ortscore/ortscore/io/dataset"
)

// foreignScores are the score fields that ortscore nll writes, and rank does not.
var foreignScores = []string{"teacher_scores"}

// stale says whether a row has such a field, which stands beside the new ones as if
// they were of one run. Relabelling drops it.
func (j *Job) stale(ex *Example) bool {
	return !j.DropScores && slices.ContainsFunc(foreignScores, ex.Row.Has)
}

// write writes one row with its scores, or hands it to Rejects.
func (j *Job) write(r *row, out Output, sum *Summary) error {
	for _, k := range r.rankings {
		sum.addReadings(k.read)
	}
	if r.bad == nil {
		done := r.done()
		if len(done) > 0 || j.EqualScores {
			order, scores := j.result(r, done)
			// Without a ranking there is nothing to relabel by.
			relabel := j.Relabel && len(done) > 0
			var drop []string
			if j.DropScores || relabel { // by which they go with the order before
				drop = foreignScores
			} else if j.stale(r.example) {
				sum.Stale++
			}
			line, err := r.scored(order, scores, relabel, drop)
			if err != nil {
				return err
			}
			sum.add(r, order, done)
			return out.Write(line)
		}
		sum.NoRanking++
		r.bad = r.example.Row.Errorf("", "%s", r.rankings[0].failure)
	}
	if j.Rejects == nil {
		return r.bad
	}
	sum.Rejected++
	return j.Rejects.Add(r.bad)
}

// done returns the rankings that have an order.
func (r *row) done() []*ranking {
	var out []*ranking
	for _, k := range r.rankings {
		if k.failure == "" {
			out = append(out, k)
		}
	}
	return out
}

// result makes one order and the scores of all rankings that were made. Passages
// that are the same have one score. Without any ranking, the scores are equal and
// the order is the row's own.
func (j *Job) result(r *row, done []*ranking) (order []int, scores []float32) {
	if len(done) == 0 {
		order = InputOrder.Order(r.example, 0, 0)
		return order, make([]float32, len(order))
	}
	orders, worths := make([][]int, len(done)), make([][]float64, len(done))
	for k, ranking := range done {
		orders[k], worths[k] = ranking.sort.Order(), ranking.sort.Worths()
	}
	order = orders[0]
	if len(done) > 1 {
		order = Aggregate(j.Aggregate, orders, r.rankings[0].shown)
	}
	return r.prepared.all(order, Scores(j.Scores, order, MeanWorths(worths)))
}

// scored is the row's line with its scores and, to relabel it, with its passages
// anew: the first becomes pos, with those that are the same, since no passage may
// be a positive and a negative at once.
func (r *row) scored(order []int, scores []float32, relabel bool, drop []string) ([]byte, error) {
	ex := r.example
	pos := ex.Pos
	var fields []dataset.Field
	if relabel {
		pos = len(r.prepared.copies(order[0]))
		fields = relabelled(ex, order, pos)
		ranked := make([]float32, len(order))
		for place, i := range order {
			ranked[place] = scores[i]
		}
		scores = ranked
	}
	posScores, errPos := dataset.Floats(scores[:pos])
	negScores, errNeg := dataset.Floats(scores[pos:])
	fields = append(fields, dataset.Field{Name: "pos_scores", Value: posScores}, dataset.Field{Name: "neg_scores", Value: negScores})
	return ex.Row.Splice(fields, drop), errors.Join(errPos, errNeg)
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
