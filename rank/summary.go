package rank

import (
	"slices"

	"github.com/ortscore/ortscore/io/job"
)

// Summary tells what a run did. Its size does not grow with the input's.
type Summary struct {
	job.Counts
	NoRanking   int `json:"no_ranking"`   // rows for which the teacher gave no ranking
	EqualScores int `json:"equal_scores"` // of those, rows with equal scores in place of a ranking
	Lists       int `json:"lists"`        // prompts that were ranked
	Failed      int `json:"failed"`       // of those, lists that have no answer: a request that failed, logits that are not finite
	// Truncated counts lists whose answer was cut off before its ranking was whole.
	Truncated int `json:"truncated"`
	// Malformed counts lists whose text had to be repaired, or held no ranking.
	Malformed int     `json:"malformed"`
	Repairs   Repairs `json:"repairs"`

	// Mass is the mean, over lists, of the probability that the teacher gave to what
	// is a ranking at all; LowMass counts lists with less than LowMass.
	Mass    float64 `json:"mass"`
	LowMass int     `json:"low_mass"`
	// Disagreement is the mean, over rows of several passages, of what their
	// permutations disagree in.
	Disagreement float64 `json:"disagreement"`
	Permuted     int     `json:"permuted"` // rows in Disagreement

	// ShownFirst counts rankings of several passages, of Shown, whose first is the
	// one that was shown first. A teacher without a bias for a place has about one
	// in as many as there are passages.
	ShownFirst int `json:"shown_first"`
	Shown      int `json:"shown"`

	FullTokens int `json:"full_tokens"` // that all rankings have when written out
}

// LowMass is the mass below which a teacher would rather have written something
// other than a ranking.
const LowMass = 0.5

// add counts a row with scores.
func (s *Summary) add(ex *Example, order []int, done []*permutation) {
	s.Rows++
	s.Passages += len(order)
	s.CutPassages += ex.cutPassages()
	if ex.prepared.repeats() {
		s.Repeated++
	}
	pos := ex.Pos
	if pos == 0 || pos == len(order) {
		s.OneSided++
	}
	if len(done) == 0 {
		s.EqualScores++
		s.NoRanking++
	} else if pos > 0 && pos < len(order) {
		s.Labelled++
		if slices.Max(ex.prepared.copies(order[0])) < pos { // a tie with one of neg is no win
			s.PosFirst++
		}
	}
	var orders [][]int
	for _, k := range done {
		orders = append(orders, k.sort.Order())
		if len(k.shown) > 1 {
			s.Shown++
			if k.sort.Order()[0] == k.shown[0] {
				s.ShownFirst++
			}
		}
	}
	if len(orders) > 1 && len(ex.prepared.passages) > 1 {
		s.Disagreement = job.MergeMeans(s.Disagreement, s.Permuted, Disagreement(orders), 1)
		s.Permuted++
	}
}

func (s *Summary) addReadings(readings []Reading) {
	for _, r := range readings {
		s.Mass = job.MergeMeans(s.Mass, s.Lists, r.Mass, 1)
		s.Lists++
		s.FullTokens += r.Full
		s.Repairs.Add(r.Repairs)
		if r.Mass < LowMass {
			s.LowMass++
		}
		switch {
		case r.Truncated:
			s.Truncated++
		case r.Repairs != (Repairs{}):
			s.Malformed++
		case r.Failure != "":
			s.Failed++
		}
	}
}

// Add joins the summary of another file to s.
func (s *Summary) Add(o *Summary) {
	s.Mass = job.MergeMeans(s.Mass, s.Lists, o.Mass, o.Lists)
	s.Disagreement = job.MergeMeans(s.Disagreement, s.Permuted, o.Disagreement, o.Permuted)
	s.Counts.Add(&o.Counts)
	s.Repairs.Add(o.Repairs)
	s.NoRanking += o.NoRanking
	s.EqualScores += o.EqualScores
	s.Lists += o.Lists
	s.Failed += o.Failed
	s.Truncated += o.Truncated
	s.Malformed += o.Malformed
	s.LowMass += o.LowMass
	s.Permuted += o.Permuted
	s.ShownFirst += o.ShownFirst
	s.Shown += o.Shown
	s.FullTokens += o.FullTokens
}
