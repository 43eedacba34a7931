package ort

import (
	"context"
	"fmt"
	"math"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// Options says how to open a decoder graph.
type Options struct {
	Provider Provider
	Device   int // the CUDA device's number
	Threads  int // of one operator; 0 for one a core

	// IOMap gives roles (input_ids, attention_mask, position_ids, logits) to
	// inputs and outputs whose names do not tell them.
	IOMap map[string]string

	// KVHeads, HeadDim and Vocab come from config.json. They are used only where
	// the graph leaves the dimension open; 0 is unknown.
	KVHeads, HeadDim, Vocab int
}

// Info describes an open session.
type Info struct {
	Graph      *graph.Model
	Convention *graph.Convention
	Provider   Provider
	Notes      []string // what a person should know, such as why CUDA was not used
	Vocab      int      // V, words in the logits
	KVHeads    int      // of the cache; 0 where the graph has none
	HeadDim    int
	// Leak is the largest change that what follows a token made to its logits, in
	// the probe at start. A causal graph gives about 0.
	Leak float64
}

// LM is a decoder graph on ONNX Runtime. It implements model.Forwarder. One
// goroutine may use it at a time.
type LM struct {
	session *onnx.DynamicAdvancedSession
	inputs  []inputMaker
	out     output
	info    Info
}

// inputMaker makes the value of one input for a batch.
type inputMaker func(b *model.Batch) (onnx.Value, error)

// Open reads the graph at path, makes a session for it on the wanted provider,
// and runs it once over two short rows: what cannot score is refused here, not
// hours later.
func Open(ctx context.Context, path string, opts Options) (*LM, error) {
	g, err := graph.Read(path)
	if err != nil {
		return nil, err
	}
	conv, err := graph.Detect(g, opts.IOMap)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	lm := &LM{info: Info{Graph: g, Convention: conv}}
	names, err := lm.plan(opts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := lm.start(path, names, opts); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := lm.probe(ctx); err != nil {
		_ = lm.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return lm, nil
}

// Info describes the session.
func (lm *LM) Info() Info { return lm.info }

// Close releases the session.
func (lm *LM) Close() error {
	if lm.session == nil {
		return nil
	}
	err := lm.session.Destroy()
	lm.session = nil
	return err
}

// plan lists the graph's inputs that are fed, with what makes each, and settles
// the sizes that the graph leaves open.
func (lm *LM) plan(opts Options) (names []string, err error) {
	c := lm.info.Convention
	add := func(name string, mk inputMaker) {
		if name != "" {
			names = append(names, name)
			lm.inputs = append(lm.inputs, mk)
		}
	}
	add(c.InputIDs.Name, integers(c.InputIDs.Type, func(b *model.Batch, r, t int) int64 {
		return b.TokenIDs[r*b.Width+t]
	}))
	add(c.AttentionMask, integers(c.IntType, func(b *model.Batch, r, t int) int64 {
		if t < b.Lens[r] {
			return 1
		}
		return 0
	}))
	add(c.PositionIDs, integers(c.IntType, func(_ *model.Batch, _, t int) int64 { return int64(t) }))
	add(c.KeepLogits.Name, keepAll(c.KeepLogits))
	add(c.UseCache.Name, noCache)
	if err := lm.sizes(opts); err != nil {
		return nil, err
	}
	for _, past := range c.Past {
		add(past.Name, emptyPast(past.Type, lm.info.KVHeads, lm.info.HeadDim))
	}
	return names, nil
}

// sizes settles V and the cache's [heads, head size] from the graph's own
// dimensions or, where they are symbolic, from config.json.
func (lm *LM) sizes(opts Options) error {
	c := lm.info.Convention
	lm.info.Vocab = opts.Vocab
	if v := c.Logits.Dims[2]; v > 0 {
		lm.info.Vocab = int(v)
	}
	if lm.info.Vocab <= 0 {
		return fmt.Errorf("output %s: want the vocabulary's size in the graph or as vocab_size in config.json, got neither", c.Logits.Name)
	}
	lm.out = output{typ: c.Logits.Type, vocab: lm.info.Vocab}
	if len(c.Past) == 0 {
		return nil
	}
	lm.info.KVHeads, lm.info.HeadDim = opts.KVHeads, opts.HeadDim
	if d := c.Past[0].Dims; d[1] > 0 {
		lm.info.KVHeads = int(d[1])
	}
	if d := c.Past[0].Dims; d[3] > 0 {
		lm.info.HeadDim = int(d[3])
	}
	if lm.info.KVHeads <= 0 || lm.info.HeadDim <= 0 {
		return fmt.Errorf("input %s: want the cache's heads in the graph or in config.json (num_key_value_heads, head_dim), got neither", c.Past[0].Name)
	}
	return nil
}

func (lm *LM) start(path string, names []string, opts Options) error {
	session, provider, notes, err := newSession(path, names, []string{lm.info.Convention.Logits.Name}, opts)
	if err != nil {
		return err
	}
	lm.session, lm.info.Provider, lm.info.Notes = session, provider, notes
	return nil
}

// Forward implements model.Forwarder.
func (lm *LM) Forward(ctx context.Context, b *model.Batch) (*model.Logits, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var values []onnx.Value
	defer func() {
		for _, v := range values {
			_ = v.Destroy()
		}
	}()
	for _, mk := range lm.inputs {
		v, err := mk(b)
		if err != nil {
			return nil, cleanError(err)
		}
		values = append(values, v)
	}
	logits, out, err := lm.out.prepare(b)
	if err != nil {
		return nil, err
	}
	values = append(values, out)
	n := len(lm.inputs)
	return logits, runUntil(ctx, lm.session, values[:n], values[n:])
}

// runUntil runs the session. When ctx ends it asks ONNX Runtime to stop, and
// still returns only after Run has: until then C code uses the tensors.
func runUntil(ctx context.Context, s *onnx.DynamicAdvancedSession, in, out []onnx.Value) error {
	opts, err := onnx.NewRunOptions()
	if err != nil {
		return cleanError(err)
	}
	defer opts.Destroy()
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		_ = opts.Terminate()
	})
	err = s.RunWithOptions(in, out, opts)
	if !stop() {
		<-stopped
		return ctx.Err()
	}
	if err != nil {
		return cleanError(err)
	}
	return nil
}

// probe runs two rows with a common beginning, one longer than the other. In a
// causal graph that honours its mask the common positions have equal logits:
// neither what follows nor the padding reaches them.
func (lm *LM) probe(ctx context.Context) error {
	// A provider may start threads and handlers as late as its first run.
	restore := saveSignals()
	defer restore()
	b := &model.Batch{Rows: 2, Width: 3, TokenIDs: []int64{1, 2, 3, 1, 2, model.PadID}, Lens: []int{3, 2}}
	logits, err := lm.Forward(ctx, b)
	if err != nil {
		return fmt.Errorf("a first forward of 2 rows failed: %w", err)
	}
	for t := range 2 {
		long, short := logits.At(0, t, nil), logits.At(1, t, nil)
		leak, err := largestChange(long, short)
		if err != nil {
			return err
		}
		lm.info.Leak = max(lm.info.Leak, leak)
	}
	if limit := leakLimit(lm.out.typ); lm.info.Leak > limit {
		lm.info.Notes = append(lm.info.Notes, fmt.Sprintf(
			"a token's logits change by %.3g with what follows it: the graph is not causal or quantises the batch as a whole, and scores will depend on their neighbours", lm.info.Leak))
	}
	return nil
}

// largestChange compares the logits of a position in two rows. -Inf in both is a
// word that the model rules out, and no change.
func largestChange(long, short []float32) (largest float64, err error) {
	for v, x := range long {
		if x == short[v] && !math.IsInf(float64(x), 1) {
			continue
		}
		d := math.Abs(float64(x) - float64(short[v]))
		if math.IsNaN(d) || math.IsInf(float64(x), 1) || math.IsInf(float64(short[v]), 1) {
			return 0, fmt.Errorf("a first forward gave logits that are not finite: want finite logits, got %v and %v", x, short[v])
		}
		largest = max(largest, d)
	}
	return largest, nil
}

func leakLimit(t graph.ElemType) float64 {
	if t == graph.Float32 {
		return 1e-3
	}
	return 0.1
}
