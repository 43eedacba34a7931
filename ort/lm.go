package ort

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

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

	// Attention says which attention kernels CUDA may take; "" is Flash.
	Attention Attention
	// MemoryLimit bounds the bytes that ONNX Runtime takes on the CUDA device for
	// weights and a run's tensors, 0 for no bound. A Decoder's cache lies beside it.
	MemoryLimit int64
	// Profile, if set, is the beginning of the path of ONNX Runtime's profile, which
	// is written when the session is closed.
	Profile string

	// KVHeads, HeadDim and Vocab come from config.json. They are used only where
	// the graph leaves the dimension open; 0 is unknown.
	KVHeads, HeadDim, Vocab int

	// Context and Windows come from config.json as well: the most tokens that the
	// model reads, 0 for unknown, and lengths beyond which a token looks at fewer or
	// numbers change. The trial at start goes as far, where that is quick.
	Context int
	Windows []int
	// AllowLeak lets a graph score that is not causal.
	AllowLeak bool

	Asks Asks // of a Decoder

	cache bool     // a decoder's lies beside the session's memory
	tight bool     // memory ran out before
	notes []string // what to say of the session
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
	LastTokens   = "log-probabilities of the tokens that may follow each row"
	LastToken    = "the likeliest token to follow each row"
)

// Asks says what a Decoder will be asked, which its graph is rewritten to give. It
// answers what else is asked too, out of more numbers.
type Asks int

// The ways to ask, as in model.Ask. The zero value is ready for any.
const (
	AskAll Asks = iota
	AskTokens
	AskLikeliest
)

// form is the one that a graph is rewritten to.
func (a Asks) form(vocab int) graph.Form {
	switch {
	case a == AskTokens:
		return graph.DecodingTokens
	case a == AskLikeliest && vocab <= maxFloatID:
		return graph.DecodingLikeliest
	}
	return graph.Decoding
}

// maxFloatID is the largest id that is exact in fp32, as all below are.
const maxFloatID = 1 << 24

// Info describes an open session.
type Info struct {
	Graph      *graph.Model
	Convention *graph.Convention
	Provider   Provider
	Form       string   // one of the above
	Notes      []string // what a person should know, such as why CUDA was not used
	Vocab      int      // V, words in the logits
	KVHeads    int      // of the cache; 0 where the graph has none
	HeadDim    int
	Cache      string // of a Decoder: one of CacheInPlace, CacheCopied, CacheNone
	CacheToken int    // bytes of the cache for each token that a row may hold
	Trial      Trial
	// Wider says that a batch may be wider than its longest row: all that the graph
	// takes of the width is what a mask says of its columns, or it is told the width.
	Wider bool
}

// LM is a decoder graph on ONNX Runtime, fed whole sequences and an empty cache.
// What it gives is as its graph was rewritten. One goroutine may use it at a time.
type LM struct {
	session
	empty  []pastMaker
	trees  model.Trees
	mixing model.Mixing
}

// Open reads the graph at path, makes a session for it on the wanted provider, and
// tries it: what cannot score is refused here, not hours later. The graph is rewritten
// for scoring; where that fails it runs as it is, and a note says why.
func Open(ctx context.Context, path string, opts Options) (*LM, error) {
	return onProvider(ctx, opts, func(opts Options) (*LM, error) {
		form := graph.Scoring
		if opts.Provider == CUDA {
			form = graph.ScoringPresent
		}
		return openLM(ctx, path, opts, func(int) graph.Form { return form })
	})
}

// openLM opens the graph rewritten in the form that is right for a vocabulary.
func openLM(ctx context.Context, path string, opts Options, form func(vocab int) graph.Form) (*LM, error) {
	var s session
	if err := s.read(path, opts); err != nil {
		return nil, err
	}
	return rewrittenFirst(ctx, opts, func(rewritten bool) (*LM, *Info, error) {
		lm := &LM{session: s}
		if err := lm.settle(rewritten, form(s.info.Vocab)); err != nil {
			return nil, nil, err
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
		var leak *NotCausalError
		var refused *graph.NotCausalError
		if errors.As(err, &leak) || errors.As(err, &refused) {
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
	lm.settleMixing()
	return lm.tried(ctx, lm, lm.probe)
}

// settleMixing has the graph tell which sequences share a batch, before the trial.
func (lm *LM) settleMixing() {
	whole := lm.info.Graph.Batchwide
	lm.mixing = model.Mixing{Alone: whole.Quantizer != "", Breaks: whole.Breaks}
	if lm.mixing.Alone {
		lm.info.Notes = append(lm.info.Notes, fmt.Sprintf("activations are quantized with one scale for the whole batch (%s): "+
			"sequences run one at a time, which is slow; scripts/export_onnx.py --dtype int8 takes a scale for each token", whole.Quantizer))
	}
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

// Predict implements model.Predictor, for a graph that was not rewritten for scoring.
func (lm *LM) Predict(ctx context.Context, b *model.Batch, asks []model.Ask) ([]model.Candidates, error) {
	return lm.predictAt(ctx, b, b.Last(), asks)
}

// predictAt answers what is asked at places of a batch.
func (lm *LM) predictAt(ctx context.Context, b *model.Batch, at []model.Position, asks []model.Ask) (out []model.Candidates, err error) {
	f := whole(b)
	f.at = at
	err = lm.withPast(b.Rows, func(past []onnx.Value) error {
		out, err = lm.answer(ctx, f, asks, past, nil)
		return err
	})
	return out, err
}

// Scorer returns what scores with the LM: itself or, where its graph was not
// rewritten for that, the full logits that it gives.
func (lm *LM) Scorer() model.Scorer {
	if lm.scoring() {
		return lm
	}
	return model.FullLogits{Forwarder: lm, Words: lm.info.Vocab, Mix: lm.mixing}
}

// Mixing implements model.Scorer.
func (lm *LM) Mixing() model.Mixing { return lm.mixing }

// Vocab implements model.Scorer.
func (lm *LM) Vocab() int { return lm.info.Vocab }

// LogProbs implements model.Scorer, for a graph that was rewritten.
func (lm *LM) LogProbs(ctx context.Context, b *model.Batch, at []model.Position, out []float32) error {
	if len(at) == 1 { // one row of a multiply alone
		both := make([]float32, 2)
		err := lm.LogProbs(ctx, b, []model.Position{at[0], at[0]}, both)
		out[0] = both[0]
		return err
	}
	if lm.info.Wider && lm.mixing.Any() {
		b = withoutLeftOver(b, at)
	}
	targets := make([]int64, len(at))
	for i, p := range at {
		targets[i] = int64(p.Target)
	}
	return lm.logProbs(ctx, b, at, targets, out)
}

// withoutLeftOver is a batch of an even width where its last column is asked about.
// ONNX Runtime has other kernels for a single row of a multiply (MatMulNBits, and
// GroupQueryAttention, which takes queries in blocks of an even number), so that the
// last bits of what is left over by itself would be others than in company.
func withoutLeftOver(b *model.Batch, at []model.Position) *model.Batch {
	last := func(p model.Position) bool { return p.At == b.Width-1 }
	if b.Width%2 == 0 || len(b.Parents) > 0 || !slices.ContainsFunc(at, last) {
		return b
	}
	wider := &model.Batch{Rows: b.Rows, Width: b.Width + 1, Lens: b.Lens}
	for row := range slices.Chunk(b.TokenIDs, b.Width) {
		wider.TokenIDs = append(append(wider.TokenIDs, row...), model.PadID)
	}
	return wider
}

// logProbs sets out to the log-probabilities of as many targets at each place, one
// place after another.
func (lm *LM) logProbs(ctx context.Context, b *model.Batch, at []model.Position, targets []int64, out []float32) error {
	if len(at) == 0 {
		return nil
	}
	f := whole(b)
	f.at, f.targets = at, targets
	v, err := onnx.NewTensor(onnx.NewShape(int64(len(at)), int64(len(targets)/len(at))), out)
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

// probe tries the graph before it scores: first with short sequences, then with such
// as are longer than its windows, where that is quick. What it finds settles which
// sequences share a batch; what is not causal is an error.
func (lm *LM) probe(ctx context.Context) error {
	if err := lm.tryLengths(ctx, lm.tryMixing); err != nil {
		return err
	}
	if !lm.mixing.Any() {
		return nil
	}
	return lm.tryTrees(ctx)
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
