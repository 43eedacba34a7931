package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/progress"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/ort"
)

// teacherFlags say which model is the teacher and what it runs on.
type teacherFlags struct {
	onnx, dtype, tokenizer string
	bos                    hf.BOS
	ep                     ort.Provider
	graph                  ort.Graph
	devices                []int
	replicas, threads      int
	gpuMemory              int // MiB
	cudaAttention          ort.Attention
	ortLib                 string
	ioMap                  map[string]string
	allowLeak              bool

	set *pflag.FlagSet // that these are part of
}

func (f *teacherFlags) add(fs *pflag.FlagSet) {
	f.set = fs
	fs.StringVar(&f.onnx, "onnx", "", "the teacher: an .onnx `file` or a model folder (seed name: --model_name_or_path)")
	fs.Var(word[string]{&f.dtype, hf.ParseDtype}, "dtype", "which of a folder's models: fp32, fp16, q4 ... (default full precision; seed name: --lm_dtype)")
	fs.StringVar(&f.tokenizer, "tokenizer", "", "tokenizer.json or its `folder` (default beside the model, or a folder up)")
	f.bos = hf.AutoBOS
	fs.Var(word[hf.BOS]{&f.bos, oneOf(hf.AutoBOS, hf.AlwaysBOS, hf.NeverBOS)}, "bos", "put BOS before a text: auto, as transformers does; always or never")
	f.ep = ort.CPU
	fs.Var(word[ort.Provider]{&f.ep, oneOf(ort.CPU, ort.CUDA, ort.Auto)}, "ep", "execution `provider`: cpu, cuda or auto")
	f.devices, f.replicas = []int{0}, 1
	fs.Var(numbers{&f.devices}, "devices", "the CUDA devices, as `0,1,...`: the model runs on all of them (seed name: --device)")
	fs.Var(atLeast{&f.replicas, 1}, "replicas", "copies of the model that run side by side on a device, each in memory of its own")
	fs.Var(atLeast{&f.gpuMemory, 0}, "gpu-memory", "`MiB` that a copy of the model may take on a CUDA device, rank's cache left out (default all there is)")
	f.cudaAttention = ort.Flash
	fs.Var(word[ort.Attention]{&f.cudaAttention, oneOf(ort.Flash, ort.CuDNN)}, "cuda-attention", "CUDA's attention kernels: flash, or cudnn, which plans anew for every shape of a batch")
	fs.Var(atLeast{&f.threads, 0}, "threads", "threads of a copy of the model on the cpu (default the cores, divided among the copies)")
	f.graph = ort.AutoGraph
	fs.Var(word[ort.Graph]{&f.graph, oneOf(ort.AutoGraph, ort.FullGraph)}, "graph", "auto: the model's graph rewritten in memory, to give what is asked alone; full: as it is")
	fs.StringVar(&f.ortLib, "ort-lib", "", "the ONNX Runtime library, a `file` or its folder")
	fs.StringToStringVar(&f.ioMap, "io-map", nil, "names of a graph's own, as `role=name`,... for input_ids, attention_mask, position_ids, logits")
	fs.Lookup("io-map").DefValue = "" // help would show []
	fs.BoolVar(&f.allowLeak, "allow-leak", false, "run a model that is no causal language model: its tokens may see those after them")
}

// teacher is an open model with its tokenizer.
type teacher struct {
	files     *hf.Files
	config    *hf.Config
	tokenizer *hf.Tokenizer
	settings  *hf.Settings
	lms       []*ort.LM     // one for each device and replica, none until start
	decoders  []ort.Decoder // none until startDecoder
	info      ort.Info      // of each of them
	graph     *graph.Model  // nil where it cannot be read
	layout    *graph.Convention
	unread    error // why graph or layout is nil
	found     graph.Findings
	control   *hf.ChatTokenizer // for the control tokens of a chat template or one's own; nil where there are none
	stored    string            // what its matrices of weights are stored in: fp32, int8 ... or unknownPrecision
	flags     *teacherFlags
}

// checkDevice refuses flags of CUDA devices where the model is to run on the cpu. A
// variable of the environment gives way to --ep cpu among the arguments.
func (f *teacherFlags) checkDevice() error {
	if f.ep != ort.CPU || f.set == nil {
		return nil
	}
	for _, name := range []string{"devices", "gpu-memory", "cuda-attention"} {
		variable, value := fromEnvironment(name)
		switch {
		case f.set.Changed(name):
			return withHint(fmt.Errorf("--%s: want --ep cuda or --ep auto with it, got --ep cpu", name), "--replicas runs copies of the model on the cpu")
		case value != "" && !f.set.Changed("ep"):
			return withHint(fmt.Errorf("%s: want --ep cuda or --ep auto with it, got --ep cpu", variable), "--ep cpu among the arguments runs on the cpu all the same")
		}
	}
	return nil
}

// open finds the model's files and reads those that are quick to read.
func (f *teacherFlags) open() (*teacher, error) {
	if err := f.checkDevice(); err != nil {
		return nil, err
	}
	if f.onnx == "" {
		return nil, withHint(fmt.Errorf("want a model in --onnx, got none"), "make demo makes one in build/models; see README on how to bring your own")
	}
	t, err := f.read()
	if err != nil {
		return nil, withCode(err, exitModel)
	}
	if err := t.settings.PutBOS(t.tokenizer, f.bos); err != nil {
		_ = t.tokenizer.Close()
		return nil, withHint(fmt.Errorf("--bos %s: %w", f.bos, err), "--bos never does without")
	}
	t.look()
	return t, nil
}

func (f *teacherFlags) read() (*teacher, error) {
	files, err := hf.Locate(f.onnx, f.dtype, f.tokenizer)
	if err != nil {
		return nil, err
	}
	config, err := hf.LoadConfig(files.Dirs)
	if err != nil {
		return nil, err
	}
	if config.NotCausal != "" && !f.allowLeak {
		return nil, leakHint(&graph.NotCausalError{Reason: config.Path + ": architectures: " + config.NotCausal})
	}
	tok, err := hf.LoadTokenizer(files.Tokenizer)
	if err != nil {
		return nil, err
	}
	settings, err := hf.LoadSettings(files)
	if err != nil {
		_ = tok.Close()
		return nil, err
	}
	return &teacher{files: files, config: config, tokenizer: tok, settings: settings, stored: unknownPrecision, flags: f}, nil
}

// look reads the model's graph. What is wrong with one that cannot be read is said
// when it is opened.
func (t *teacher) look() {
	if t.graph, t.unread = graph.Read(t.files.Model); t.unread != nil {
		return
	}
	t.stored = cmp.Or(t.graph.Precision, unknownPrecision)
	var err error
	if t.layout, err = graph.Detect(t.graph, t.flags.ioMap); err != nil {
		t.unread = fmt.Errorf("%s: %w", t.files.Model, err)
		return
	}
	if found, err := graph.Examine(t.files.Model, t.layout); err == nil {
		t.found = *found
	}
}

// leakHint adds the way out to an error that says that a model is not causal.
func leakHint(err error) error {
	var static *graph.NotCausalError
	var tried *ort.NotCausalError
	if !errors.As(err, &static) && !errors.As(err, &tried) {
		return err
	}
	if static != nil && static.Probabilities {
		return withHint(err, "export the model without what makes probabilities of its logits")
	}
	return withHint(err, "take a causal language model; --allow-leak runs this one all the same")
}

// name is the model's, for an output's name.
func (t *teacher) name() string { return labelled(t.files.Name, t.stored) }

// place is what the model runs on, as a summary names it.
func (t *teacher) place() string {
	if t.info.Provider != ort.CUDA {
		return "the " + string(t.info.Provider)
	}
	devices := numbers{&t.flags.devices}.String()
	if len(t.flags.devices) > 1 {
		return "cuda devices " + devices
	}
	return "cuda device " + devices
}

// precision is that of the model's weights.
func (t *teacher) precision() string { return t.stored }

// models is how many copies of the model are open.
func (t *teacher) models() int { return len(t.lms) + len(t.decoders) }

// notes are what a person should know of an open teacher.
func (t *teacher) notes() []string {
	return slices.Concat(t.info.Notes, t.tokenizer.Notes, t.settings.Notes, precisionNotes(t.stored), t.lengthNotes(), t.leakNotes())
}

// lengthNotes say where the longest text is another than config.json tells.
func (t *teacher) lengthNotes() []string {
	context, most := t.config.Context, t.found.MostTokens
	switch {
	case context > 0 && most > 0 && most < context:
		return []string{fmt.Sprintf("%s gives a context of %s tokens, and the graph has positions for %s, which no text is longer than",
			t.config.Path, progress.Thousands(context), progress.Thousands(most))}
	case t.config.Unbounded && most == 0:
		return []string{"the model has no positions that bound a text's length: --max-length bounds it"}
	}
	return nil
}

// leakNotes say with what --allow-leak puts up.
func (t *teacher) leakNotes() (notes []string) {
	if t.config.NotCausal != "" {
		notes = append(notes, t.config.Path+": architectures: "+t.config.NotCausal)
	}
	if t.found.NotCausal != nil {
		notes = append(notes, t.files.Model+": "+t.found.NotCausal.Reason)
	}
	return notes
}

// checkVocab refuses a tokenizer that is not this model's. A model's logits are
// often padded to a round number of words (152,064 for Qwen's 151,665, 102,400
// for DeepSeek's 100,015), so they may be somewhat more than the tokenizer has,
// and never fewer.
func (t *teacher) checkVocab(vocab int) error {
	have := t.tokenizer.Size
	if slack := min(max(1024, vocab/32), vocab/4); have <= vocab && vocab-have <= slack {
		return nil
	}
	err := fmt.Errorf("%s: want the tokenizer of a model with a vocabulary of %d, got one of %d tokens", t.files.Tokenizer, vocab, have)
	return withCode(withHint(err, "--tokenizer names another"), exitModel)
}

// context returns the tokens that a text may have by config.json and the graph, 0
// where neither tells.
func (t *teacher) context() int {
	context, most := t.config.Context, t.found.MostTokens
	if context > 0 && most > 0 {
		return min(context, most)
	}
	return max(context, most)
}

// unbounded is the length of the longest sequence where nothing bounds it.
const unbounded = math.MaxInt32

// maxLength settles the longest sequence from the flag and the model's context.
func (t *teacher) maxLength(flag int) (int, error) {
	context, most := t.config.Context, t.found.MostTokens
	if t.config.Unbounded {
		context = unbounded
	}
	switch {
	case flag == 0 && context == 0:
		return 0, fmt.Errorf("want --max-length, since no config.json gives the model's context, got none")
	case flag == 0 && most > 0:
		return min(context, most), nil
	case flag == 0:
		return context, nil
	case context > 0 && flag > context:
		return 0, fmt.Errorf("--max-length: want at most the model's context of %d tokens, got %d", context, flag)
	case most > 0 && flag > most:
		return 0, fmt.Errorf("--max-length: want at most the %d tokens for which the graph has positions, got %d", most, flag)
	}
	return flag, nil
}

func (t *teacher) close() {
	if t.control != nil {
		_ = t.control.Close()
	}
	t.closeModels()
	_ = t.tokenizer.Close()
}

var _ model.Forwarder = (*ort.LM)(nil)
var _ model.Scorer = (*ort.LM)(nil)
var _ model.Predictor = (*ort.LM)(nil)
var _ model.Tokenizer = (*hf.Tokenizer)(nil)
