package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model/graph"
	"github.com/ortscore/ortscore/nll"
)

// sampleRows is how many rows --dry-run tokenises to estimate a file's tokens.
const sampleRows = 100

// preview is what --dry-run shows of one file.
type preview struct {
	pair  filePair
	first *shown
	count nll.Count

	sampled int     // sequences tokenised
	tokens  float64 // estimated, of the whole file
	flops   float64 // 2 * parameters * tokens
}

// shown is the first row's first text as the model reads it.
type shown struct {
	task                   nll.Task
	before, answer, after  string // the text, cut where the answer's tokens begin and end
	tokens, answerTokens   int
	passages, cut          int
	shortest, longest, row int
}

// dryRun shows what a run would do. It does not load ONNX Runtime, but refuses
// the graphs and tokenizers that a run would refuse.
func (s *scoring) dryRun(ctx context.Context) error {
	g, err := s.teacher.readGraph()
	if err != nil {
		return err
	}
	s.ui.notes(s.teacher.notes())
	for _, pair := range s.files {
		p, err := s.preview(ctx, pair)
		if err != nil {
			return err
		}
		p.flops = 2 * float64(g.Params) * p.tokens
		s.ui.preview(p)
	}
	return nil
}

// readGraph reads the model's graph and holds it against the tokenizer.
func (t *teacher) readGraph() (*graph.Model, error) {
	g, err := graph.Read(t.files.Model)
	if err != nil {
		return nil, withCode(err, exitModel)
	}
	convention, err := graph.Detect(g, t.flags.ioMap)
	if err != nil {
		return nil, withCode(fmt.Errorf("%s: %w", t.files.Model, err), exitModel)
	}
	if t.found.NotCausal.Refuses(t.flags.allowLeak) {
		return nil, withCode(leakHint(fmt.Errorf("%s: %w", t.files.Model, t.found.NotCausal)), exitModel)
	}
	if vocab := convention.Logits.Dims[2]; vocab > 0 {
		return g, t.checkVocab(int(vocab))
	}
	return g, nil
}

func (s *scoring) preview(ctx context.Context, pair filePair) (*preview, error) {
	in, err := openInput(ctx, pair.in)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	p := &preview{pair: pair}
	for row := 0; row < sampleRows && (s.flags.limit == 0 || row < s.flags.limit); row++ {
		err := s.sample(in, p)
		var bad *dataset.Error
		if err == io.EOF {
			break
		}
		if errors.As(err, &bad) && s.flags.onError == "skip" {
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	if pair.in == dataset.Stdin {
		return p, nil
	}
	if p.count, _, err = s.countFile(ctx, pair.in); err != nil {
		return nil, err
	}
	if p.sampled > 0 {
		p.tokens *= float64(p.count.Sequences) / float64(p.sampled)
	}
	return p, nil
}

// sample tokenises the next row and adds its tokens up.
func (s *scoring) sample(in *dataset.Reader, p *preview) error {
	ex, built, err := s.job.Next(in)
	if err != nil {
		return err
	}
	if p.first == nil {
		if p.first, err = s.show(ex, built); err != nil {
			return err
		}
	}
	for _, seq := range built.Sequences {
		p.tokens += float64(len(seq.Tokens))
	}
	p.sampled += len(built.Sequences)
	return nil
}

// show decodes a row's first sequence: what is shown is what the model gets, not
// what the template meant.
func (s *scoring) show(ex *nll.Example, built *nll.Built) (*shown, error) {
	seq := built.Sequences[0]
	answer := nll.AnswerSpan(seq)
	out := &shown{task: ex.Task, row: ex.Row.Line, tokens: len(seq.Tokens), answerTokens: answer.Len(),
		passages: len(built.Sequences), cut: built.Cuts, shortest: len(seq.Tokens)}
	for _, q := range built.Sequences {
		out.shortest = min(out.shortest, len(q.Tokens))
		out.longest = max(out.longest, len(q.Tokens))
	}
	var err error
	for _, part := range []struct {
		text     *string
		from, to int
	}{{&out.before, 0, answer.From}, {&out.answer, answer.From, answer.To}, {&out.after, answer.To, len(seq.Tokens)}} {
		if *part.text, err = s.teacher.tokenizer.Decode(seq.Tokens[part.from:part.to]); err != nil {
			return nil, err
		}
	}
	return out, nil
}
