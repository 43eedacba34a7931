package main

import (
	"context"
	"fmt"
	"math"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/ort"
	"github.com/ortscore/ortscore/rank"
)

// decoding says what a local teacher may write.
type decoding string

const (
	constrainedDecoding decoding = "constrained" // nothing but a ranking
	freeDecoding        decoding = "free"        // anything
)

// decodeFlags say how a teacher writes.
type decodeFlags struct {
	decode                    decoding
	temperature, topP, repeat float64
	stop                      []string
	maxTokens                 int
	batchTokens, batchSize    int
	cacheTokens               int
}

func (f *decodeFlags) add(fs *pflag.FlagSet) {
	f.decode, f.topP, f.repeat = constrainedDecoding, 1, 1
	fs.Var(word[decoding]{&f.decode, oneOf(constrainedDecoding, freeDecoding)}, "decode", "what a local teacher may write: constrained to a ranking, or free")
	fs.Var(within{&f.temperature, 0, math.Inf(1)}, "temperature", "of sampling; 0 takes the likeliest token")
	fs.Var(within{&f.topP, math.SmallestNonzeroFloat64, 1}, "top-p", "the share of probability that is sampled from")
	fs.Var(within{&f.repeat, math.SmallestNonzeroFloat64, math.Inf(1)}, "repetition-penalty", "on tokens that are in the text already; 1 for none")
	fs.StringArrayVar(&f.stop, "stop", nil, "a `text` that ends the answer, for free decoding; may be repeated")
	fs.Var(atLeast{&f.maxTokens, 0}, "max-tokens", fmt.Sprintf("tokens of an answer (default %d; constrained, what a ranking takes)", freeTokens))
	fs.Var(atLeast{&f.batchTokens, 1}, "batch-tokens", "prompt tokens that are read at once, padding included (default 1024, on CUDA 8192, or what fits)")
	fs.Var(atLeast{&f.batchSize, 1}, "batch-size", "answers that are written side by side (default 16, on CUDA 64)")
	fs.Var(atLeast{&f.cacheTokens, 1}, "cache-tokens", "tokens that the cache has room for, over all answers side by side (default what half of the memory holds, on the cpu at most 32768)")
}

// asks is what a model is asked when it writes so.
func (f *decodeFlags) asks() ort.Asks {
	switch {
	case f.decode == constrainedDecoding:
		return ort.AskTokens
	case f.temperature == 0 && f.repeat == 1:
		return ort.AskLikeliest
	}
	return ort.AskAll
}

// freeTokens is the default of --max-tokens where anything may be written.
const freeTokens = 512

// rankTeacher is what makes and runs a rank.Teacher.
type rankTeacher interface {
	described
	name() string      // for the output's name
	provider() string  // what it runs on
	place() string     // the same for a person, with the device or the address
	precision() string // of its weights
	models() int       // copies that run here
	arenas() []ort.Arena
	// show returns a list's prompt as the model gets it.
	show(list *rank.List) (string, error)
	// notes are what a person should know of its files.
	notes() []string
	// start opens the model. page is how many lists should be ranked together.
	start(ctx context.Context) (t rank.Teacher, page int, err error)
	close()
}

// teacher makes the teacher that the flags ask for, and completes the scorer with what
// it knows. The model itself is opened by start.
func (f *rankFlags) teacher(ui *ui, stats *decodeStats, scorer *rank.Scorer) (rankTeacher, error) {
	if f.modelType == remoteModel {
		return f.remote(ui, stats, scorer)
	}
	t, err := f.teacherFlags.open()
	if err != nil {
		return nil, err
	}
	local := &localRanker{teacher: t, flags: f, ui: ui, stats: stats}
	if err := local.prepare(scorer); err != nil {
		local.close()
		return nil, err
	}
	return local, nil
}

// localRanker is a teacher that runs here.
type localRanker struct {
	*teacher
	flags *rankFlags
	ui    *ui
	stats *decodeStats
	local *rank.Local
	stops []int32
}

func (l *localRanker) provider() string { return string(l.info.Provider) }

func (l *localRanker) show(list *rank.List) (string, error) { return l.tokenizer.Decode(list.Tokens) }

// prepare settles the frame, the grammar and the lengths: all that needs the
// tokenizer and not the model.
func (l *localRanker) prepare(scorer *rank.Scorer) error {
	f := l.flags
	l.local = &rank.Local{Failures: f.failures(), Seed: f.seed, Decode: l.tokenizer.Decode, MaxNew: f.maxTokens, Stop: f.stop, First: f.firstID}
	frame, err := l.frame()
	if err != nil {
		return err
	}
	l.local.Opening = frame.opening()
	if l.stops, err = hf.LoadStops(l.files, l.tokenizer, l.settings); err != nil {
		return withCode(err, exitModel)
	}
	if l.local.MaxNew == 0 {
		l.local.MaxNew = freeTokens
	}
	room := l.local.MaxNew
	if f.decode == constrainedDecoding {
		tail, lead := frame.end()
		if l.local.Grammar, err = rank.NewGrammar(l.tokenizer, tail, lead, f.firstID, f.window); err != nil {
			return withCode(withHint(fmt.Errorf("%s: %w", l.files.Tokenizer, err), "--decode free does without a grammar"), exitModel)
		}
		room = l.local.Grammar.Room(f.window)
	}
	maxLength, err := l.maxLength(f.maxLength)
	if err != nil {
		return err
	}
	if scorer.Fitter.MaxPrompt, err = promptRoom(maxLength, room, l.local.Grammar != nil); err != nil {
		return err
	}
	scorer.Tokenizer, scorer.Fitter.Frame = l.tokenizer, frame.tokens
	if l.control != nil {
		scorer.Fitter.Protect = l.control.Protect
	}
	return nil
}

// promptRoom is what an answer of so many tokens leaves for the prompt.
func promptRoom(maxLength, answer int, constrained bool) (int, error) {
	if maxLength > answer {
		return maxLength - answer, nil
	}
	hint := "--max-tokens makes the answer shorter"
	if constrained {
		hint = "--window makes the answer shorter"
	}
	return 0, withHint(fmt.Errorf("--max-length: want room for an answer of %d tokens and a prompt, got %d", answer, maxLength), hint)
}

// pageRounds is how often the rows of the cache are to be filled by a page: at its
// end some are empty.
const pageRounds = 16

// leastPage is how many lists are ranked together at least.
const leastPage = 512

// start opens the model.
func (l *localRanker) start(ctx context.Context) (rank.Teacher, int, error) {
	f, ui := l.flags, l.ui
	if err := l.startDecoder(ctx, f.asks()); err != nil {
		return nil, 0, err
	}
	if l.local.Grammar != nil && l.local.Grammar.Note != "" {
		ui.notes([]string{l.local.Grammar.Note})
	}
	if l.local.Grammar != nil && l.local.Opening != "" {
		ui.notes([]string{"the chat template opens a thought with " + l.local.Opening + ": a constrained ranking stands where the model would think; --decode free lets it"})
	}
	if l.local.Grammar != nil && (f.maxTokens > 0 || len(f.stop) > 0) {
		ui.notes([]string{"a constrained ranking ends where it is whole: --max-tokens and --stop are for --decode free"})
	}
	ui.notes(l.notes())
	b := f.budget(l.info.Provider, l.freeMemory(), l.forwardToken(longRow), l.info.CacheToken)
	l.local.Generator = &model.Generator{
		Decoders:    l.writers(),
		Limits:      model.Limits{Tokens: b.tokens, Rows: b.rows},
		Sampling:    model.Sampling{Temperature: f.temperature, TopP: f.topP, RepetitionPenalty: f.repeat},
		Stops:       l.stops,
		CacheTokens: b.cache,
		OnStep:      l.stats.step,
		OnShrink: func(left model.Limits) {
			ui.notes([]string{fmt.Sprintf("out of memory: the model is loaded anew, and goes on with at most %s side by side (--batch-size) and prompts of %s at once (--batch-tokens)",
				count(left.Rows, "answer"), count(left.Tokens, "token"))})
		},
	}
	return l.local, max(leastPage, pageRounds*b.rows*l.models()), nil
}
