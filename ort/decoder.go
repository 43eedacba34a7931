package ort

import (
	"context"
	"errors"
	"fmt"
	"math"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// Decoder is a decoder graph that is run step by step. One goroutine may use it
// at a time.
type Decoder interface {
	model.Decoder
	model.Reopener
	Info() Info
	FreeMemory() (bytes int64, err error)
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
	var s session
	if err := s.read(path, opts); err != nil {
		return nil, err
	}
	if s.info.Convention.Present == nil {
		return openRecomputing(ctx, path, opts, "the graph has no cache")
	}
	d, err := rewrittenFirst(ctx, opts, func(rewritten bool) (*cached, *Info, error) {
		d := &cached{session: s}
		if rewritten {
			if err := d.rewrite(graph.Decoding); err != nil {
				return nil, nil, err
			}
		}
		if err := d.begin(); err != nil {
			return nil, nil, err
		}
		return d, &d.info, tried(ctx, path, d, d.probe)
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
	lm, err := openLM(ctx, path, opts, graph.Decoding)
	if err != nil {
		return nil, err
	}
	lm.info.Cache = CacheNone
	lm.info.Notes = append(lm.info.Notes, reason+": every step reads the whole text again, which is slow")
	d := &recomputing{lm, &model.Recompute{Forwarder: lm}}
	if lm.rewritten != nil {
		d.Last = lm
	}
	return d, nil
}

// cached is a Decoder whose cache lies where the model runs.
type cached struct {
	session
	cache  cache
	traits model.Traits
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
	if d.info.Cache == CacheInPlace {
		// With a past, the operator takes several tokens of one row alone.
		d.traits = model.Traits{ChunkRows: 1, Refill: true}
		return nil
	}
	d.traits = model.Traits{ChunkRows: math.MaxInt}
	if c.PositionIDs == "" || c.AttentionMask == "" {
		// Such a graph counts positions itself, from the width of what it is given:
		// rows of unlike length would get the wrong ones.
		d.traits.MaxRows = 1
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
	d.grows = true
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

// Reset implements model.Decoder.
func (d *cached) Reset(rows, width, capacity int) error {
	return d.cache.reset(rows, width, capacity)
}

// Prefill implements model.Decoder. A prompt that is read by itself begins where
// it parts from what the cache holds: with a past, the operator of the cache in
// place takes several tokens of one row alone.
func (d *cached) Prefill(ctx context.Context, first int, prompts [][]int32) (*model.Next, error) {
	if len(prompts) == 1 {
		n := d.cache.begin(first, prompts[0])
		return d.extend(ctx, first, [][]int32{prompts[0][n:]})
	}
	for i := range prompts {
		d.cache.drop(first + i)
	}
	return d.extend(ctx, first, prompts)
}

// Step implements model.Decoder.
func (d *cached) Step(ctx context.Context, next [][]int32) (*model.Next, error) {
	tokens := make([][]int32, len(next))
	for r, ids := range next {
		tokens[r] = ids
		if len(ids) == 0 {
			d.cache.drop(r)
			tokens[r] = []int32{model.PadID}
		}
	}
	return d.extend(ctx, 0, tokens)
}

// extend has the rows from first on read new tokens.
func (d *cached) extend(ctx context.Context, first int, tokens [][]int32) (*model.Next, error) {
	f := d.forward(first, tokens)
	past, present, err := d.cache.values(first, f)
	defer destroy(past)
	defer destroy(present)
	if err != nil {
		return nil, err
	}
	out := &model.Next{At: make([]int, len(tokens))}
	width := f.width
	if d.rewritten != nil {
		width = 1
	}
	for i, ids := range tokens {
		last := len(ids) - 1
		if f.at = append(f.at, place{i, last}); d.rewritten == nil {
			out.At[i] = last
		}
	}
	if out.Logits, err = d.logits(ctx, f, f.rows, width, past, present); err != nil {
		return nil, err
	}
	d.cache.add(first, f.width, tokens)
	return out, nil
}

// forward lays new tokens out, padded on the right, after what the rows hold.
func (d *cached) forward(first int, tokens [][]int32) *forward {
	f := &forward{rows: len(tokens), past: d.cache.past(first, len(tokens))}
	for _, ids := range tokens {
		f.width = max(f.width, len(ids))
	}
	f.ids = make([]int64, f.rows*f.width)
	f.positions = make([]int64, f.rows*f.width)
	f.mask = make([]int64, f.rows*(f.past+f.width))
	for r, ids := range tokens {
		mask := f.mask[r*(f.past+f.width) : (r+1)*(f.past+f.width)]
		d.cache.mask(first+r, mask)
		at := d.cache.length(first + r)
		for t := range f.width {
			i := r*f.width + t
			f.ids[i], f.positions[i] = model.PadID, int64(at+t)
			if t < len(ids) {
				f.ids[i] = int64(ids[t])
				mask[f.past+t] = 1
			}
		}
	}
	return f
}

// cacheError is a cache that gives other logits than the whole text.
type cacheError struct{ difference float64 }

func (e *cacheError) Error() string {
	return fmt.Sprintf("the graph's cache changes the logits by %.3g", e.difference)
}

// probe reads a short text at once and in two parts, beside a row of another
// length where rows may be of different lengths, and wants the same logits.
func (d *cached) probe(ctx context.Context) error {
	whole, part := [][]int32{{1, 2, 3}}, [][]int32{{1, 2}}
	step := [][]int32{{3}}
	if d.traits.MaxRows != 1 {
		part, step = append(part, []int32{4, 5, 6, 7}), append(step, []int32{8})
	}
	want, err := d.first(ctx, whole)
	if err != nil {
		return fmt.Errorf("a first forward failed: %w", err)
	}
	if _, err = d.first(ctx, part); err == nil {
		var got *model.Next
		if got, err = d.Step(ctx, step); err == nil {
			err = d.compare(want, got.Row(0, nil))
		}
	}
	return err
}

// first resets the cache and prefills it, and returns a copy of the first row's
// logits.
func (d *cached) first(ctx context.Context, prompts [][]int32) ([]float32, error) {
	if err := d.Reset(len(prompts), 4, 8); err != nil {
		return nil, err
	}
	next, err := d.Prefill(ctx, 0, prompts)
	if err != nil {
		return nil, err
	}
	return append([]float32(nil), next.Row(0, nil)...), nil
}

func (d *cached) compare(want, got []float32) error {
	difference, err := largestChange(want, got)
	if err == nil && difference > leakLimit(d.out.typ) {
		err = &cacheError{difference}
	}
	return err
}
