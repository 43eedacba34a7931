package ort

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// Trial is what a session's first forwards found. A change is the largest between the
// logits of a position in two forwards, or between its log-probabilities.
type Trial struct {
	Tokens int // of the longest sequence that was tried
	// Later is the change that later tokens made. A causal graph gives about 0.
	Later float64
	// Beside is the change that sequences of other lengths in the batch made, and
	// Equal, where it was tried, that of a sequence of the same length.
	Beside, Equal float64

	// CacheTokens is the longest text that was tried with a cache, CacheSteps the change
	// that reading it in steps made, and CacheBeside the change that texts of other
	// lengths in the cache made to that.
	CacheTokens             int
	CacheSteps, CacheBeside float64
	OneRow                  bool // the cache takes one text at a time
}

// NotCausalError says that later tokens change what a graph gives for earlier ones: an
// answer would see itself.
type NotCausalError struct{ Change float64 }

func (e *NotCausalError) Error() string {
	return fmt.Sprintf("want a causal decoder, got a graph in which later tokens, or the length of the text, change the logits of earlier ones by %.3g", e.Change)
}

// tryMixing settles which sequences may share a batch: short, which is how middle
// begins, middle, and a long one, each by itself and side by side.
func (lm *LM) tryMixing(ctx context.Context, l trialLengths) error {
	middle, long := lm.trialText(l.middle, 0), lm.trialText(l.long, 5)
	short, other := middle[:l.short], long[:l.middle]
	middleAt, shortAt := l.positionsAt()
	t := &lm.info.Trial
	t.Tokens = l.long
	alone, err := lm.runAlone(ctx, middle, middleAt)
	if err != nil {
		return err
	}
	shortAlone, err := lm.runAlone(ctx, short, shortAt)
	if err != nil {
		return err
	}
	if err := lm.wantLogits(alone); err != nil {
		return err
	}
	lm.noteConstant(alone.values)
	later, err := alone.change(shortAlone)
	if err != nil {
		return err
	}
	t.Later = max(t.Later, later)
	if lm.mixing.Alone {
		equal, err := lm.runBatch(ctx, [][]int32{other, middle}, [][]int{nil, middleAt})
		if err != nil {
			return err
		}
		return lm.judgeQuantized(alone, shortAlone, equal[1])
	}
	if t.Later > lm.changeLimit(alone.values) {
		if err := lm.leaks(); err != nil {
			return err
		}
	}
	if !lm.mixing.EqualLengths {
		together, err := lm.runPadded(ctx, lm.trialPads(l.long), [][]int32{long, middle, short}, [][]int{nil, middleAt, shortAt})
		if err != nil {
			return err
		}
		t.Beside = max(t.Beside, alone.changeOrInf(together[1]), shortAlone.changeOrInf(together[2]))
		if t.Beside <= lm.changeLimit(alone.values) {
			return nil
		}
	}
	equal, err := lm.runBatch(ctx, [][]int32{other, middle}, [][]int{nil, middleAt})
	if err == nil {
		lm.keepApart(alone, equal[1])
	}
	return err
}

// wantLogits refuses what the numbers at all words show to be no logits.
func (lm *LM) wantLogits(o *outputs) error {
	if n := lm.info.Vocab; len(o.values) == n*len(o.at) {
		return checkLogits(o.values, n, lm.opts.AllowLeak)
	}
	return nil // log-probabilities, out of a graph whose head is known
}

// noteConstant says where a model computes nothing: kernels that do not run leave such
// numbers behind.
func (s *session) noteConstant(values []float32) {
	const note = "the model gives every word the same number: its scores mean nothing"
	if constant(values) && !slices.Contains(s.info.Notes, note) {
		s.info.Notes = append(s.info.Notes, note)
	}
}

func constant(values []float32) bool {
	return len(values) > 1 && !slices.ContainsFunc(values, func(v float32) bool { return v != values[0] })
}

// checkLogits refuses rows of probabilities and, where these are not allowed, of their
// logarithms, whichever way the graph makes them.
func checkLogits(values []float32, words int, allowed bool) error {
	probabilities, logarithms := true, true
	for row := range slices.Chunk(values, words) {
		sum, negated := 0.0, 0.0
		for _, v := range row {
			probabilities = probabilities && v >= 0 && v <= 1
			sum += math.Exp(float64(v))
			negated += math.Exp(-float64(v))
		}
		const near = 1e-3
		if math.Abs(negated-1) < near {
			return &graph.NotCausalError{Reason: "want logits, got logarithms of probabilities with their signs turned round", Probabilities: true}
		}
		logarithms = logarithms && math.Abs(sum-1) < near
	}
	switch {
	case probabilities && !constant(values):
		return &graph.NotCausalError{Reason: "want logits, got numbers from 0 to 1 for all words: these are probabilities", Probabilities: true}
	case logarithms && !allowed:
		return &graph.NotCausalError{Reason: "want logits, got logarithms of probabilities"}
	}
	return nil
}

// keepApart settles whether sequences of one length may share a batch where others
// may not.
func (lm *LM) keepApart(alone, equal *outputs) {
	t := &lm.info.Trial
	t.Equal = max(t.Equal, alone.changeOrInf(equal))
	how := "the sequences of a batch are of one length, which is slower"
	if t.Equal > lm.changeLimit(alone.values) {
		lm.mixing.Alone = true
		how = "sequences run one at a time, which is slow"
	} else if lm.mixing.EqualLengths { // as settled before
		return
	}
	lm.mixing.EqualLengths = true
	lm.info.Notes = append(lm.info.Notes, fmt.Sprintf("other sequences in its batch change a sequence's logits by %.3g: %s", max(t.Beside, t.Equal), how))
}

// quantizedLater bounds the change that later tokens make by that which neighbours
// make, where one scale is taken over a batch: in a causal graph both come by the scale
// alone. Causal graphs were seen at 0.4 to 1, masked language models from 4.7 up.
const quantizedLater = 3

// judgeQuantized tells a causal graph that quantizes the batch as a whole from one that
// looks ahead.
func (lm *LM) judgeQuantized(alone, short, equal *outputs) error {
	t := &lm.info.Trial
	t.Equal = max(t.Equal, alone.changeOrInf(equal))
	later, neighbours := alone.typicalChange(short), alone.typicalChange(equal)
	if t.Later > float32Part*spread(alone.values) && later > quantizedLater*neighbours {
		return lm.leaks()
	}
	return nil
}

// leaks is an error, or a note where a graph may leak.
func (s *session) leaks() error {
	err := &NotCausalError{s.info.Trial.Later}
	if !s.opts.AllowLeak {
		return err
	}
	if note := err.Error(); !slices.Contains(s.info.Notes, note) {
		s.info.Notes = append(s.info.Notes, note)
	}
	return nil
}

// outputs is what a graph gives at some positions of a sequence.
type outputs struct {
	at     []int     // positions, in rising order
	values []float32 // as many for each position
}

// positionsAt are the positions that a trial looks at, of the middle sequence and of the
// short one that it begins with.
func (l trialLengths) positionsAt() (middle, short []int) {
	at := []int{0, 1, l.short - 1, l.middle - 1}
	slices.Sort(at)
	middle = slices.Compact(at)
	return middle, middle[:len(middle)-1]
}

// runBatch runs sequences in one batch and returns what the graph gives at positions of
// each.
func (lm *LM) runBatch(ctx context.Context, seqs [][]int32, positions [][]int) ([]*outputs, error) {
	return lm.runPadded(ctx, 0, seqs, positions)
}

// trialPads is how much wider than its longest row, of so many tokens, a batch of the
// trial is: one column where batches of the run may be wider too.
func (lm *LM) trialPads(longest int) int {
	if !lm.info.Wider || !lm.mixing.Any() || longest == lm.opts.Context {
		return 0
	}
	return 1
}

// runPadded does so with columns of pads to the right of the longest sequence.
func (lm *LM) runPadded(ctx context.Context, pads int, seqs [][]int32, positions [][]int) ([]*outputs, error) {
	b := &model.Batch{Rows: len(seqs)}
	for _, ids := range seqs {
		b.Lens, b.Width = append(b.Lens, len(ids)), max(b.Width, len(ids)+pads)
	}
	b.TokenIDs = make([]int64, b.Rows*b.Width)
	var at []model.Position
	for r, ids := range seqs {
		for t, id := range ids {
			b.TokenIDs[r*b.Width+t] = int64(id)
		}
		for _, t := range positions[r] {
			at = append(at, model.Position{Row: r, At: t})
		}
	}
	values, err := lm.valuesAt(ctx, b, at)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errFirstForward, err)
	}
	rows := make([]*outputs, len(seqs))
	n := len(values) / len(at)
	for r, p := range positions {
		rows[r] = &outputs{p, values[:n*len(p)]}
		values = values[n*len(p):]
	}
	return rows, nil
}

func (lm *LM) runAlone(ctx context.Context, ids []int32, positions []int) (*outputs, error) {
	rows, err := lm.runBatch(ctx, [][]int32{ids}, [][]int{positions})
	if err != nil {
		return nil, err
	}
	return rows[0], nil
}

// valuesAt returns what the graph gives at places of a batch: logits, or the
// log-probabilities of some words.
func (lm *LM) valuesAt(ctx context.Context, b *model.Batch, at []model.Position) (values []float32, err error) {
	if lm.scoring() {
		return lm.words(ctx, b, at)
	}
	all, err := lm.predictAt(ctx, b, at, askAll(len(at)))
	for _, c := range all {
		values = append(values, c.Logits...)
	}
	return values, err
}

// common calls f with the values of each position that both looked at.
func (g *outputs) common(other *outputs, f func(a, b []float32)) {
	n := len(g.values) / len(g.at)
	for i, t := range g.at {
		if k, ok := slices.BinarySearch(other.at, t); ok {
			f(g.values[i*n:(i+1)*n], other.values[k*n:(k+1)*n])
		}
	}
}

// change is the largest between the outputs of one sequence, or of one and its
// beginning.
func (g *outputs) change(other *outputs) (largest float64, err error) {
	g.common(other, func(a, b []float32) {
		d, bad := largestChange(a, b)
		if bad != nil && err == nil {
			err = bad
		}
		largest = max(largest, d)
	})
	return largest, err
}

// changeOrInf is change, or +Inf where the other's are not finite.
func (g *outputs) changeOrInf(other *outputs) float64 {
	d, err := g.change(other)
	if err != nil {
		return math.Inf(1)
	}
	return d
}

// typicalChange is the root of the mean square.
func (g *outputs) typicalChange(other *outputs) float64 {
	var sum float64
	n := 0
	g.common(other, func(a, b []float32) {
		for i := range a {
			if d := float64(a[i]) - float64(b[i]); !math.IsNaN(d) && !math.IsInf(d, 0) {
				sum += d * d
				n++
			}
		}
	})
	return math.Sqrt(sum / float64(max(1, n)))
}
