package main

import (
	"context"
	"runtime"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/ort"
)

func (f *teacherFlags) loadLibrary() (*ort.Library, error) {
	lib, err := ort.Load(f.ortLib)
	if err != nil {
		err = withHint(err, "make setup puts the library into build/lib; --ort-lib or "+ort.LibraryEnv+" names another")
		return nil, withCode(err, exitModel)
	}
	return lib, nil
}

// start loads ONNX Runtime and the model to score with, and holds the tokenizer
// against it.
func (t *teacher) start(ctx context.Context) error {
	return t.load(func(path string, opts ort.Options) (ort.Info, error) {
		lm, err := ort.Open(ctx, path, opts)
		if err != nil {
			return ort.Info{}, err
		}
		t.lms = append(t.lms, lm)
		return lm.Info(), nil
	})
}

// startDecoder does so with a model to write with, which is to be asked in some way.
func (t *teacher) startDecoder(ctx context.Context, asks ort.Asks) error {
	return t.load(func(path string, opts ort.Options) (ort.Info, error) {
		opts.Asks = asks
		if asks == ort.AskLikeliest && onCPU(opts) {
			opts.Asks = ort.AskAll // whose likeliest is found in less time than in the graph
		}
		d, err := ort.OpenDecoder(ctx, path, opts)
		if err != nil {
			return ort.Info{}, err
		}
		t.decoders = append(t.decoders, d)
		return d.Info(), nil
	})
}

// load opens the model on every device, as often as there are to be replicas.
func (t *teacher) load(open func(path string, opts ort.Options) (ort.Info, error)) error {
	if _, err := t.flags.loadLibrary(); err != nil {
		return err
	}
	opts := ort.Options{
		Provider:  t.flags.ep,
		Threads:   t.flags.threads,
		IOMap:     t.flags.ioMap,
		Graph:     t.flags.graph,
		AllowLeak: t.flags.allowLeak,
		KVHeads:   t.config.KVHeads,
		HeadDim:   t.config.HeadDim,
		Vocab:     t.config.Vocab,
		Context:   t.context(),
		Windows:   t.config.Windows,

		Attention:   t.flags.cudaAttention,
		MemoryLimit: int64(t.flags.gpuMemory) << 20,
	}
	if opts.Threads == 0 && t.flags.replicas > 1 {
		opts.Threads = max(1, runtime.NumCPU()/t.flags.replicas)
	}
	for _, opts.Device = range t.flags.devices {
		for range t.flags.replicas {
			info, err := open(t.files.Model, opts)
			if err == nil {
				err = t.checkVocab(info.Vocab)
			}
			if err != nil {
				return withCode(leakHint(err), exitModel)
			}
			// What one copy runs on, all do.
			t.info, opts.Provider = info, info.Provider
		}
		if opts.Provider == ort.CPU { // of which there is one
			break
		}
	}
	return nil
}

// onCPU reports whether a model will run on the cpu.
func onCPU(opts ort.Options) bool {
	return opts.Provider == ort.CPU || opts.Provider == ort.Auto && ort.CheckCUDA(opts.Device) != nil
}

// scorers are the copies of the model, each to score with.
func (t *teacher) scorers() (scorers []model.Scorer) {
	for _, lm := range t.lms {
		scorers = append(scorers, lm.Scorer())
	}
	return scorers
}

// writers are the copies of the model, each to write with.
func (t *teacher) writers() (writers []model.Decoder) {
	for _, d := range t.decoders {
		writers = append(writers, d)
	}
	return writers
}

// session is what a copy of the model is, whatever it does.
type session interface {
	FreeMemory() (bytes int64, err error)
	Arena() (ort.Arena, error)
	Close() error
}

// sessions are the copies of the model that are open.
func (t *teacher) sessions() (all []session) {
	for _, lm := range t.lms {
		all = append(all, lm)
	}
	for _, d := range t.decoders {
		all = append(all, d)
	}
	return all
}

// arenas is the memory that each copy of the model has taken since it was made.
func (t *teacher) arenas() []ort.Arena {
	arenas := []ort.Arena{}
	for _, s := range t.sessions() {
		if a, err := s.Arena(); err == nil {
			arenas = append(arenas, a)
		}
	}
	return arenas
}

func (t *teacher) closeModels() {
	for _, s := range t.sessions() {
		_ = s.Close()
	}
	t.lms, t.decoders = nil, nil
}
