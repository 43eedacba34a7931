package nll

import (
	"math"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// Summary tells what a run did. Its size does not grow with the input's.
type Summary struct {
	Rows        int `json:"rows"`     // rows with scores
	Rejected    int `json:"rejected"` // rows left out
	Passages    int `json:"passages"` // scores written
	CutPassages int `json:"cut_passages"`
	// SpanDiffers counts rows in which the answer's tokens by offsets and by the
	// reference's rule are not the same.
	SpanDiffers int `json:"span_differs"`
	// OneSided counts rows without pos or without neg, history aside. FlagEmbedding's
	// fine-tuning fails on them.
	OneSided int `json:"one_sided"`
	// Ignored counts rows whose pos and neg got no score, since they have a history.
	Ignored int `json:"ignored_pos_neg"`
	// Repeated counts rows in which a passage stands more than once, as the model sees
	// it; it is scored once, and has one score.
	Repeated int `json:"repeated"`
	// Stale counts rows that keep a score field that this run has not made.
	Stale int `json:"stale_scores"`

	// The scores, over all passages; 0 without any.
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	Max  float64 `json:"max"`
	// Spread is the mean over rows of the standard deviation of a row's scores. A
	// teacher that cannot tell passages apart has a spread near 0, and a student
	// learns nothing from it.
	Spread float64 `json:"spread"`
	// PosFirst counts rows in which one of pos scores above every one of neg, of
	// Labelled rows that have both. A tie is no win: a teacher that gives all
	// passages one score finds nothing.
	PosFirst int `json:"pos_first"`
	Labelled int `json:"labelled"`

	spreads int // rows of two passages and more
}

func (s *Summary) add(row pageRow, scores []float32) {
	wide := make([]float64, len(scores))
	for i, v := range scores {
		wide[i] = float64(v)
	}
	lowest, highest := floats.Min(wide), floats.Max(wide)
	if s.Passages == 0 {
		s.Min, s.Max = lowest, highest
	}
	s.Min, s.Max = math.Min(s.Min, lowest), math.Max(s.Max, highest)
	s.Mean = runningMean(s.Mean, s.Passages, stat.Mean(wide, nil), len(wide))
	s.Passages += len(wide)
	if len(wide) > 1 {
		s.Spread = runningMean(s.Spread, s.spreads, stat.PopStdDev(wide, nil), 1)
		s.spreads++
	}
	if pos := row.example.Pos; pos > 0 && pos < len(wide) {
		s.Labelled++
		if floats.Max(wide[:pos]) > floats.Max(wide[pos:]) {
			s.PosFirst++
		}
	}
	s.Rows++
	s.CutPassages += row.cuts
	if row.differs {
		s.SpanDiffers++
	}
	if row.example.Ignored {
		s.Ignored++
	}
	if row.repeats {
		s.Repeated++
	}
	if pos := row.example.Pos; !row.example.History && (pos == 0 || pos == len(scores)) {
		s.OneSided++
	}
}

// runningMean joins the mean of n values with that of m more.
func runningMean(mean float64, n int, more float64, m int) float64 {
	return mean + (more-mean)*float64(m)/float64(n+m)
}

// Add joins the summary of another file to s.
func (s *Summary) Add(o *Summary) {
	switch {
	case o.Passages == 0:
	case s.Passages == 0:
		s.Min, s.Max = o.Min, o.Max
	default:
		s.Min, s.Max = math.Min(s.Min, o.Min), math.Max(s.Max, o.Max)
	}
	if o.Passages > 0 {
		s.Mean = runningMean(s.Mean, s.Passages, o.Mean, o.Passages)
	}
	if o.spreads > 0 {
		s.Spread = runningMean(s.Spread, s.spreads, o.Spread, o.spreads)
	}
	s.Rows += o.Rows
	s.Rejected += o.Rejected
	s.Passages += o.Passages
	s.CutPassages += o.CutPassages
	s.SpanDiffers += o.SpanDiffers
	s.Ignored += o.Ignored
	s.Repeated += o.Repeated
	s.Stale += o.Stale
	s.OneSided += o.OneSided
	s.PosFirst += o.PosFirst
	s.Labelled += o.Labelled
	s.spreads += o.spreads
}
