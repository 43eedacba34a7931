package main

import (
	"context"
	"fmt"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/model/graph"
	"github.com/ortscore/ortscore/nll"
	"github.com/ortscore/ortscore/rank"
)

// dryRun is what --dry-run must know of a scorer and its teacher. It needs ONNX Runtime
// to estimate the time alone.
type dryRun[R any] struct {
	read   func(*dataset.Row) (R, job.Work, error)
	show   func(R) (*shown, error) // nil where the row has nothing to show
	ran    func() int              // tokens so far
	notes  func() []string         // of the teacher
	origin func() origin
	unit   string                       // what the model is asked: sequence, list
	graph  func() (*graph.Model, error) // nil for an endpoint, which is not asked
}

func (t *teacher) dryRun(ui *ui, s *nll.Scorer, stats *runStats) dryRun[*nll.Example] {
	return dryRun[*nll.Example]{read: s.Read, show: t.showExample, ran: func() int { return stats.Tokens + stats.Shared },
		notes: t.notes, origin: func() origin { return t.origin(ui) }, unit: "sequence", graph: t.heldGraph}
}

func rankDryRun(ui *ui, t rankTeacher, s *rank.Scorer, stats *decodeStats) dryRun[*rank.Example] {
	d := dryRun[*rank.Example]{read: s.Read, show: showList(t), ran: func() int { return stats.PromptTokens },
		notes: t.notes, origin: func() origin { return rankOrigin(ui, t) }, unit: "list"}
	if local, ok := t.(*localRanker); ok {
		d.graph = local.heldGraph
	}
	return d
}

// preview is what is told of one file.
type preview struct {
	*job.Preview
	FLOPs float64 `json:"floating_point_operations,omitempty"` // estimated
	First *shown  `json:"first"`                               // null where there is none
	unit  string
}

// previewReport is what --dry-run --json writes.
type previewReport struct {
	origin
	Files []preview `json:"files"`
}

// shown is the first text that the model reads, as it reads it.
type shown struct {
	Line int    `json:"line"` // of its row
	Text string `json:"text"` // of nll, with the answer's tokens between >>> and <<<

	about [][2]string // what is said of it, for a person
}

// runDry tells what a run over files would do.
func runDry[R, A any, S job.Total[S]](ctx context.Context, ui *ui, asJSON bool, files *job.Files[R, A, S], pairs []job.Pair, d dryRun[R]) error {
	all := []preview{}
	var first *shown
	params := int64(0)
	if d.graph == nil {
		files.Start = nil
	} else if g, err := d.graph(); err != nil {
		return err
	} else {
		params = g.Params
	}
	look := job.Look[R]{Read: d.read, Ran: d.ran}
	look.Show = func(row R) (_ bool, err error) {
		first, err = d.show(row)
		return first != nil, err
	}
	look.Done = func(p *job.Preview) {
		all = append(all, preview{p, 2 * float64(params) * float64(p.Tokens), first, d.unit})
		if first = nil; !asJSON {
			ui.preview(&all[len(all)-1])
		}
	}
	err := files.Preview(ctx, pairs, look)
	ui.notes(d.notes())
	if asJSON && len(all) > 0 {
		ui.json(previewReport{d.origin(), all})
	}
	if err != nil {
		return err
	}
	return leavesOut(files.Result, &job.Counts{})
}

// showExample decodes a row's first sequence: what is shown is what the model gets, not
// what the template meant.
func (t *teacher) showExample(ex *nll.Example) (*shown, error) {
	seq := ex.Sequences[0]
	answer := nll.AnswerSpan(seq)
	shortest, longest := len(seq.Tokens), 0
	for _, s := range ex.Sequences {
		shortest, longest = min(shortest, len(s.Tokens)), max(longest, len(s.Tokens))
	}
	var parts [3]string
	for i, tokens := range [][]int32{seq.Tokens[:answer.From], seq.Tokens[answer.From:answer.To], seq.Tokens[answer.To:]} {
		var err error
		if parts[i], err = t.tokenizer.Decode(tokens); err != nil {
			return nil, err
		}
	}
	return &shown{ex.Row.Line, parts[0] + ">>>" + parts[1] + "<<<" + parts[2], [][2]string{
		{"first row", fmt.Sprintf("line %d, task %s, %s, of %d to %d tokens, %d cut", ex.Row.Line, ex.Task, count(len(ex.Sequences), "sequence"), shortest, longest, ex.Cuts)},
		{"first text", fmt.Sprintf("%s, of which %s, marked >>> <<<", count(len(seq.Tokens), "token"), count(answer.Len(), "answer token"))},
	}}, nil
}

// showList shows a row's first prompt, where it needs one.
func showList(t rankTeacher) func(*rank.Example) (*shown, error) {
	return func(ex *rank.Example) (*shown, error) {
		list := ex.First()
		if list == nil {
			return nil, nil
		}
		text, err := t.show(list)
		return &shown{ex.Row.Line, text, [][2]string{{"first prompt", fmt.Sprintf("line %d, %s", ex.Row.Line, count(list.N, "passage"))}}}, err
	}
}

// heldGraph is the model's graph, held against the tokenizer: a dry run refuses what a
// run would refuse.
func (t *teacher) heldGraph() (*graph.Model, error) {
	if t.unread != nil {
		return nil, withCode(t.unread, exitModel)
	}
	if t.found.NotCausal.Refuses(t.flags.allowLeak) {
		return nil, withCode(leakHint(fmt.Errorf("%s: %w", t.files.Model, t.found.NotCausal)), exitModel)
	}
	if vocab := t.layout.Logits.Dims[2]; vocab > 0 {
		return t.graph, t.checkVocab(int(vocab))
	}
	return t.graph, nil
}
