package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/chat"
	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/model/openai"
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
	f.decode, f.topP, f.repeat, f.batchTokens, f.batchSize, f.cacheTokens = constrainedDecoding, 1, 1, 1024, 16, 32768
	fs.Var(word[decoding]{&f.decode, oneOf(constrainedDecoding, freeDecoding)}, "decode", "what a local teacher may write: constrained to a ranking, or free")
	fs.Var(within{&f.temperature, 0, math.Inf(1)}, "temperature", "of sampling; 0 takes the likeliest token")
	fs.Var(within{&f.topP, math.SmallestNonzeroFloat64, 1}, "top-p", "the share of probability that is sampled from")
	fs.Var(within{&f.repeat, math.SmallestNonzeroFloat64, math.Inf(1)}, "repetition-penalty", "on tokens that are in the text already; 1 for none")
	fs.StringArrayVar(&f.stop, "stop", nil, "a `text` that ends the answer, for free decoding; may be repeated")
	fs.Var(atLeast{&f.maxTokens, 0}, "max-tokens", fmt.Sprintf("tokens of an answer (default %d; constrained, what a ranking takes)", freeTokens))
	fs.Var(atLeast{&f.batchTokens, 1}, "batch-tokens", "prompt tokens that are read at once, padding included")
	fs.Var(atLeast{&f.batchSize, 1}, "batch-size", "answers that are written side by side")
	fs.Var(atLeast{&f.cacheTokens, 1}, "cache-tokens", "tokens that the cache has room for, over all answers side by side")
}

// freeTokens is the default of --max-tokens where anything may be written.
const freeTokens = 512

// rankTeacher is what makes and runs a rank.Teacher.
type rankTeacher interface {
	name() string     // for the output's name
	provider() string // what it runs on
	// show returns a prompt as the model gets it.
	show(prompt string) (string, error)
	start(ctx context.Context, ui *ui) error
	close()
}

// teacher makes the teacher that the flags ask for, and completes the job with
// what it knows. The model itself is opened by start.
func (f *rankFlags) teacher(r *ranking) (rankTeacher, error) {
	if f.modelType == remoteModel {
		return f.remote(r)
	}
	t, err := f.teacherFlags.open()
	if err != nil {
		return nil, err
	}
	local := &localRanker{teacher: t, ranking: r}
	if err = local.prepare(); err == nil && f.dryRun {
		_, err = t.readGraph()
	}
	if err != nil {
		local.close()
		return nil, err
	}
	return local, nil
}

// localRanker is a teacher that runs here.
type localRanker struct {
	*teacher
	ranking *ranking
	local   *rank.Local
	chat    *hf.ChatTokenizer // nil for a base model
	stops   []int32
}

func (l *localRanker) name() string     { return l.files.Name }
func (l *localRanker) provider() string { return string(l.decoder.Info().Provider) }

func (l *localRanker) show(prompt string) (string, error) {
	ids, err := l.local.Frame(prompt)
	if err != nil {
		return "", err
	}
	return l.tokenizer.Decode(ids)
}

func (l *localRanker) close() {
	if l.chat != nil {
		_ = l.chat.Close()
	}
	l.teacher.close()
}

// prepare settles the frame, the grammar and the lengths: all that needs the
// tokenizer and not the model.
func (l *localRanker) prepare() error {
	f, job := l.ranking.flags, l.ranking.job
	l.local = &rank.Local{Seed: f.seed, Decode: l.tokenizer.Decode, MaxNew: f.maxTokens, Stop: f.stop, First: f.firstID}
	frame, err := l.frame()
	if err != nil {
		return err
	}
	l.local.Frame, l.local.Opening = frame.tokens, frame.opening()
	if l.stops, err = hf.LoadStops(l.files, l.tokenizer, l.settings); err != nil {
		return err
	}
	if l.local.MaxNew == 0 {
		l.local.MaxNew = freeTokens
	}
	room := l.local.MaxNew
	if f.decode == constrainedDecoding {
		tail, lead := frame.end()
		if l.local.Grammar, err = rank.NewGrammar(l.tokenizer, tail, lead, f.firstID, f.window); err != nil {
			return withHint(fmt.Errorf("%s: %w", l.files.Tokenizer, err), "--decode free does without a grammar")
		}
		room = l.local.Grammar.Room(f.window)
	}
	maxLength, err := l.maxLength(f.maxLength)
	if err != nil {
		return err
	}
	if job.Fitter.MaxPrompt, err = promptRoom(maxLength, room, l.local.Grammar != nil); err != nil {
		return err
	}
	job.Teacher, job.Tokenizer = l.local, l.tokenizer
	job.Fitter.Count = func(prompt string) (int, error) {
		ids, err := frame.tokens(prompt)
		return len(ids), err
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

// start opens the model.
func (l *localRanker) start(ctx context.Context, ui *ui) error {
	if err := l.startDecoder(ctx); err != nil {
		return err
	}
	f := l.ranking.flags
	if l.local.Grammar != nil && l.local.Grammar.Note != "" {
		ui.notes([]string{l.local.Grammar.Note})
	}
	if l.local.Grammar != nil && l.local.Opening != "" {
		ui.notes([]string{"the chat template opens a " + l.local.Opening + " tag: a constrained ranking stands where the model would think; --decode free lets it"})
	}
	ui.notes(append(l.decoder.Info().Notes, l.settings.Notes...))
	l.local.Generator = &model.Generator{
		Decoder:     l.decoder,
		Limits:      model.Limits{Tokens: f.batchTokens, Rows: f.batchSize},
		Sampling:    model.Sampling{Temperature: f.temperature, TopP: f.topP, RepetitionPenalty: f.repeat},
		Stops:       l.stops,
		CacheTokens: f.cacheTokens,
		OnStep:      l.ranking.stats.step,
	}
	return nil
}

// frame is what stands round a prompt.
type frame interface {
	tokens(prompt string) ([]int32, error)
	// end is the text that stands right before the answer, no special token in it,
	// and what comes between the two.
	end() (tail, lead string)
	// opening is a think tag that is open where the answer begins.
	opening() string
}

func (l *localRanker) frame() (frame, error) {
	if l.ranking.flags.modelType == baseModel {
		return baseFrame{l.tokenizer}, nil
	}
	if l.settings.ChatTemplate == "" {
		return nil, withHint(fmt.Errorf("want a chat template in tokenizer_config.json or chat_template.jinja for --model-type llm_instruct, got none"),
			"--model-type llm asks a base model")
	}
	template, err := chat.Parse(l.settings.ChatSource)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.settings.ChatTemplate, err)
	}
	if l.chat, err = hf.LoadChatTokenizer(l.files.Tokenizer, l.tokenizer); err != nil {
		return nil, err
	}
	c := &chatFrame{template: template, tokenizer: l.chat, file: l.settings.ChatTemplate,
		options: chat.Options{Special: l.settings.Special, Date: l.ranking.flags.date.t}}
	_, err = c.render("ranking") // better now than at the first row
	return c, err
}

// baseFrame presents the prompt as an instruction, in the form that many base
// models have seen, since it came into use with Stanford's Alpaca.
type baseFrame struct{ tokenizer *hf.Tokenizer }

func (f baseFrame) tokens(prompt string) ([]int32, error) {
	enc, err := f.tokenizer.Encode("### Instruction:\n"+prompt+"\n\n### Response:\n", true)
	return enc.IDs, err
}

func (f baseFrame) end() (tail, lead string) { return "### Response:\n", "" }
func (f baseFrame) opening() string          { return "" }

// chatFrame presents the prompt as a user's message in the model's own template.
type chatFrame struct {
	template  *chat.Template
	tokenizer *hf.ChatTokenizer
	options   chat.Options
	file      string
}

func (f *chatFrame) render(prompt string) (string, error) {
	text, err := f.template.Render([]chat.Message{{Role: "user", Content: f.tokenizer.Protect(prompt)}}, f.options)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.file, err)
	}
	return text, nil
}

func (f *chatFrame) tokens(prompt string) ([]int32, error) {
	text, err := f.render(prompt)
	if err != nil {
		return nil, err
	}
	return f.tokenizer.Encode(text)
}

// tailRunes is how much of a prompt's end is looked at for what its last tokens
// are.
const tailRunes = 24

func (f *chatFrame) end() (tail, lead string) {
	text, err := f.render("ranking")
	if err != nil {
		return "", ""
	}
	tail = f.tokenizer.AfterSpecial(text)
	if runes := []rune(tail); len(runes) > tailRunes {
		tail = string(runes[len(runes)-tailRunes:])
	}
	if tail != "" && strings.TrimSpace(tail[len(tail)-1:]) != "" {
		lead = " "
	}
	return tail, lead
}

func (f *chatFrame) opening() string {
	const open, closed = "<think>", "</think>"
	if text, _ := f.render("ranking"); strings.LastIndex(text, open) > strings.LastIndex(text, closed) {
		return open
	}
	return ""
}

// endpointFlags say where a gpt teacher is.
type endpointFlags struct {
	baseURL, model, keyFile string
	parallel, retries       int
	deadline                time.Duration
}

func (f *endpointFlags) add(fs *pflag.FlagSet) {
	f.parallel, f.retries, f.deadline = 8, 5, 2*time.Minute
	fs.StringVar(&f.baseURL, "base-url", "https://api.openai.com/v1", "the endpoint of --model-type gpt")
	fs.StringVar(&f.model, "model", "", "the model's `name` at the endpoint (seed name: --generate_model_path)")
	fs.StringVar(&f.keyFile, "api-key-file", "", "a `file` with the endpoint's key (default $OPENAI_API_KEY, or none)")
	fs.Var(atLeast{&f.parallel, 1}, "parallel", "requests at once")
	fs.Var(atLeast{&f.retries, 0}, "retries", "tries after the first of a request that fails")
	fs.DurationVar(&f.deadline, "deadline", f.deadline, "of one try")
}

// key reads the endpoint's key. An error never holds it.
func (f *endpointFlags) key() (openai.Key, error) {
	text, from := os.Getenv("OPENAI_API_KEY"), "OPENAI_API_KEY"
	if f.keyFile != "" {
		data, err := os.ReadFile(f.keyFile)
		if err != nil {
			return openai.Key{}, err
		}
		text, from = string(data), f.keyFile
	}
	key, err := openai.ParseKey(text)
	if err == nil && key == (openai.Key{}) && f.keyFile != "" {
		err = errors.New("want a key, got none")
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", from, err)
	}
	return key, err
}

// remoteRanker is a teacher behind an endpoint.
type remoteRanker struct {
	model     string
	tokenizer *hf.Tokenizer // nil: words are counted
}

func (r *remoteRanker) name() string                       { return strings.ReplaceAll(r.model, "/", "_") }
func (r *remoteRanker) provider() string                   { return "endpoint" }
func (r *remoteRanker) show(prompt string) (string, error) { return prompt, nil }
func (r *remoteRanker) start(context.Context, *ui) error   { return nil }
func (r *remoteRanker) close() {
	if r.tokenizer != nil {
		_ = r.tokenizer.Close()
	}
}

func (f *rankFlags) remote(r *ranking) (rankTeacher, error) {
	key, err := f.key()
	if err != nil {
		return nil, err
	}
	out := &remoteRanker{model: f.model}
	if out.model == "" {
		out.model = f.onnx // the seed has one flag for both
	}
	opts := openai.Options{BaseURL: f.baseURL, Model: out.model, Key: key, Deadline: f.deadline, Retries: f.retries,
		Parallel: f.parallel, MaxTokens: f.maxTokens, Temperature: f.temperature, Stop: f.stop}
	if opts.MaxTokens == 0 {
		opts.MaxTokens = freeTokens
	}
	if f.topP < 1 {
		opts.TopP = f.topP
	}
	if f.temperature > 0 {
		seed := int64(f.seed)
		opts.Seed = &seed
	}
	client, err := openai.New(opts)
	if err != nil {
		return nil, err
	}
	r.job.Teacher = &rank.Remote{Client: client, First: f.firstID, OnReply: r.stats.replies}
	r.job.Tokenizer = rank.Words{}
	if f.tokenizer != "" {
		path, err := hf.LocateTokenizer(f.tokenizer)
		if err != nil {
			return nil, err
		}
		if out.tokenizer, err = hf.LoadTokenizer(path); err != nil {
			return nil, err
		}
		r.job.Tokenizer = out.tokenizer
	}
	r.job.Fitter.MaxPrompt = math.MaxInt
	if f.maxLength > 0 {
		if r.job.Fitter.MaxPrompt, err = promptRoom(f.maxLength, opts.MaxTokens, false); err != nil {
			return nil, err
		}
	}
	r.job.Fitter.Count = func(prompt string) (int, error) {
		enc, err := r.job.Tokenizer.Encode(prompt, true)
		return len(enc.IDs), err
	}
	return out, nil
}
