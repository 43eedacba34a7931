package ort

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// session is a decoder graph on ONNX Runtime with what feeds all of its inputs
// but the cache.
type session struct {
	session *onnx.DynamicAdvancedSession
	thread  *thread // that all calls of the session run on
	memory  *memory
	opts    Options
	in, to  []string // names of the inputs and outputs, the cache's last
	inputs  []inputMaker
	out     output
	chosen  []float32 // the memory of answers
	info    Info
	// rewritten is the graph that runs, in the given form; nil where it is the
	// file's own.
	rewritten *graph.Rewritten
	form      graph.Form
	source    source
	masked    bool // the graph takes a mask; else it is told lengths

	ran bool // a first time
}

// read reads the graph at path and settles what its inputs and outputs are.
func (s *session) read(path string, opts Options) error {
	g, err := graph.Read(path)
	if err != nil {
		return err
	}
	conv, err := graph.Detect(g, opts.IOMap)
	if err == nil {
		err = checkCausal(path, conv, opts)
	}
	if err == nil {
		s.info = Info{Graph: g, Convention: conv, Form: FullLogits, Provider: opts.Provider}
		s.opts, s.source = opts, source{path: path, size: g.Bytes}
		err = s.sizes(opts)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// settle has the session run the graph rewritten in a form, or as it is.
func (s *session) settle(rewritten bool, form graph.Form) error {
	if rewritten {
		return s.rewrite(form)
	}
	return s.asItIs()
}

// rewrite has the session run the graph in another form.
func (s *session) rewrite(form graph.Form) error {
	folder, locations, err := weights(s.source.path, s.info.Graph.External)
	if err != nil {
		return err
	}
	if s.rewritten, err = graph.Rewrite(s.source.path, s.info.Convention, form, locations); err != nil {
		return err
	}
	s.form = form
	s.source.data, s.source.folder = s.rewritten.Data, folder
	s.rewritten.Data = nil // the session needs it, and no one after
	s.info.Wider = s.rewritten.Lengths.Total != "" || !s.info.Graph.Has("GroupQueryAttention")
	switch {
	case form == graph.Decoding:
		s.info.Form = LastLogits
	case form == graph.DecodingTokens:
		s.info.Form = LastTokens
	case form == graph.DecodingLikeliest:
		s.info.Form = LastToken
	case s.rewritten.Uncached || len(s.info.Convention.Past) == 0:
		s.info.Form = LogProbs
	default:
		s.info.Form = LogProbsPast
	}
	return nil
}

// scoring reports whether the graph gives log-probabilities to score with.
func (s *session) scoring() bool {
	return s.rewritten != nil && (s.form == graph.Scoring || s.form == graph.ScoringPresent)
}

// checkCausal refuses a graph that is not that of a causal language model.
func checkCausal(path string, c *graph.Convention, opts Options) error {
	found, err := graph.Examine(path, c)
	if err == nil && found.NotCausal.Refuses(opts.AllowLeak) {
		err = found.NotCausal
	}
	return err
}

// asItIs has the session run the graph as it is, but for caches of a window's
// size, which it could not feed.
func (s *session) asItIs() error {
	if !s.info.Graph.WindowCache {
		return nil
	}
	folder, locations, err := weights(s.source.path, s.info.Graph.External)
	if err != nil {
		return err
	}
	s.source.folder = folder
	s.source.data, err = graph.FullCache(s.source.path, locations)
	return err
}

var errFirstForward = errors.New("a first forward failed")

// tried runs the first probe of what was opened, the session s, and closes it where
// that fails.
func (s *session) tried(ctx context.Context, opened io.Closer, probe func(context.Context) error) error {
	err := probe(ctx)
	if err == nil {
		return nil
	}
	_ = opened.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if s.info.Provider == CUDA {
		err = notOnCUDA(err, s.opts.Device)
	}
	return fmt.Errorf("%s: %w", s.source.path, err)
}

// Info describes the session.
func (s *session) Info() Info { return s.info }

// Close releases the session.
func (s *session) Close() error {
	if s.memory != nil {
		s.memory.close()
		s.memory = nil
	}
	if s.session == nil {
		return nil
	}
	err := s.thread.do(s.session.Destroy)
	s.thread.close()
	s.session = nil
	return err
}

// start makes the session: its inputs are those that are fed, the cache's last.
// With cached, the cache's outputs are asked for as well.
func (s *session) start(cached bool) (err error) {
	c := s.info.Convention
	add := func(name string, mk inputMaker) {
		if name != "" {
			s.in = append(s.in, name)
			s.inputs = append(s.inputs, mk)
		}
	}
	add(c.InputIDs.Name, integers(c.InputIDs.Type, func(f *forward) ([]int64, int) { return f.ids, f.width }))
	s.masked = s.rewritten == nil || !s.rewritten.Lengths.Given()
	if s.masked {
		add(c.AttentionMask, integers(c.IntType, func(f *forward) ([]int64, int) { return f.mask, f.past + f.width }))
	}
	add(c.PositionIDs, integers(c.IntType, func(f *forward) ([]int64, int) { return f.positions, f.width }))
	add(c.KeepLogits.Name, keepAll(c.KeepLogits))
	add(c.UseCache.Name, useCache)
	s.to = []string{c.Logits.Name}
	if r := s.rewritten; r != nil {
		add(r.Positions, indices)
		add(r.Targets, integers(graph.Int64, func(f *forward) ([]int64, int) { return f.targets, len(f.targets) / len(f.at) }))
		add(r.Trees.Depths, integers(graph.Int64, func(f *forward) ([]int64, int) { return f.positions, f.width }))
		add(r.Trees.Bias, bias())
		add(r.Lengths.Rows, rowLengths())
		add(r.Lengths.Total, totalLength)
		s.to[0], s.out.flat = r.Output, true
	}
	for i, past := range s.past() {
		s.in = append(s.in, past.Name)
		if cached {
			s.to = append(s.to, c.Present[i].Name)
		}
	}
	return s.connect()
}

// connect makes the session for the inputs and outputs that start settled.
func (s *session) connect() (err error) {
	s.thread = newThread()
	err = s.thread.do(func() (err error) {
		var notes []string
		s.session, notes, err = newSession(s.source, s.in, s.to, s.opts)
		s.info.Notes = slices.Concat(s.opts.notes, notes)
		return err
	})
	s.source.data, s.ran = nil, false
	if err != nil {
		s.thread.close()
	} else if s.memory, err = newMemory(s.session, s.info.Provider, s.opts.Device); err == nil {
		err = s.memory.checkLimit(s.opts.MemoryLimit)
	}
	if err != nil {
		_ = s.Close()
		return fmt.Errorf("%s: %w", s.source.path, err)
	}
	return nil
}

// reopen makes the session anew from the model's file. It was tried when it was
// opened, and is not tried again.
func (s *session) reopen(ctx context.Context) error {
	_ = s.Close() // it is broken, and to be forgotten
	// Memory is short: the arena takes what is asked and no more. Its limit leaves no
	// room for a cache any longer: the cache, smaller now, is made before the arena grows.
	s.opts.tight, s.opts.cache = true, false
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.settle(s.rewritten != nil, s.form)
	if err != nil {
		return fmt.Errorf("%s: %w", s.source.path, err)
	}
	notes := s.info.Notes
	err = s.connect()
	s.info.Notes = notes
	return err
}

// past is the inputs of the cache that the graph has.
func (s *session) past() []graph.Tensor {
	if s.rewritten != nil && s.rewritten.Uncached {
		return nil
	}
	return s.info.Convention.Past
}

// sizes settles V and the cache's [heads, head size] from the graph's own
// dimensions or, where they are symbolic, from config.json.
func (s *session) sizes(opts Options) error {
	c := s.info.Convention
	s.info.Vocab = opts.Vocab
	if v := c.Logits.Dims[2]; v > 0 {
		s.info.Vocab = int(v)
	}
	if s.info.Vocab <= 0 {
		return fmt.Errorf("output %s: want the vocabulary's size in the graph or as vocab_size in config.json, got neither", c.Logits.Name)
	}
	s.out = output{typ: c.Logits.Type, vocab: s.info.Vocab}
	if len(c.Past) == 0 {
		return nil
	}
	s.info.KVHeads, s.info.HeadDim = opts.KVHeads, opts.HeadDim
	if d := c.Past[0].Dims; d[1] > 0 {
		s.info.KVHeads = int(d[1])
	}
	if d := c.Past[0].Dims; d[3] > 0 {
		s.info.HeadDim = int(d[3])
	}
	if s.info.KVHeads <= 0 || s.info.HeadDim <= 0 {
		return fmt.Errorf("input %s: want the cache's heads in the graph or in config.json (num_key_value_heads, head_dim), got neither", c.Past[0].Name)
	}
	return nil
}

// forward is what a run reads: n new tokens in each of B rows, after the columns
// of a cache.
type forward struct {
	rows, width int
	past        int              // P columns in the cache
	ids         []int64          // [B, width]
	positions   []int64          // [B, width]
	mask        []int64          // [B, past + width] 1 for the columns that a row may look at; none where the graph is told lengths
	lens        []int            // [B] how many these are
	parents     []int            // [B, width] as in model.Batch
	at          []model.Position // [n] what a rewritten graph gives; of new tokens
	targets     []int64          // [n, K] the tokens asked there
}

// indices makes the positions' input of a rewritten graph from a forward's places.
func indices(f *forward) (onnx.Value, error) {
	data := make([]int64, len(f.at))
	for i, p := range f.at {
		data[i] = int64(p.Row*f.width + p.At)
	}
	return onnx.NewTensor(onnx.NewShape(int64(len(data))), data)
}

// whole is a batch as a forward without a cache.
func whole(b *model.Batch) *forward {
	f := &forward{rows: b.Rows, width: b.Width, ids: b.TokenIDs, parents: b.Parents, lens: b.Lens}
	f.positions = make([]int64, len(b.TokenIDs))
	f.mask = make([]int64, len(b.TokenIDs))
	for r, n := range b.Lens {
		row := f.positions[r*b.Width : (r+1)*b.Width]
		for t := range row {
			parent := t - 1
			if len(f.parents) > 0 {
				parent = f.parents[r*b.Width+t]
			}
			if parent >= 0 {
				row[t] = row[parent] + 1
			}
			if t < n {
				f.mask[r*b.Width+t] = 1
			}
		}
	}
	return f
}

// run runs a forward. past and outputs, the cache's last, stay the caller's.
func (s *session) run(ctx context.Context, f *forward, past, outputs []onnx.Value) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.session == nil {
		return errClosed
	}
	if !s.ran {
		// A provider may start threads and handlers as late as its first run.
		restore := saveSignals()
		defer restore()
		s.ran = true
	}
	var values []onnx.Value
	defer func() { destroy(values) }()
	for _, mk := range s.inputs {
		v, err := mk(f)
		if err != nil {
			return cleanError(err)
		}
		values = append(values, v)
	}
	return s.thread.do(func() error {
		return explain(runUntil(ctx, s.session, append(values[:len(values):len(values)], past...), outputs), s.opts.Device)
	})
}

// logits runs a forward that gives logits [rows, width, V], with those of the cache's
// outputs that the session gives out.
func (s *session) logits(ctx context.Context, f *forward, rows, width int, past, present []onnx.Value) (*model.Logits, error) {
	logits, out, err := s.out.prepare(rows, width)
	if err != nil {
		return nil, err
	}
	defer out.Destroy()
	return logits, s.run(ctx, f, past, append([]onnx.Value{out}, present...))
}

func destroy(values []onnx.Value) {
	for _, v := range values {
		_ = v.Destroy()
	}
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
