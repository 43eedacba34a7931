package model

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// LM scores sequences with a language model.
type LM struct {
	// Scorers run the model: one for each device or copy of it, all alike. Each is
	// used by one goroutine at a time.
	Scorers []Scorer

	// Limits bounds a batch. Where one runs out of memory, Limits.Tokens becomes half
	// of what it had, for good.
	Limits Limits
	// Tuner, if set, chooses the tokens of a batch, within Limits.Tokens.
	Tuner *Tuner

	// Widest, if set, rounds the widths of batches up, where that costs little, to so
	// many tokens at most: for a device that prepares for each new shape.
	Widest int

	// LogitsMemory bounds the bytes of the fp32 logits [n, V] in one run of a
	// Scorer, whose log-softmax takes as much once or twice again; 0 for no bound.
	// Batches are cut to it. A row that takes more by itself runs once for each part
	// of what is asked of it.
	LogitsMemory int

	// OnBatch, if set, is called after each batch, by one goroutine at a time.
	OnBatch func(BatchStats)
	// OnShrink, if set, is called likewise where a batch ran out of memory, with the
	// tokens that are allowed from then on.
	OnShrink func(tokens int, err error)

	rowTokens int // most of a row of several sequences, once memory ran out; 0 before
}

// BatchStats tells what one batch was.
type BatchStats struct {
	Rows      int           // B
	Sequences int           // those that were given their values, identical ones each
	Copies    int           // of these, the ones that did not run, since an identical one did
	Tokens    int           // real tokens that ran
	Shared    int           // tokens that did not, since another sequence of their row begins with them
	Padding   int           // pads among the B*T
	Duration  time.Duration // of the model's run

	// Work is the batch's share of the call, by real tokens, in sequences: over a
	// call it adds up to the number of sequences that are not known. The longest go
	// first, so sequences alone would make a slow start look like a long job.
	Work float64
}

// LogProbs computes the log-probabilities, in nats, of what each sequence asks, and
// hands them to done as soon as the batch has run: once for each sequence that is not
// known, i of Blocks[block], with a value for each of its Asks. done is called by one
// goroutine at a time, in no promised order; it may keep the values and may not change
// them, since identical sequences of a block run once and share theirs. Values that are
// not finite are handed on as they are. After an error, what was handed on is right.
//
// Batches are formed over all blocks of the call. What runs in one row is decided by
// the block alone and not by what is known: where any sequence of a row is not, all of
// it runs again. Once memory ran out, shorter rows hold fewer sequences, and the last
// digits may be others.
func (lm *LM) LogProbs(ctx context.Context, blocks []Block, done func(block, i int, logProbs []float32)) error {
	run := &scoring{LM: lm, hand: done}
	var rows []tree
	for b, block := range blocks {
		planned, err := run.plan(b, block)
		if err != nil {
			return err
		}
		rows = append(rows, planned...)
	}
	run.queue = newQueue(run.seqs, rows, lm.mixing(), lm.mostPositions(), run.wanted)
	if lm.mixing().Any() { // else a width may mean something
		run.queue.widest = lm.Widest
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range lm.Scorers {
		group.Go(func() error { return run.work(ctx, s) })
	}
	return group.Wait()
}

// vocab is the number of words that every scorer can score.
func (lm *LM) vocab() int {
	words := math.MaxInt32
	for _, s := range lm.Scorers {
		words = min(words, s.Vocab())
	}
	return words
}

// mixing is what holds for every scorer: they are all alike but for what was found
// out when they were opened.
func (lm *LM) mixing() Mixing {
	all := lm.Scorers[0].Mixing()
	for _, s := range lm.Scorers[1:] {
		all = all.and(s.Mixing())
	}
	return all
}

// trees is what every scorer takes. A row of several sequences is as long as none of
// them: where lengths matter, each has a row of its own.
func (lm *LM) trees() Trees {
	if !lm.mixing().Any() {
		return Trees{}
	}
	all := lm.Scorers[0].Trees()
	for _, s := range lm.Scorers[1:] {
		one := s.Trees()
		all = Trees{min(all.Tokens, one.Tokens), min(all.Pairs, one.Pairs)}
	}
	if lm.rowTokens > 0 {
		all.Tokens = min(all.Tokens, lm.rowTokens)
	}
	return all
}

// mostPositions is how many positions a run of a Scorer may ask for.
func (lm *LM) mostPositions() int {
	if lm.LogitsMemory <= 0 {
		return math.MaxInt
	}
	return max(1, lm.LogitsMemory/(4*max(1, lm.vocab())))
}

// scoring is one call of LogProbs.
type scoring struct {
	*LM
	seqs   []Sequence // of all blocks
	places []place    // [len(seqs)] where the caller has them
	takers [][]int    // [len(seqs)] those that are given the values of each, copies and itself
	wanted int        // sequences that are not known
	queue  *queue
	hand   func(block, i int, logProbs []float32)

	mu      sync.Mutex // of what is told, and of Limits and Tuner
	handing sync.Mutex // of hand, which may take its time
}

// place is a sequence's place among the blocks.
type place struct{ block, i int }

// plan lays out the rows of a block, by all of its sequences, and leaves out those of
// which all is known.
func (r *scoring) plan(b int, block Block) ([]tree, error) {
	if n := len(block.Sequences); block.Known != nil && len(block.Known) != n {
		return nil, fmt.Errorf("block %d: want Known for each of %d sequences, got %d", b, n, len(block.Known))
	}
	first, vocab := len(r.seqs), r.vocab()
	r.seqs = append(r.seqs, block.Sequences...)
	r.takers = append(r.takers, make([][]int, len(block.Sequences))...)
	var order []int
	for i, as := range identical(block.Sequences) {
		if err := block.Sequences[i].check(vocab); err != nil {
			return nil, fmt.Errorf("block %d, sequence %d: %w", b, i, err)
		}
		if as == i {
			order = append(order, first+i)
		}
		r.places = append(r.places, place{b, i})
		if !block.known(i) {
			r.takers[first+as] = append(r.takers[first+as], first+i)
			r.wanted++
		}
	}
	rows := plant(r.seqs, order, r.trees())
	return slices.DeleteFunc(rows, func(row tree) bool {
		return !slices.ContainsFunc(row.branches, func(br branch) bool { return len(r.takers[br.seq]) > 0 })
	}), nil
}

// work runs batches on one Scorer until none is left.
func (r *scoring) work(ctx context.Context, s Scorer) error {
	var b Batch // its memory serves every batch
	for {
		r.mu.Lock()
		budget := r.budget(r.queue.longest())
		rows := r.queue.next(Limits{budget, r.Limits.Rows})
		r.mu.Unlock()
		if len(rows) == 0 {
			return nil
		}
		b.fillTo(r.queue.width(rows[0].tokens), r.seqs, rows)
		start := time.Now()
		logProbs, err := r.score(ctx, s, &b, rows)
		switch {
		case errors.Is(err, ErrOutOfMemory) && (len(rows) > 1 || len(rows[0].branches) > 1):
			err = r.shrink(ctx, s, &b, rows, err)
		case err == nil:
			took := time.Since(start)
			r.handOn(rows, logProbs)
			r.done(&b, rows, budget, took)
		}
		if err != nil {
			return err
		}
	}
}

// Budget is the tokens that a batch may hold now. It is not to be called while
// LogProbs runs.
func (lm *LM) Budget() int { return lm.budget(0) }

// budget is the tokens of a batch whose longest sequence has so many.
func (lm *LM) budget(longest int) int {
	if lm.Tuner == nil {
		return lm.Limits.Tokens
	}
	budget := lm.Tuner.Tokens(longest)
	if lm.Limits.Tokens > 0 {
		budget = min(budget, lm.Limits.Tokens)
	}
	return budget
}

// shrink takes back a batch that was too large for the memory. Some sessions stay
// broken after it, so the scorer is made anew.
func (r *scoring) shrink(ctx context.Context, s Scorer, b *Batch, rows []tree, cause error) error {
	if again, ok := s.(Reopener); ok {
		if err := again.Reopen(ctx); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	half := b.Rows * b.Width / 2
	if r.Limits.Tokens <= 0 || half < r.Limits.Tokens {
		r.Limits.Tokens = half
	}
	r.rowTokens = r.Limits.Tokens
	if r.Tuner != nil {
		r.Tuner.bound(r.Limits.Tokens)
	}
	r.queue.putBack(rows, r.Limits.Tokens)
	if r.OnShrink != nil {
		r.OnShrink(r.Limits.Tokens, cause)
	}
	return nil
}

// done tells of a batch that ran.
func (r *scoring) done(b *Batch, rows []tree, budget int, took time.Duration) {
	stats := BatchStats{Rows: b.Rows, Duration: took}
	for _, row := range rows {
		stats.Tokens += row.tokens
		for _, br := range row.branches {
			stats.Shared += br.shared
			stats.Sequences += len(r.takers[br.seq])
			stats.Copies += max(0, len(r.takers[br.seq])-1)
		}
	}
	stats.Padding = b.Rows*b.Width - stats.Tokens
	r.mu.Lock()
	defer r.mu.Unlock()
	stats.Work = float64(stats.Tokens) * r.queue.perToken
	if r.Tuner != nil {
		r.Tuner.Ran(budget, stats.Tokens+stats.Padding, stats.Tokens, took)
	}
	if r.OnBatch != nil {
		r.OnBatch(stats)
	}
}

// score runs one batch and returns the values of its sequences, one after another. The
// token at position t is predicted at t-1:
//
//	position   0    1    2    3    4
//	token      Q    Q    A    A    A     asked at 2, 3, 4
//	logits     .   A2   A3   A4    .     positions 1, 2, 3 predict them
func (r *scoring) score(ctx context.Context, s Scorer, b *Batch, rows []tree) ([]float32, error) {
	var at []Position
	for n, row := range rows {
		for k, br := range row.branches {
			for _, ask := range r.seqs[br.seq].Asks {
				at = append(at, Position{Row: n, At: row.place(k, ask.At-1), Target: ask.Token})
			}
		}
	}
	logProbs := make([]float32, len(at))
	for from := 0; from < len(at); {
		to := from + min(len(at)-from, r.mostPositions())
		if err := s.LogProbs(ctx, b, at[from:to], logProbs[from:to]); err != nil {
			return nil, err
		}
		from = to
	}
	return logProbs, nil
}

// handOn gives the values of a batch to those that want them.
func (r *scoring) handOn(rows []tree, logProbs []float32) {
	r.handing.Lock()
	defer r.handing.Unlock()
	for _, row := range rows {
		for _, br := range row.branches {
			n := len(r.seqs[br.seq].Asks)
			for _, taker := range r.takers[br.seq] {
				r.hand(r.places[taker].block, r.places[taker].i, logProbs[:n:n])
			}
			logProbs = logProbs[n:]
		}
	}
}

// check refuses what no model could score. A token that is asked needs a logit; those
// of the text are the model's own affair: some embed more words than they score.
func (s Sequence) check(vocab int) error {
	if len(s.Asks) == 0 {
		return errors.New("want a token to score, got none")
	}
	before := 1
	for _, ask := range s.Asks {
		if ask.At < before || ask.At > len(s.Tokens) {
			return fmt.Errorf("want places to score within 1..%d, in ascending order, got %d", len(s.Tokens), ask.At)
		}
		before = ask.At
		if ask.Token < 0 || int(ask.Token) >= vocab {
			return fmt.Errorf("want tokens to score below the model's vocabulary of %d, got %d", vocab, ask.Token)
		}
	}
	for _, id := range s.Tokens {
		if id < 0 {
			return fmt.Errorf("want token ids of 0 and above, got %d", id)
		}
	}
	return nil
}

// eachRow calls work for rows 0..n-1 from several goroutines, each with its own
// scratch of the given size, and waits for all.
func eachRow(n, size int, work func(r int, scratch []float32)) {
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			scratch := make([]float32, size)
			for r := next.Add(1) - 1; int(r) < n; r = next.Add(1) - 1 {
				work(int(r), scratch)
			}
		})
	}
	wg.Wait()
}
