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

// Options says how to open a decoder graph.
type Options struct {
	Provider Provider
	Device   int // the CUDA device's number
	Threads  int // of one operator; 0 for one a core

	// IOMap gives roles (input_ids, attention_mask, position_ids, logits) to
	// inputs and outputs whose names do not tell them.
	IOMap map[string]string

	// Graph says whether the graph may be rewritten.
	Graph Graph

	// MemoryLimit bounds the bytes that ONNX Runtime takes on the CUDA device for
	// weights and a run's tensors, 0 for no bound. A Decoder's cache lies beside it.
	MemoryLimit int64
	// Profile, if set, is the beginning of the path of ONNX Runtime's profile, which
	// is written when the session is closed.
	Profile string

	// KVHeads, HeadDim and Vocab come from config.json. They are used only where
	// the graph leaves the dimension open; 0 is unknown.
	KVHeads, HeadDim, Vocab int
}

// Graph says whether a graph is rewritten in memory, so that it gives what is
// asked and no more.
type Graph string

// Auto rewrites every graph whose end is recognised; a note says why another runs
// as it is.
const (
	AutoGraph Graph = "auto"
	FullGraph Graph = "full"
)

// What a session's graph gives, as Info.Form tells it.
const (
	FullLogits   = "logits of every position"
	LogProbs     = "log-probabilities where they are asked, without a cache"
	LogProbsPast = "log-probabilities where they are asked, after an empty cache"
	LastLogits   = "logits of the last position of each row"
)

// Info describes an open session.
type Info struct {
	Graph      *graph.Model
	Convention *graph.Convention
	Provider   Provider
	Form       string   // one of FullLogits, LogProbs, LogProbsPast, LastLogits
	Notes      []string // what a person should know, such as why CUDA was not used
	Vocab      int      // V, words in the logits
	KVHeads    int      // of the cache; 0 where the graph has none
	HeadDim    int
	Cache      string // of a Decoder: one of CacheInPlace, CacheCopied, CacheNone
	CacheToken int    // bytes of the cache for each token that a row may hold
	// Leak is the largest change that what follows a token made to its logits, or to
	// log-probabilities, in the probe at start. A causal graph gives about 0.
	Leak float64
}

// LM is a decoder graph on ONNX Runtime, fed whole sequences and an empty cache.
// What it gives is as its graph was rewritten. One goroutine may use it at a time.
type LM struct {
	session
	empty []pastMaker
	trees model.Trees
}

// Open reads the graph at path, makes a session for it on the wanted provider,
// and runs it once over two short rows: what cannot score is refused here, not
// hours later. The graph is rewritten for scoring; where that fails it runs as it
// is, and a note says why.
func Open(ctx context.Context, path string, opts Options) (*LM, error) {
	form := graph.Scoring
	if opts.Provider == CUDA || opts.Provider == Auto && CheckCUDA(opts.Device) == nil {
		form = graph.ScoringPresent
	}
	return openLM(ctx, path, opts, form)
}

func openLM(ctx context.Context, path string, opts Options, form graph.Form) (*LM, error) {
	var s session
	if err := s.read(path, opts); err != nil {
		return nil, err
	}
	return rewrittenFirst(ctx, opts, func(rewritten bool) (*LM, *Info, error) {
		lm := &LM{session: s}
		if rewritten {
			if err := lm.rewrite(form); err != nil {
				return nil, nil, err
			}
		}
		return lm, &lm.info, lm.open(ctx)
	})
}

// rewrittenFirst opens a model with its graph rewritten or, where that is not
// wanted or fails, as it is.
func rewrittenFirst[T any](ctx context.Context, opts Options, open func(rewritten bool) (T, *Info, error)) (none T, err error) {
	var notes []string
	if opts.Graph != FullGraph {
		m, _, err := open(true)
		if err == nil {
			return m, nil
		}
		// The graph as it is takes more memory, and no other provider.
		if ctx.Err() != nil || errors.Is(err, ErrCUDA) || errors.Is(err, model.ErrOutOfMemory) {
			return none, err
		}
		notes = append(notes, "the graph gives the logits of every position, which is slower: "+err.Error())
	}
	m, info, err := open(false)
	if err != nil {
		return none, err
	}
	info.Notes = append(info.Notes, notes...)
	return m, nil
}

// open makes the session and tries it.
func (lm *LM) open(ctx context.Context) error {
	if err := lm.start(false); err != nil {
		return err
	}
	for _, past := range lm.past() {
		lm.empty = append(lm.empty, emptyPast(past.Type, lm.info.KVHeads, lm.info.HeadDim))
	}
	return tried(ctx, lm.source.path, lm, lm.probe)
}

// Reopen implements model.Reopener.
func (lm *LM) Reopen(ctx context.Context) error { return lm.reopen(ctx) }

// Forward implements model.Forwarder, for a graph that was not rewritten.
func (lm *LM) Forward(ctx context.Context, b *model.Batch) (logits *model.Logits, err error) {
	if lm.rewritten != nil {
		return nil, errors.New("want a graph that gives the logits of every position, got one that was rewritten")
	}
	err = lm.withPast(b.Rows, func(past []onnx.Value) error {
		logits, err = lm.logits(ctx, whole(b), b.Rows, b.Width, past, nil)
		return err
	})
	return logits, err
}

// ForwardLast implements model.LastForwarder, for a graph rewritten for decoding.
func (lm *LM) ForwardLast(ctx context.Context, b *model.Batch) (*model.Logits, error) {
	var at []place
	for r, n := range b.Lens {
		at = append(at, place{r, n - 1})
	}
	return lm.forwardAt(ctx, b, at)
}

// forwardAt returns the logits [n, 1, V] of n places.
func (lm *LM) forwardAt(ctx context.Context, b *model.Batch, at []place) (logits *model.Logits, err error) {
	f := whole(b)
	f.at = at
	err = lm.withPast(b.Rows, func(past []onnx.Value) error {
		logits, err = lm.logits(ctx, f, len(at), 1, past, nil)
		return err
	})
	return logits, err
}

// Scorer returns what scores with the LM: itself or, where its graph was not
// rewritten for that, the full logits that it gives.
func (lm *LM) Scorer() model.Scorer {
	if lm.rewritten != nil && lm.rewritten.Targets != "" {
		return lm
	}
	return model.FullLogits{Forwarder: lm, Words: lm.info.Vocab}
}

// Vocab implements model.Scorer.
func (lm *LM) Vocab() int { return lm.info.Vocab }

// LogProbs implements model.Scorer, for a graph that was rewritten.
func (lm *LM) LogProbs(ctx context.Context, b *model.Batch, at []model.Position, out []float32) error {
	if len(at) == 0 {
		return nil
	}
	f := whole(b)
	for _, p := range at {
		f.at = append(f.at, place{p.Row, p.At})
		f.targets = append(f.targets, int64(p.Target))
	}
	v, err := onnx.NewTensor(onnx.NewShape(int64(len(at)), 1), out)
	if err != nil {
		return cleanError(err)
	}
	defer v.Destroy()
	return lm.withPast(b.Rows, func(past []onnx.Value) error {
		return lm.run(ctx, f, past, []onnx.Value{v})
	})
}

// withPast calls run with an empty cache for a number of rows.
func (lm *LM) withPast(rows int, run func(past []onnx.Value) error) error {
	var past []onnx.Value
	defer func() { destroy(past) }()
	for _, mk := range lm.empty {
		v, err := mk(rows)
		if err != nil {
			return cleanError(err)
		}
		past = append(past, v)
	}
	return run(past)
}

// probe runs two rows with a common beginning, one longer than the other. In a
// causal graph that honours its mask the common positions have equal logits:
// neither what follows nor the padding reaches them.
func (lm *LM) probe(ctx context.Context) error {
	b := &model.Batch{Rows: 2, Width: 3, TokenIDs: []int64{1, 2, 3, 1, 2, model.PadID}, Lens: []int{3, 2}}
	long, short, err := lm.probeRows(ctx, b)
	if err != nil {
		return fmt.Errorf("a first forward of 2 rows failed: %w", err)
	}
	if lm.info.Leak, err = largestChange(long, short); err != nil {
		return err
	}
	if limit := leakLimit(lm.out.typ); lm.info.Leak > limit {
		lm.info.Notes = append(lm.info.Notes, fmt.Sprintf(
			"a token's logits change by %.3g with what follows it: the graph is not causal or quantises the batch as a whole, and scores will depend on their neighbours", lm.info.Leak))
		return nil
	}
	return lm.tryTrees(ctx)
}

// probeRows returns what the graph gives for the two common positions of both
// rows.
func (lm *LM) probeRows(ctx context.Context, b *model.Batch) (long, short []float32, err error) {
	if lm.rewritten == nil {
		logits, err := lm.Forward(ctx, b)
		for t := 0; t < 2 && err == nil; t++ {
			long = append(long, logits.At(0, t, nil)...)
			short = append(short, logits.At(1, t, nil)...)
		}
		return long, short, err
	}
	// The last position of the longer row comes too: a graph whose hidden states are
	// not [B, T, H] has none there.
	if lm.rewritten.Targets == "" {
		logits, err := lm.forwardAt(ctx, b, []place{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}})
		for i := 0; i < 2 && err == nil; i++ {
			long = append(long, logits.At(i, 0, nil)...)
			short = append(short, logits.At(2+i, 0, nil)...)
		}
		return long, short, err
	}
	out, err := lm.words(ctx, b, []place{{0, 2}, {0, 0}, {0, 1}, {1, 0}, {1, 1}})
	n := len(out) / 5
	return out[n : 3*n], out[3*n:], err
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
