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
	Cache      string // of a Decoder: one of CacheInPlace, CacheCopied, CacheNone
	CacheToken int    // bytes of the cache for each token that a row may hold
	// Leak is the largest change that what follows a token made to its logits, in
	// the probe at start. A causal graph gives about 0.
	Leak float64
}

// LM is a decoder graph on ONNX Runtime, fed whole sequences and an empty cache.
// It implements model.Forwarder. One goroutine may use it at a time.
type LM struct {
	session
	past []pastMaker
}

// Open reads the graph at path, makes a session for it on the wanted provider,
// and runs it once over two short rows: what cannot score is refused here, not
// hours later.
func Open(ctx context.Context, path string, opts Options) (*LM, error) {
	lm := &LM{}
	if err := lm.read(path, opts); err != nil {
		return nil, err
	}
	if err := lm.start(path, opts, false); err != nil {
		return nil, err
	}
	for _, past := range lm.info.Convention.Past {
		lm.past = append(lm.past, emptyPast(past.Type, lm.info.KVHeads, lm.info.HeadDim))
	}
	if err := tried(ctx, path, lm, lm.probe); err != nil {
		return nil, err
	}
	return lm, nil
}

// Forward implements model.Forwarder.
func (lm *LM) Forward(ctx context.Context, b *model.Batch) (*model.Logits, error) {
	f := whole(b)
	var past []onnx.Value
	defer func() { destroy(past) }()
	for _, mk := range lm.past {
		v, err := mk(b.Rows)
		if err != nil {
			return nil, cleanError(err)
		}
		past = append(past, v)
	}
	return lm.run(ctx, f, past, nil)
}

// probe runs two rows with a common beginning, one longer than the other. In a
// causal graph that honours its mask the common positions have equal logits:
// neither what follows nor the padding reaches them.
func (lm *LM) probe(ctx context.Context) error {
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
