package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Generator writes on from prompts, many rows at once.
type Generator struct {
	// Decoders run the model: one for each device or copy of it, all alike. Each is
	// used by one goroutine at a time.
	Decoders []Decoder

	Limits   Limits // Tokens of one prefill, padding included; Rows that are decoded side by side
	Sampling Sampling
	Stops    []int32 // tokens that end a text, such as EOS; they are not part of it
	// CacheTokens bounds the tokens that the cache has room for: its rows times the
	// longest text. One row is always there; 0 for no bound.
	CacheTokens int

	// OnStep, if set, is called after each forward, by one goroutine at a time.
	OnStep func(StepStats)

	// OnShrink, if set, is called likewise each time that memory ran out, with the
	// smaller Limits of what follows on that decoder, and of calls after this one.
	OnShrink func(Limits)

	mu      sync.Mutex // of Limits and CacheTokens, and of what is told
	handing sync.Mutex // of texts that are handed on, which may take its time
}

// Prompt is a text to go on from.
type Prompt struct {
	Tokens []int32
	MaxNew int    // most tokens that are written
	Guide  Guide  // nil for free text
	Seed   uint64 // of sampling

	// Done, if set, is asked after every token whether the text is complete. It may
	// run beside that of other prompts.
	Done func(written []int32) bool
}

// Generated is what was written after a prompt.
type Generated struct {
	Tokens []int32
	// Choices are the places where more than one token could follow, and the first
	// place, be it forced or not.
	Choices []Choice
	Stop    StopReason
	Err     error // a *NonFiniteError, after which nothing was written
}

// StopReason says why a text ended.
type StopReason string

// The reasons: a stop token, Done, the guide, or MaxNew.
const (
	StopToken  StopReason = "stop token"
	StopDone   StopReason = "done"
	StopGuide  StopReason = "guide"
	StopLength StopReason = "length"
)

// StepStats tells what one forward of a Generator was.
type StepStats struct {
	Prefill bool
	Rows    int // sequences that read tokens
	Tokens  int // tokens that were read; of a prompt also those that its cache had
	Padding int // of a prefill
	Ended   int // texts that ended with it

	Duration time.Duration // of the model's run
}

// Generate writes on from the prompts and hands each text to done as soon as it has
// ended, with its prompt's place, by one goroutine at a time; an error of done ends
// it. A text depends on its own prompt, not on the rows beside it.
//
// Where memory runs out and the Decoder is a Reopener, it goes on with half the
// rows: texts under way begin anew. A single row that ran out of memory is tried once
// more; the second time is an error.
func (g *Generator) Generate(ctx context.Context, prompts []Prompt, done func(i int, text Generated) error) error {
	for i, p := range prompts {
		if len(p.Tokens) == 0 || p.MaxNew < 1 {
			return fmt.Errorf("prompt %d: want a token or more and room for one, got %d and %d", i, len(p.Tokens), p.MaxNew)
		}
	}
	// Like lengths stand together, and the longest go first: what is too big for
	// the memory shows at once.
	for _, class := range g.classes(prompts, longestFirst(prompts)) {
		if err := g.generate(ctx, prompts, class, done); err != nil {
			return err
		}
	}
	return nil
}

// generate writes the texts of one class, over all decoders.
func (g *Generator) generate(ctx context.Context, prompts []Prompt, class class, done func(int, Generated) error) error {
	runs := make([]*generation, len(g.Decoders))
	for k, d := range g.Decoders {
		runs[k] = &generation{Generator: g, decoder: d, traits: d.Traits(), limits: g.Limits, cacheTokens: g.CacheTokens, done: done}
		if class.crosses { // each in a cache of its own: the one before may have passed the break
			runs[k].traits.MaxRows, runs[k].traits.Refill = 1, false
		}
	}
	for k, i := range class.prompts {
		run := runs[k%len(runs)]
		run.queue = append(run.queue, newWriter(g, i, prompts[i]))
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, run := range runs {
		group.Go(func() error { return run.all(ctx) })
	}
	return group.Wait()
}

// class is texts that may be in the cache at once, by their place among the prompts.
type class struct {
	prompts []int
	crosses bool // each may pass a break as it grows, and is written by itself
}

// classes parts the prompts, in the order given, by the breaks of the decoders,
// which are all alike.
func (g *Generator) classes(prompts []Prompt, order []int) []class {
	mixing := Mixing{Breaks: g.Decoders[0].Traits().Breaks}
	var crossing class
	var classes []class
	longest := 0 // prompt of the last class
	for _, i := range order {
		n := len(prompts[i].Tokens)
		switch {
		case mixing.Crosses(n, n+prompts[i].MaxNew):
			crossing.prompts, crossing.crosses = append(crossing.prompts, i), true
		case len(classes) == 0 || !mixing.Takes(longest, n):
			classes, longest = append(classes, class{prompts: []int{i}}), n
		default:
			last := &classes[len(classes)-1]
			last.prompts = append(last.prompts, i)
		}
	}
	if crossing.crosses {
		classes = append(classes, crossing)
	}
	return classes
}

// longestFirst returns the places of the prompts, the longest first.
func longestFirst(prompts []Prompt) []int {
	order := make([]int, len(prompts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(prompts[b].Tokens), len(prompts[a].Tokens)) })
	return order
}

// generation is the part of one call of Generate that one decoder does.
type generation struct {
	*Generator
	decoder     Decoder
	traits      Traits
	limits      Limits
	cacheTokens int
	queue       []*writer // not yet begun
	rows        []*writer // by the decoder's row; nil where it is free
	capacity    int       // tokens that a row of the cache has room for
	lastTry     bool      // a single row ran out of memory before
	live        int
	done        func(i int, text Generated) error
}

// all takes turns until every text has ended.
func (g *generation) all(ctx context.Context) error {
	for len(g.queue) > 0 || g.live > 0 {
		err := g.turn(ctx)
		if errors.Is(err, ErrOutOfMemory) {
			err = g.shrink(ctx, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sort puts the longest prompts first, and those of one length in their order.
func (g *generation) sort() {
	slices.SortFunc(g.queue, func(a, b *writer) int {
		return cmp.Or(cmp.Compare(len(b.prompt.Tokens), len(a.prompt.Tokens)), cmp.Compare(a.index, b.index))
	})
}

// turn fills free rows, where it is time to, and takes one step.
func (g *generation) turn(ctx context.Context) error {
	if g.live == 0 && (!g.traits.Refill || g.rows == nil || g.tooRoomy()) {
		if err := g.open(); err != nil {
			return err
		}
	}
	if g.live == 0 || g.traits.Refill && !g.tooRoomy() {
		if err := g.fill(ctx); err != nil {
			return err
		}
	}
	if g.live == 0 {
		return nil
	}
	return g.step(ctx)
}

// tooRoomy says that long texts have left the cache with fewer rows than those to
// come could have: it is better to let the last of them end, and to begin anew.
func (g *generation) tooRoomy() bool {
	return len(g.queue) > len(g.rows) && len(g.rows) < g.mostRows() && 2*longest(g.queue) <= g.capacity
}

// mostRows is how many rows there may be, whatever the texts' length.
func (g *generation) mostRows() int {
	most := len(g.queue)
	for _, bound := range []int{g.limits.Rows, g.traits.MaxRows} {
		if bound > 0 {
			most = min(most, bound)
		}
	}
	return most
}

// longest returns the tokens of the longest text, prompt and answer.
func longest(queue []*writer) int {
	most := 0
	for _, w := range queue {
		most = max(most, len(w.prompt.Tokens)+w.prompt.MaxNew)
	}
	return most
}

// open makes room for the rows of the next wave or, where rows are refilled, of
// all that is in the queue.
func (g *generation) open() error {
	n := g.mostRows()
	coming := g.queue
	if !g.traits.Refill {
		coming = g.queue[:n]
	}
	g.capacity = longest(coming)
	if g.cacheTokens > 0 {
		n = max(1, min(n, g.cacheTokens/g.capacity))
	}
	g.rows = make([]*writer, n)
	// The queue begins with the longest prompt.
	return g.decoder.Reset(n, len(g.queue[0].prompt.Tokens), g.capacity)
}

// fill puts prompts from the queue into the free rows, neighbouring rows
// together while their prefill stays within the limit.
func (g *generation) fill(ctx context.Context) error {
	for first := 0; first < len(g.rows) && len(g.queue) > 0; {
		if g.rows[first] != nil {
			first++
			continue
		}
		width := len(g.queue[0].prompt.Tokens)
		n := 1
		for n < len(g.queue) && first+n < len(g.rows) && g.rows[first+n] == nil && (n+1)*width <= g.limits.Tokens {
			n++
		}
		group := g.queue[:n]
		g.queue = g.queue[n:]
		if err := g.prefill(ctx, first, group); err != nil {
			return err
		}
		first += n
	}
	return nil
}

func (g *generation) prefill(ctx context.Context, first int, group []*writer) error {
	prompts, asks := make([][]int32, len(group)), make([]Ask, len(group))
	stats := StepStats{Prefill: true, Rows: len(group)}
	for i, w := range group {
		prompts[i], asks[i] = w.prompt.Tokens, w.ask()
		stats.Tokens += len(prompts[i])
		stats.Padding += len(prompts[0]) - len(prompts[i])
		g.rows[first+i] = w
	}
	g.live += len(group)
	start := time.Now()
	next, err := g.decoder.Prefill(ctx, first, prompts, asks)
	if err != nil {
		return err
	}
	stats.Duration = time.Since(start)
	return g.advance(next, first, &stats)
}

// step has every live row read what it has written since the last.
func (g *generation) step(ctx context.Context) error {
	last := len(g.rows)
	for g.rows[last-1] == nil {
		last--
	}
	tokens, asks := make([][]int32, last), make([]Ask, last)
	most := g.chunk(last)
	stats := StepStats{}
	for r, w := range g.rows[:last] {
		if w == nil {
			continue
		}
		tokens[r] = w.unread[:min(most, len(w.unread))]
		w.unread = w.unread[len(tokens[r]):]
		asks[r] = w.ask()
		stats.Rows++
		stats.Tokens += len(tokens[r])
	}
	start := time.Now()
	next, err := g.decoder.Step(ctx, tokens, asks)
	if err != nil {
		return err
	}
	stats.Duration = time.Since(start)
	return g.advance(next, 0, &stats)
}

// chunk is the most tokens that each of the first rows may read in a step.
func (g *generation) chunk(rows int) int {
	if rows > g.traits.ChunkRows {
		return 1
	}
	most := math.MaxInt
	if g.traits.EvenSteps {
		for _, w := range g.rows[:rows] {
			if w != nil {
				most = min(most, len(w.unread))
			}
		}
	}
	return most
}

// advance lets the rows from first on write on, and hands on those that have ended.
func (g *generation) advance(next []Candidates, first int, stats *StepStats) error {
	eachRow(len(next), 0, func(i int, _ []float32) {
		if w := g.rows[first+i]; w != nil && len(w.unread) == 0 {
			w.write(&next[i])
		}
	})
	for r := first; r < first+len(next); r++ {
		if w := g.rows[r]; w != nil && w.ended() {
			if err := g.hand(w.index, w.out); err != nil {
				return err
			}
			*w = writer{} // a page of them would hold much
			g.rows[r] = nil
			g.live--
			stats.Ended++
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.OnStep != nil {
		g.OnStep(*stats)
	}
	return nil
}

// hand hands on a text that has ended.
func (g *generation) hand(i int, text Generated) error {
	g.handing.Lock()
	defer g.handing.Unlock()
	return g.done(i, text)
}
