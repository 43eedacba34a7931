package nll

import (
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"github.com/ortscore/ortscore/io/job"
)

// Summary tells what a run did. Its size does not grow with the input's.
type Summary struct {
	job.Counts
	// SpanDiffers counts rows in which the answer's tokens by offsets and by the
	// reference's rule are not the same.
	SpanDiffers int `json:"span_differs"`
	// Ignored counts rows whose pos and neg got no score, since they have a history.
	Ignored int `json:"ignored_pos_neg"`

	// The scores, over all passages; 0 without any.
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
	// Spread is the mean over rows of the standard deviation of a row's scores. A
	// teacher that cannot tell passages apart has a spread near 0, and a student
	// learns nothing from it.
	Spread float64 `json:"spread"`
	// Spreads counts the rows of two passages and more, which Spread is the mean of.
	Spreads int `json:"spreads"`
}

// add counts a row with its scores.
func (s *Summary) add(ex *Example, scores []float32, stale bool) {
	wide := make([]float64, len(scores))
	for i, v := range scores {
		wide[i] = float64(v)
	}
	s.Min, s.Max = job.Extremes(s.Min, s.Max, s.Passages, floats.Min(wide), floats.Max(wide), len(wide))
	s.Mean = job.MergeMeans(s.Mean, s.Passages, stat.Mean(wide, nil), len(wide))
	s.Passages += len(wide)
	if len(wide) > 1 {
		s.Spread = job.MergeMeans(s.Spread, s.Spreads, stat.PopStdDev(wide, nil), 1)
		s.Spreads++
	}
	both := ex.Pos > 0 && ex.Pos < len(wide)
	s.Rows++
	s.CutPassages += ex.Cuts
	s.Labelled += count(both)
	s.PosFirst += count(both && floats.Max(wide[:ex.Pos]) > floats.Max(wide[ex.Pos:]))
	s.OneSided += count(!both && !ex.History)
	s.SpanDiffers += count(ex.SpanDiffers)
	s.Ignored += count(ex.Ignored)
	s.Repeated += count(ex.Repeats)
	s.Stale += count(stale)
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// Add joins the summary of another file to s.
func (s *Summary) Add(o *Summary) {
	s.Min, s.Max = job.Extremes(s.Min, s.Max, s.Passages, o.Min, o.Max, o.Passages)
	s.Mean = job.MergeMeans(s.Mean, s.Passages, o.Mean, o.Passages)
	s.Spread = job.MergeMeans(s.Spread, s.Spreads, o.Spread, o.Spreads)
	s.Counts.Add(&o.Counts)
	s.SpanDiffers += o.SpanDiffers
	s.Ignored += o.Ignored
	s.Spreads += o.Spreads
}
