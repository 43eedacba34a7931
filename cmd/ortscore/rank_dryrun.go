package main

import (
	"context"

	"github.com/ortscore/ortscore/rank"
)

// rankPreview is what rank --dry-run shows of one file.
type rankPreview struct {
	pair  filePair
	first *rank.List // the first prompt; nil where there is none
	text  string     // what the teacher gets for it
	line  int        // of the row it belongs to
	count rank.Count
}

// dryRun shows what a run would do. It does not load ONNX Runtime.
func (r *ranking) dryRun(ctx context.Context) error {
	r.ui.notes(r.teacher.notes())
	for _, pair := range r.files {
		p, err := r.preview(ctx, pair)
		if err != nil && !r.passOver(ctx, err) {
			return err
		}
		if err == nil {
			r.ui.rankPreview(p)
		}
	}
	switch r.broken {
	case 0:
		return nil
	case len(r.files):
		return r.allBroken()
	}
	return errPartial
}

func (r *ranking) preview(ctx context.Context, pair filePair) (*rankPreview, error) {
	p := &rankPreview{pair: pair}
	var err error
	if p.count, _, err = r.checkPair(ctx, pair); err != nil {
		return nil, err
	}
	in, err := openInput(ctx, pair.in)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if p.first, p.line, err = r.job.First(in); err != nil {
		return nil, err
	}
	if p.first != nil {
		p.text, err = r.teacher.show(p.first)
	}
	return p, err
}
