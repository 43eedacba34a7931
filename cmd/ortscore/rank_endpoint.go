package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/manifest"
	"github.com/ortscore/ortscore/io/regular"
	"github.com/ortscore/ortscore/io/template"
	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/model/openai"
	"github.com/ortscore/ortscore/ort"
	"github.com/ortscore/ortscore/rank"
)

// endpointFlags say where a gpt teacher is.
type endpointFlags struct {
	baseURL, model, keyFile string
	extraBody               string
	parallel, retries       int
	deadline                time.Duration
}

func (f *endpointFlags) add(fs *pflag.FlagSet) {
	f.parallel, f.retries, f.deadline = 8, 5, 2*time.Minute
	fs.StringVar(&f.baseURL, "base-url", "https://api.openai.com/v1", "the endpoint of --model-type gpt; a query, such as ?api-version=..., goes along")
	fs.StringVar(&f.model, "model", "", "the model's `name` at the endpoint (seed name: --generate_model_path)")
	fs.StringVar(&f.keyFile, "api-key-file", "", "a `file` with the endpoint's key (default $OPENAI_API_KEY, or none)")
	fs.StringVar(&f.extraBody, "extra-body", "", "a `file` with a JSON object that goes into every request, such as {\"reasoning_effort\": \"low\"}")
	fs.Var(atLeast{&f.parallel, 1}, "parallel", "requests at once")
	fs.Var(atLeast{&f.retries, 0}, "retries", "tries after the first of a request that fails")
	fs.DurationVar(&f.deadline, "deadline", f.deadline, "of one try")
}

// key reads the endpoint's key. An error never holds it.
func (f *endpointFlags) key() (openai.Key, error) {
	text, from := os.Getenv("OPENAI_API_KEY"), "OPENAI_API_KEY"
	if f.keyFile != "" {
		data, err := regular.Read(f.keyFile, regular.Small)
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

// failures bounds what fails over the run.
func (f *rankFlags) failures() *rank.Failures { return &rank.Failures{Most: f.maxFailures} }

// remoteRanker is a teacher behind an endpoint.
type remoteRanker struct {
	model     string
	host      string
	tokenizer *hf.Tokenizer // nil: words are counted
	teacher   *rank.Remote
	secret    openai.Key
	files     []manifest.File
}

func (r *remoteRanker) facts() ([]manifest.Fact, error) {
	return []manifest.Fact{{Name: "provider", Value: r.provider()}, {Name: "endpoint", Value: r.teacher.Client.Address()}, {Name: "model", Value: r.model}}, nil
}

func (r *remoteRanker) modelFiles() []manifest.File { return r.files }

// remotePage is how many lists an endpoint is asked about until the next are read.
const remotePage = 512

func (r *remoteRanker) name() string                         { return strings.ReplaceAll(r.model, "/", "_") }
func (r *remoteRanker) provider() string                     { return "endpoint" }
func (r *remoteRanker) place() string                        { return r.model + " at " + r.host }
func (r *remoteRanker) models() int                          { return 0 }
func (r *remoteRanker) arenas() []ort.Arena                  { return []ort.Arena{} }
func (r *remoteRanker) machine() []manifest.Fact             { return nil }
func (r *remoteRanker) key() openai.Key                      { return r.secret }
func (r *remoteRanker) precision() string                    { return unknownPrecision }
func (r *remoteRanker) show(list *rank.List) (string, error) { return list.Text, nil }
func (r *remoteRanker) notes() []string                      { return nil }
func (r *remoteRanker) start(context.Context) (rank.Teacher, int, error) {
	return r.teacher, remotePage, nil
}

func (r *remoteRanker) close() {
	if r.tokenizer != nil {
		_ = r.tokenizer.Close()
	}
}

// extra reads the fields of --extra-body. What it sets beside a flag, one of the two
// would not be used.
func (f *rankFlags) extra() (openai.Extra, error) {
	if f.extraBody == "" {
		return openai.Extra{}, nil
	}
	f.templates = append(f.templates, f.extraBody)
	text, err := template.ReadText(f.extraBody)
	if err != nil {
		return openai.Extra{}, err
	}
	extra, err := openai.ParseExtra(text)
	if err != nil {
		return openai.Extra{}, fmt.Errorf("%s: %w", f.extraBody, err)
	}
	for _, both := range []struct{ field, flag string }{{"max_tokens", "max-tokens"}, {"max_completion_tokens", "max-tokens"},
		{"temperature", "temperature"}, {"top_p", "top-p"}, {"stop", "stop"}} {
		if extra.Has(both.field) && f.set.Changed(both.flag) {
			return openai.Extra{}, withHint(fmt.Errorf("%s: %s: must not be set beside --%s", f.extraBody, both.field, both.flag), "leave one of them out")
		}
	}
	return extra, nil
}

func (f *rankFlags) remote(ui *ui, stats *decodeStats, scorer *rank.Scorer) (rankTeacher, error) {
	key, err := f.key()
	if err != nil {
		return nil, err
	}
	out := &remoteRanker{model: f.model, secret: key}
	if out.model == "" {
		out.model = f.onnx // the seed has one flag for both
	}
	opts := openai.Options{BaseURL: f.baseURL, Model: out.model, Key: key, Deadline: f.deadline, Retries: f.retries,
		Parallel: f.parallel, MaxTokens: f.maxTokens, Temperature: f.temperature, Stop: f.stop,
		OnNote: func(note string) { ui.notes([]string{note}) }}
	if opts.Extra, err = f.extra(); err != nil {
		return nil, err
	}
	if opts.MaxTokens == 0 {
		opts.MaxTokens = cmp.Or(opts.Extra.MaxTokens(), freeTokens)
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
	out.host = client.Host()
	out.teacher = &rank.Remote{Client: client, Failures: f.failures(), First: f.firstID, OnReply: stats.reply}
	if f.maxFailures > 0 {
		scorer.AskAgain = f.parallel
	}
	scorer.Tokenizer = rank.Words{}
	if f.tokenizer != "" {
		path, err := hf.LocateTokenizer(f.tokenizer)
		if err == nil {
			out.tokenizer, err = hf.LoadTokenizer(path)
		}
		if err != nil {
			return nil, withCode(err, exitModel)
		}
		scorer.Tokenizer = out.tokenizer
		out.files = append(out.files, manifest.File{Role: "tokenizer", Path: path})
	}
	scorer.Fitter.MaxPrompt = math.MaxInt
	if f.maxLength > 0 {
		if scorer.Fitter.MaxPrompt, err = promptRoom(f.maxLength, opts.MaxTokens, false); err != nil {
			return nil, err
		}
	}
	scorer.Fitter.Frame = func(prompt string) ([]int32, error) {
		enc, err := scorer.Tokenizer.Encode(prompt, true)
		return enc.IDs, err
	}
	return out, nil
}
