package rank

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/ortscore/ortscore/io/dataset"
)

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
			line, err := scored(r.example, order, scores, j.Relabel && len(done) > 0)
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

// result makes one order and the scores of all rankings that were made. Without
// any, the scores are equal and the order is the row's own.
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
	return order, Scores(j.Scores, order, MeanWorths(worths))
}

// scored is the row's line with its scores and, to relabel it, with its passages
// anew.
func scored(ex *Example, order []int, scores []float32, relabel bool) ([]byte, error) {
	pos := ex.Pos
	var fields []dataset.Field
	var drop []string
	if relabel {
		pos = 1
		drop = []string{"teacher_scores"} // of nll: they go with the order before
		fields = relabelled(ex, order)
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

// relabelled makes the first passage pos and the others neg, in the order of
// their ranks, each as it stands in the line.
func relabelled(ex *Example, order []int) []dataset.Field {
	texts := append(ex.Row.Elements("pos"), ex.Row.Elements("neg")...)
	ranked := make([][]byte, len(order))
	for place, i := range order {
		ranked[place] = texts[i]
	}
	list := func(texts [][]byte) []byte {
		return append(append([]byte("["), bytes.Join(texts, []byte(", "))...), ']')
	}
	return []dataset.Field{{Name: "pos", Value: list(ranked[:1])}, {Name: "neg", Value: list(ranked[1:])}}
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
