package rank

import "slices"

// Summary tells what a run did. Its size does not grow with the input's.
type Summary struct {
	Rows        int `json:"rows"`         // rows with scores
	Rejected    int `json:"rejected"`     // rows left out
	NoRanking   int `json:"no_ranking"`   // of those, rows for which the teacher gave no ranking
	EqualScores int `json:"equal_scores"` // rows with equal scores in place of a ranking
	Passages    int `json:"passages"`     // scores written
	CutPassages int `json:"cut_passages"`
	Lists       int `json:"lists"`  // prompts that were ranked
	Failed      int `json:"failed"` // of those, lists that have no answer: a request that failed, logits that are not finite
	// Truncated counts lists whose answer was cut off before its ranking was whole.
	Truncated int `json:"truncated"`
	// Malformed counts lists whose text had to be repaired, or held no ranking.
	Malformed int     `json:"malformed"`
	Repairs   Repairs `json:"repairs"`
	// OneSided counts rows without pos or without neg. FlagEmbedding's fine-tuning
	// fails on them.
	OneSided int `json:"one_sided"`
	// Repeated counts rows in which a passage stands more than once, as the teacher
	// sees it; it is shown once, and has one score.
	Repeated int `json:"repeated"`
	// Stale counts rows that keep a score field of ortscore nll, which this run has
	// not made.
	Stale int `json:"stale_scores"`

	// Mass is the mean, over lists, of the probability that the teacher gave to what
	// is a ranking at all; LowMass counts lists with less than LowMass.
	Mass    float64 `json:"mass"`
	LowMass int     `json:"low_mass"`
	// Disagreement is the mean, over rows of several passages, of what their
	// permutations disagree in.
	Disagreement float64 `json:"disagreement"`

	// PosFirst counts rows in which one of pos is ranked first, of Labelled rows
	// that have pos and neg.
	PosFirst int `json:"pos_first"`
	Labelled int `json:"labelled"`
	// ShownFirst counts rankings of several passages, of Shown, whose first is the
	// one that was shown first. A teacher without a bias for a place has about one
	// in as many as there are passages.
	ShownFirst int `json:"shown_first"`
	Shown      int `json:"shown"`

	FullTokens int `json:"full_tokens"` // that all rankings have when written out

	permuted int // rows in Disagreement
}

// LowMass is the mass below which a teacher would rather have written something
// other than a ranking.
const LowMass = 0.5

// add counts a row with scores.
func (s *Summary) add(r *row, order []int, done []*ranking) {
	s.Rows++
	s.Passages += len(order)
	for _, k := range r.prepared.same {
		if r.cut[k] {
			s.CutPassages++
		}
	}
	if r.prepared.repeats() {
		s.Repeated++
	}
	pos := r.example.Pos
	if pos == 0 || pos == len(order) {
		s.OneSided++
	}
	if len(done) == 0 {
		s.EqualScores++
		s.NoRanking++
	} else if pos > 0 && pos < len(order) {
		s.Labelled++
		if slices.Max(r.prepared.copies(order[0])) < pos { // a tie with one of neg is no win
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
	if len(orders) > 1 && len(r.prepared.passages) > 1 {
		s.Disagreement = mean(s.Disagreement, s.permuted, Disagreement(orders), 1)
		s.permuted++
	}
}

func (s *Summary) addReadings(readings []Reading) {
	for _, r := range readings {
		s.Mass = mean(s.Mass, s.Lists, r.Mass, 1)
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
		case r.Err != nil:
			s.Failed++
		}
	}
}

// mean joins the mean of n values with that of m more.
func mean(mean float64, n int, more float64, m int) float64 {
	if n+m == 0 {
		return 0
	}
	return mean + (more-mean)*float64(m)/float64(n+m)
}

// Add joins the summary of another file to s.
func (s *Summary) Add(o *Summary) {
	s.Mass = mean(s.Mass, s.Lists, o.Mass, o.Lists)
	s.Disagreement = mean(s.Disagreement, s.permuted, o.Disagreement, o.permuted)
	s.Repairs.Add(o.Repairs)
	for _, n := range []struct {
		to   *int
		more int
	}{
		{&s.Rows, o.Rows}, {&s.Rejected, o.Rejected}, {&s.NoRanking, o.NoRanking}, {&s.EqualScores, o.EqualScores},
		{&s.Passages, o.Passages}, {&s.CutPassages, o.CutPassages}, {&s.Lists, o.Lists}, {&s.Failed, o.Failed}, {&s.Malformed, o.Malformed}, {&s.Truncated, o.Truncated},
		{&s.OneSided, o.OneSided}, {&s.Repeated, o.Repeated}, {&s.Stale, o.Stale}, {&s.LowMass, o.LowMass}, {&s.PosFirst, o.PosFirst}, {&s.Labelled, o.Labelled},
		{&s.ShownFirst, o.ShownFirst}, {&s.Shown, o.Shown}, {&s.FullTokens, o.FullTokens}, {&s.permuted, o.permuted},
	} {
		*n.to += n.more
	}
}
