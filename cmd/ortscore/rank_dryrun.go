package main

import (
	"context"

	"github.com/ortscore/ortscore/rank"
)

// rankPreview is what rank --dry-run shows of one file.
type rankPreview struct {
	pair  filePair
	first *rank.List // the first prompt; nil where there is none
	line  int        // of the row it belongs to
	count rank.Count
}

// dryRun shows what a run would do. It loads no model.
func (r *ranking) dryRun(ctx context.Context) error {
	for _, pair := range r.files {
		p, err := r.preview(ctx, pair)
		if err != nil && !r.passOver(ctx, err) {
			return err
		}
		if err == nil {
			r.ui.rankPreview(p)
		}
	}
	if r.broken > 0 {
		return errPartial
	}
	return nil
}

func (r *ranking) preview(ctx context.Context, pair filePair) (*rankPreview, error) {
	in, err := openInput(ctx, pair.in)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	p := &rankPreview{pair: pair}
	if p.first, p.line, err = r.job.First(in); err != nil || pair.in == "-" {
		return p, err
	}
	p.count, err = r.countFile(ctx, pair.in)
	return p, err
}
