package job

import "math"

// Summary tells what a run did. Its size does not grow with the input's.
type Summary interface {
	Count() *Counts
}

// Counts is what every summary counts.
type Counts struct {
	Rows        int `json:"rows"`     // with scores
	Rejected    int `json:"rejected"` // left out
	Passages    int `json:"passages"` // scores written
	CutPassages int `json:"cut_passages"`
	// OneSided counts rows without pos or without neg, those with a history aside.
	// FlagEmbedding's fine-tuning fails on them.
	OneSided int `json:"one_sided"`
	// Repeated counts rows in which a passage stands more than once, as the model sees
	// it; it is scored once, and has one score.
	Repeated int `json:"repeated"`
	// Stale counts rows that keep a score field that this run has not made.
	Stale int `json:"stale_scores"`
	// PosFirst counts rows in which one of pos is the best, of Labelled rows that have
	// pos and neg. A tie is no win: a teacher that gives all passages one score finds
	// nothing.
	PosFirst int `json:"pos_first"`
	Labelled int `json:"labelled"`
}

// Count implements Summary for what embeds Counts.
func (c *Counts) Count() *Counts { return c }

// Add adds the counts of another run.
func (c *Counts) Add(o *Counts) {
	c.Rows += o.Rows
	c.Rejected += o.Rejected
	c.Passages += o.Passages
	c.CutPassages += o.CutPassages
	c.OneSided += o.OneSided
	c.Repeated += o.Repeated
	c.Stale += o.Stale
	c.PosFirst += o.PosFirst
	c.Labelled += o.Labelled
}

// MergeMeans returns the mean of n values with that of m more; 0 of none.
func MergeMeans(mean float64, n int, more float64, m int) float64 {
	if n+m == 0 {
		return 0
	}
	return mean + (more-mean)*float64(m)/float64(n+m)
}

// Extremes joins the least and the largest of n values with those of m more.
func Extremes(least, largest float64, n int, least2, largest2 float64, m int) (float64, float64) {
	switch {
	case m == 0:
		return least, largest
	case n == 0:
		return least2, largest2
	}
	return math.Min(least, least2), math.Max(largest, largest2)
}
