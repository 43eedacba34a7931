package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/hf"
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

// scoring is a run of ortscore nll: the open teacher, the job, and the files.
type scoring struct {
	flags   *nllFlags
	ui      *ui
	teacher *teacher
	job     *nll.Job
	control *hf.ChatTokenizer // for the control tokens of a chat template or one's own; nil where there are none
	files   []filePair

	rejected []string // files of rejected rows that were written
}

func (f *nllFlags) run(ctx context.Context, ui *ui, args []string) error {
	s := &scoring{flags: f, ui: ui}
	inputs, err := f.begin(ui, args)
	if err != nil {
		return err
	}
	job, err := f.job()
	if err != nil {
		return err
	}
	s.job = job
	if s.teacher, err = f.teacherFlags.open(); err != nil {
		return err
	}
	defer s.close()
	if err := s.build(); err != nil {
		return err
	}
	if s.files, err = f.pair(inputs, s.teacher.name()); err != nil {
		return err
	}
	if f.dryRun {
		return s.dryRun(ctx)
	}
	return s.score(ctx)
}

// job makes the job from the flags that need no model.
func (f *nllFlags) job() (*nll.Job, error) {
	template, err := f.readTemplate()
	if err != nil {
		return nil, err
	}
	return &nll.Job{
		Task: f.task, Answers: f.answers, Seed: f.seed, Fields: f.fields, DropScores: f.dropScores, KeepInputs: f.keepInputs, Limit: f.limit,
		Builder: nll.Builder{KeyMaxLength: f.keyMaxLength, Span: f.answerSpan, Template: template},
	}, nil
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
	text, err := readText(f.template)
	if err != nil {
		return nil, err
	}
	t, err := nll.ParseTemplate(text, true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.template, err)
	}
	if f.answerSpan == nll.Reference && !t.EndsWithAnswer() {
		return nil, fmt.Errorf("%s: want {answer} at the end for --answer-span reference, got text after it", f.template)
	}
	return t, nil
}

// build completes the job's builder with what the teacher knows without its
// graph. The vocabulary is the tokenizer's until the graph is open.
func (s *scoring) build() error {
	maxLength, err := s.teacher.maxLength(s.flags.maxLength)
	if err != nil {
		return err
	}
	b := &s.job.Builder
	b.Tokenizer, b.MaxLength, b.Vocab = s.teacher.tokenizer, maxLength, s.teacher.tokenizer.Size
	if s.flags.template == chatTemplate {
		frame, err := newChatFrame(s.teacher, "--template chat", "without --template the text is the task's own", s.flags.date)
		if err != nil {
			return err
		}
		s.control, b.Control, b.Conversation = frame.tokenizer, frame.tokenizer, frame.conversation
		note, err := frame.checkConversation()
		if note != "" {
			s.teacher.settings.Notes = append(s.teacher.settings.Notes, note)
		}
		return err
	}
	if s.control, err = s.teacher.trusted(s.flags.template); s.control != nil {
		b.Control = s.control
	}
	return err
}

func (s *scoring) close() {
	if s.control != nil {
		_ = s.control.Close()
	}
	s.teacher.close()
}

// score checks all files, then scores one after another.
func (s *scoring) score(ctx context.Context) error {
	counts, contents, err := s.check(ctx)
	if err != nil {
		return err
	}
	if err := s.teacher.start(ctx); err != nil {
		return err
	}
	s.ui.notes(s.teacher.notes())
	s.job.Builder.Vocab = s.teacher.info.Vocab
	total, stats := &nll.Summary{}, &runStats{}
	s.job.LM, s.job.Page = s.lm(), s.page()
	start := time.Now()
	for i, pair := range s.files {
		sum, err := s.scoreFile(ctx, pair, counts[i], contents[i], stats)
		if err != nil {
			s.ui.noteWritten(s.files[:i])
			return err
		}
		total.Add(sum)
	}
	stats.end(start, s.teacher, s.job.LM)
	s.ui.summary(s.flags.json, s.report(total, stats), s.flags.stats)
	if total.Rejected > 0 {
		return errPartial
	}
	return nil
}

// check reads every file once before any work is done. Standard input, which
// can be read only once, is left out.
func (s *scoring) check(ctx context.Context) ([]nll.Count, []dataset.Content, error) {
	counts, contents := make([]nll.Count, len(s.files)), make([]dataset.Content, len(s.files))
	for i, pair := range s.files {
		if pair.in == dataset.Stdin {
			continue
		}
		var err error
		if counts[i], contents[i], err = s.countFile(ctx, pair.in); err != nil {
			return nil, nil, err
		}
	}
	return counts, contents, nil
}

func (s *scoring) countFile(ctx context.Context, path string) (nll.Count, dataset.Content, error) {
	in, err := dataset.Open(path)
	if err != nil {
		return nll.Count{}, dataset.Content{}, err
	}
	defer in.Close()
	count, err := s.job.Check(ctx, in, s.flags.onError == "skip")
	s.ui.noteStale(path, count.Stale)
	return count, in.Content(), err
}

// scoreFile scores one file. Its output appears under its name only when it is
// whole.
func (s *scoring) scoreFile(ctx context.Context, pair filePair, count nll.Count, content dataset.Content, stats *runStats) (sum *nll.Summary, err error) {
	in, err := openInput(ctx, pair.in)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	out, rejects, err := s.flags.create(s.ui, pair)
	if err != nil {
		return nil, err
	}
	defer out.Abort()
	s.job.Rejects = nil
	if s.flags.onError == "skip" {
		s.job.Rejects = rejects
	}
	bar := s.ui.progress(pair.in, "sequences", count.Sequences, 0)
	s.job.LM.OnBatch = func(b model.BatchStats) {
		stats.add(b)
		bar.add(b)
	}
	sum, err = s.job.Run(ctx, in, out)
	bar.done()
	if err == nil {
		err = checkUnchanged(in, pair, content)
	}
	if err != nil {
		return nil, err
	}
	if pair.in == dataset.Stdin {
		s.ui.noteStale(pair.in, sum.Stale)
	}
	if sum.Rejected > 0 {
		s.rejected = append(s.rejected, s.job.Rejects.Path())
	}
	if sum.Rows+sum.Rejected == 0 {
		s.ui.notes([]string{pair.in + ": want rows to score, got none"})
	}
	return sum, out.Commit()
}
