package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/io/template"
	"github.com/ortscore/ortscore/nll"
)

// nllFlags are the flags of ortscore nll.
type nllFlags struct {
	teacherFlags
	fileFlags
	task                    nll.Task
	template                string // a file, or chatTemplate
	date                    date
	answerSpan              nll.SpanRule
	answers                 nll.AnswerChoice
	seed                    uint64
	keyMaxLength, maxLength int
	batchTokens, batchSize  int
	logitsMemory            int // MiB
	fields                  nll.FieldChoice
	keepInputs              bool
}

// chatTemplate is the value of --template that stands for the model's chat template.
const chatTemplate = "chat"

func nllCommand() (*pflag.FlagSet, func(context.Context, *ui, []string) error) {
	f := &nllFlags{answerSpan: nll.Offsets, answers: nll.First, keyMaxLength: 512, logitsMemory: 256,
		fields: nll.TeacherFields, date: defaultDate}
	fs := newFlags("nll")
	f.teacherFlags.add(fs)
	f.fileFlags.add(fs, "scored", "stop", "skip")
	fs.Var(word[nll.Task]{&f.task, nll.ParseTask}, "task", "qa, convsearch, chat, icl or lrlm, for every row (default each row's own)")
	fs.StringVar(&f.template, "template", "", "a `file` with a text of your own, with {passage}, {query} and {answer}; or chat, for the model's chat template")
	fs.Var(&f.date, "date", "the `day` that a chat template sees as today")
	fs.Var(word[nll.SpanRule]{&f.answerSpan, nll.ParseSpanRule}, "answer-span", "the answer's tokens: by offsets, or by the reference's rule")
	fs.Var(word[nll.AnswerChoice]{&f.answers, nll.ParseAnswerChoice}, "answers", "which of several answers: first, random, best or mean")
	fs.Uint64Var(&f.seed, "seed", 42, "seed of --answers random")
	fs.Var(atLeast{&f.keyMaxLength, 1}, "key-max-length", "tokens of a passage; the rest is cut")
	fs.Var(atLeast{&f.maxLength, 0}, "max-length", "tokens of a whole sequence; the passage is cut further (default the model's context)")
	fs.Var(atLeast{&f.batchTokens, 1}, "batch-tokens", "tokens of a batch, padding included (default found out by the run's first batches)")
	fs.Var(atLeast{&f.batchSize, 0}, "batch-size", "most rows of a batch, each of one sequence or of several that begin alike (default no bound; seed name: --lm_batch_size)")
	fs.Var(atLeast{&f.logitsMemory, 1}, "logits-memory", "MiB of the answers' logits in one run, by which batches are cut (--graph full gives those of all tokens)")
	fs.Var(word[nll.FieldChoice]{&f.fields, nll.ParseFieldChoice}, "fields", "score fields to write: teacher, pos-neg or both")
	fs.BoolVar(&f.keepInputs, "keep-inputs", false, "keep the token ids of lrlm rows")
	return fs, f.run
}

func (f *nllFlags) run(ctx context.Context, ui *ui, args []string) error {
	inputs, err := f.begin(ui, args)
	if err != nil {
		return err
	}
	template, err := f.readTemplate()
	if err != nil {
		return err
	}
	t, err := f.teacherFlags.open()
	if err != nil {
		return err
	}
	defer t.close()
	builder, err := f.builder(t, template)
	if err != nil {
		return err
	}
	pairs, err := f.pair(inputs, t.name())
	if err != nil {
		return err
	}
	scorer := nll.Scorer{Builder: *builder, Task: f.task, Answers: f.answers, Seed: f.seed, Fields: f.fields, DropScores: f.dropScores, KeepInputs: f.keepInputs}
	stats := &runStats{}
	files := newFiles[*nll.Example, nll.Answer, *nll.Summary]("nll", &f.fileFlags, ui, t, "sequences", stats)
	files.Check, files.Summary = scorer.Check, func() *nll.Summary { return &nll.Summary{} }
	files.Start = func(ctx context.Context) (job.Scorer[*nll.Example, nll.Answer, *nll.Summary], int, error) {
		if err := t.start(ctx); err != nil {
			return nil, 0, err
		}
		ui.notes(t.notes())
		ready := scorer
		ready.Builder.Vocab = t.info.Vocab
		ready.LM = f.lm(t, ui, builder.MaxLength)
		ready.LM.OnBatch = stats.add
		stats.lm = ready.LM
		return &ready, page(t), nil
	}
	if f.dryRun {
		return runDry(ctx, ui, f.json, files, pairs, t.dryRun(ui, &scorer, stats))
	}
	if err := files.Run(ctx, pairs); err != nil {
		return err
	}
	stats.end(t, files.Seconds)
	ui.summary(f.json, f.report(ui, t, files.Total, stats, files.Result), f.stats)
	return leavesOut(files.Result, files.Total.Count())
}

func (f *nllFlags) readTemplate() (*nll.Template, error) {
	if f.template == chatTemplate && f.answerSpan == nll.Reference {
		return nil, fmt.Errorf("--answer-span reference: want a text that ends with %q, got --template chat", "Answer: {answer}")
	}
	if f.template != chatTemplate && f.set.Changed("date") {
		return nil, withHint(errors.New("--date: must not be given without --template chat: only a chat template reads it"), "leave it out")
	}
	if f.template == "" || f.template == chatTemplate {
		return nil, nil
	}
	f.templates = append(f.templates, f.template)
	t, err := template.ReadFile(f.template, func(text string) (*nll.Template, error) { return nll.ParseTemplate(text, true) })
	if err == nil && f.answerSpan == nll.Reference && !t.EndsWithAnswer() {
		err = fmt.Errorf("%s: want {answer} at the end for --answer-span reference, got text after it", f.template)
	}
	return t, err
}

// builder makes what turns rows into sequences, with what the teacher knows without its
// graph. The vocabulary is the tokenizer's until the graph is open.
func (f *nllFlags) builder(t *teacher, template *nll.Template) (*nll.Builder, error) {
	maxLength, err := t.maxLength(f.maxLength)
	if err != nil {
		return nil, err
	}
	b := &nll.Builder{Tokenizer: t.tokenizer, KeyMaxLength: f.keyMaxLength, MaxLength: maxLength, Vocab: t.tokenizer.Size, Span: f.answerSpan, Template: template}
	if f.template == chatTemplate {
		frame, err := newChatFrame(t, "--template chat", "without --template the text is the task's own", f.date)
		if err != nil {
			return nil, err
		}
		t.control, b.Control, b.Conversation = frame.tokenizer, frame.tokenizer, frame.conversation
		note, err := frame.checkConversation()
		if note != "" {
			t.settings.Notes = append(t.settings.Notes, note)
		}
		return b, err
	}
	if t.control, err = t.trusted(f.template); t.control != nil {
		b.Control = t.control
	}
	return b, err
}
