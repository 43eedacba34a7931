package ort

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
)

// Decoder is a decoder graph that is run step by step. One goroutine may use it
// at a time.
type Decoder interface {
	model.Decoder
	model.Reopener
	Info() Info
	FreeMemory() (bytes int64, err error)
	Arena() (Arena, error)
	Close() error
}

// How a Decoder keeps what it has read, as Info.Cache tells it.
const (
	CacheInPlace = "in place"             // GroupQueryAttention writes into one buffer
	CacheCopied  = "copied at every step" // the graph gives out past and new together
	CacheNone    = "none"                 // every step reads the whole text again
)

// OpenDecoder opens the graph at path as Open does, with its cache kept where the
// model runs. Where the graph has no cache, or one that does not agree with
// reading the whole text, every step reads the whole text, and a note says so.
func OpenDecoder(ctx context.Context, path string, opts Options) (Decoder, error) {
	return onProvider(ctx, opts, func(opts Options) (Decoder, error) { return openDecoderOn(ctx, path, opts) })
}

func openDecoderOn(ctx context.Context, path string, opts Options) (Decoder, error) {
	var s session
	beside := opts
	beside.cache = true
	if err := s.read(path, beside); err != nil {
		return nil, err
	}
	if s.info.Convention.Present == nil {
		return openRecomputing(ctx, path, opts, "the graph has no cache")
	}
	if op := s.info.Graph.Batchwide.Quantizer; op != "" {
		return openRecomputing(ctx, path, opts, "a cache would hold what was computed with other scales of "+op)
	}
	d, err := rewrittenFirst(ctx, opts, func(rewritten bool) (*cached, *Info, error) {
		d := &cached{session: s}
		if err := d.settle(rewritten, opts.Asks.form(s.info.Vocab)); err != nil {
			return nil, nil, err
		}
		if err := d.begin(); err != nil {
			return nil, nil, err
		}
		return d, &d.info, d.tried(ctx, d, d.probe)
	})
	var bad *cacheError
	switch {
	case errors.As(err, &bad):
		return openRecomputing(ctx, path, opts, bad.Error())
	case err != nil:
		return nil, err
	}
	return d, nil
}

// recomputing is a Decoder without a cache.
type recomputing struct {
	*LM
	*model.Recompute
}

func openRecomputing(ctx context.Context, path string, opts Options, reason string) (Decoder, error) {
	lm, err := openLM(ctx, path, opts, opts.Asks.form)
	if err != nil {
		return nil, err
	}
	lm.info.Cache = CacheNone
	lm.info.Notes = append(lm.info.Notes, reason+": every step reads the whole text again, which is slow")
	return &recomputing{lm, &model.Recompute{Predictor: lm, Mixing: lm.mixing}}, nil
}

// cached is a Decoder whose cache lies where the model runs.
type cached struct {
	session
	cache  cache
	traits model.Traits

	// texts are what the rows have read, and capacity that of the last Reset, where
	// the graph has breaks.
	texts    [][]int32
	capacity int
}

// cache holds the keys and values of the rows.
type cache interface {
	reset(rows, width, capacity int) error
	// length is how many tokens of a row the cache holds.
	length(row int) int
	// past is how many columns the mask of rows [first, first+n) has before new
	// tokens, and mask writes 1 for those that a row may look at.
	past(first, n int) int
	mask(row int, out []int64)
	// width is how many columns new tokens take, of which a row from first on has so
	// many at most, and pads how many of these lie on the left of a row's tokens; the
	// rest lies on the right.
	width(first, longest int) int
	pads(width, tokens int) int
	// drop forgets a row.
	drop(row int)
	// begin puts the beginning of a prompt into a row, in place of what it held, as
	// far as it is at hand, and returns how many tokens that is. One at least is left.
	begin(row int, prompt []int32) int
	// values makes the cache's inputs and outputs for a forward over rows from first
	// on; add then takes note of the new tokens of each row.
	values(first int, f *forward) (past, present []onnx.Value, err error)
	add(first, width int, tokens [][]int32)
	free()
}

func (d *cached) begin() error {
	if err := d.start(true); err != nil {
		return err
	}
	c := d.info.Convention
	d.newCache()
	d.traits = model.Traits{Breaks: d.info.Graph.Batchwide.Breaks}
	if d.info.Cache == CacheInPlace {
		d.traits.Refill = true
		// With a past, the operator takes several tokens of one row alone. A CPU then
		// gives other last bits than one by one, which is how several rows step.
		if d.memory.cuda != nil {
			d.traits.ChunkRows = 1
		}
		return nil
	}
	// Pads between a row's tokens would shift what a graph counts in columns.
	d.traits.ChunkRows, d.traits.EvenSteps = math.MaxInt, true
	if c.AttentionMask == "" {
		d.traits.MaxRows = 1 // nothing would hide the pads
	}
	return nil
}

// newCache makes the cache, without rows, in the session's memory.
func (d *cached) newCache() {
	c := d.info.Convention
	shape := cacheShape{memory: d.memory, typ: c.Past[0].Type, tensors: len(c.Past), heads: d.info.KVHeads, headDim: d.info.HeadDim}
	d.info.CacheToken = shape.bytes(1, 1) * len(c.Past)
	if c.InPlace(d.info.Graph) {
		d.cache, d.info.Cache = &inPlace{cacheShape: shape}, CacheInPlace
		return
	}
	d.cache, d.info.Cache = &growing{cacheShape: shape}, CacheCopied
	d.info.CacheToken *= 2
}

// Close releases the cache and the session.
func (d *cached) Close() error {
	d.cache.free()
	return d.session.Close()
}

// Reopen implements model.Reopener.
func (d *cached) Reopen(ctx context.Context) error {
	d.cache.free()
	if err := d.reopen(ctx); err != nil {
		return err
	}
	d.newCache()
	return nil
}

// Traits implements model.Decoder.
func (d *cached) Traits() model.Traits { return d.traits }

// Reset implements model.Decoder. A graph may hold the cache's capacity against its
// breaks: it does not pass one before the text does.
func (d *cached) Reset(rows, width, capacity int) error {
	d.texts, d.capacity = make([][]int32, rows), capacity
	return d.cache.reset(rows, width, d.breaks().Within(width, capacity))
}

func (d *cached) breaks() model.Mixing { return model.Mixing{Breaks: d.traits.Breaks} }

// Prefill implements model.Decoder. A prompt that is read by itself begins where
// it parts from what the cache holds: with a past, the operator of the cache in
// place takes several tokens of one row alone. What was read on the other side of a
// break has other numbers, so that a graph with breaks reads every prompt whole.
func (d *cached) Prefill(ctx context.Context, first int, prompts [][]int32, asks []model.Ask) ([]model.Candidates, error) {
	if len(prompts) == 1 && len(d.traits.Breaks) == 0 {
		n := d.cache.begin(first, prompts[0])
		return d.extend(ctx, first, [][]int32{prompts[0][n:]}, asks)
	}
	for i := range prompts {
		d.cache.drop(first + i)
		d.texts[first+i] = nil
	}
	return d.extend(ctx, first, prompts, asks)
}

// Step implements model.Decoder.
func (d *cached) Step(ctx context.Context, next [][]int32, asks []model.Ask) ([]model.Candidates, error) {
	if r := d.passesBreak(next); r >= 0 {
		return d.readAgain(ctx, r, next, asks)
	}
	tokens := make([][]int32, len(next))
	for r, ids := range next {
		tokens[r] = ids
		if len(ids) == 0 {
			d.cache.drop(r)
			tokens[r] = []int32{model.PadID}
		}
	}
	return d.extend(ctx, 0, tokens, asks)
}

// passesBreak returns a row whose text passes a break with its next tokens, -1 where
// none does.
func (d *cached) passesBreak(next [][]int32) int {
	for r, ids := range next {
		if n := len(d.texts[r]); len(ids) > 0 && d.breaks().Crosses(n, n+len(ids)) {
			return r
		}
	}
	return -1
}

// readAgain reads the one text in the cache anew with its next tokens: the keys and
// values of all of it change with the break that it passes.
func (d *cached) readAgain(ctx context.Context, row int, next [][]int32, asks []model.Ask) ([]model.Candidates, error) {
	if len(next) != 1 {
		return nil, fmt.Errorf("row %d: must be alone in the cache to pass a length of %v tokens", row, d.traits.Breaks)
	}
	text := slices.Concat(d.texts[0], next[0])
	if err := d.Reset(1, len(text), max(d.capacity, len(text))); err != nil {
		return nil, err
	}
	return d.Prefill(ctx, 0, [][]int32{text}, asks)
}

// extend has the rows from first on read new tokens.
func (d *cached) extend(ctx context.Context, first int, tokens [][]int32, asks []model.Ask) ([]model.Candidates, error) {
	f := d.forward(first, tokens)
	out, err := d.read(ctx, first, f, asks)
	if err != nil {
		return nil, err
	}
	d.cache.add(first, f.width, tokens)
	if len(d.traits.Breaks) > 0 {
		for i, ids := range tokens {
			d.texts[first+i] = append(d.texts[first+i], ids...)
		}
	}
	return out, nil
}

// read runs a forward over the rows from first on, and answers what is asked at its
// places.
func (d *cached) read(ctx context.Context, first int, f *forward, asks []model.Ask) ([]model.Candidates, error) {
	past, present, err := d.cache.values(first, f)
	defer destroy(past)
	defer destroy(present)
	if err != nil {
		return nil, err
	}
	return d.answer(ctx, f, asks, past, present)
}

// forward lays new tokens out after what the rows hold.
func (d *cached) forward(first int, tokens [][]int32) *forward {
	f := &forward{rows: len(tokens), past: d.cache.past(first, len(tokens))}
	longest := 0
	for _, ids := range tokens {
		longest = max(longest, len(ids))
	}
	f.width = d.cache.width(first, longest)
	f.ids = make([]int64, f.rows*f.width)
	f.positions = make([]int64, f.rows*f.width)
	if d.masked {
		f.mask = make([]int64, f.rows*(f.past+f.width))
	}
	for r, ids := range tokens {
		pads, at := d.cache.pads(f.width, len(ids)), d.cache.length(first+r)
		read := len(ids)
		if read == longest && pads == 0 {
			read = f.width // a pad behind the longest is read too, and written over by what follows
		}
		f.lens = append(f.lens, at+read)
		for t := range f.width {
			i := r*f.width + t
			f.ids[i], f.positions[i] = model.PadID, int64(max(0, at+t-pads))
			if k := t - pads; k >= 0 && k < len(ids) {
				f.ids[i] = int64(ids[k])
			}
		}
		if d.masked {
			d.maskRow(f, first, r, read)
		}
		f.at = append(f.at, model.Position{Row: r, At: pads + len(ids) - 1})
	}
	return f
}

// maskRow fills a row of a forward's mask: what the row from first on holds, and n
// new tokens.
func (d *cached) maskRow(f *forward, first, r, n int) {
	columns := f.past + f.width
	mask := f.mask[r*columns : (r+1)*columns]
	d.cache.mask(first+r, mask)
	new := mask[f.past+d.cache.pads(f.width, n):]
	for t := range n {
		new[t] = 1
	}
}
