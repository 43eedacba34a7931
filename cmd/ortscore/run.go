package main

import (
	"context"
	"fmt"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/durable"
	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/io/progress"
)

// newFiles makes the run of a scorer over files from what all commands have in common.
// stats is told of the progress of each file.
func newFiles[R, A any, S job.Total[S]](command string, f *fileFlags, u *ui, t described, unit string, stats interface{ show(*progress.Bar) }) *job.Files[R, A, S] {
	files := &job.Files[R, A, S]{
		Options: job.Options{Selection: job.Selection{Limit: f.limit}, SkipBad: f.onError != "stop", Told: f.keepAnswers},
		Shard:   f.shard, Force: f.force, Resume: f.resume, Rejects: f.rejects(), PassOver: f.passOver,
		Stdout: u.out, User: &watcher{u, unit, stats},
		Machine: t.machine, Origin: func(ctx context.Context) (*job.Origin, error) { return f.origin(ctx, command, t) },
	}
	if f.restart {
		files.Resume = durable.Restart
	}
	return files
}

// watcher is the user of a run, as job sees one.
type watcher struct {
	*ui
	unit  string // what is counted, in the plural: sequences, lists
	stats interface{ show(*progress.Bar) }
}

func (w *watcher) Note(text string)           { w.notes([]string{text}) }
func (w *watcher) Fail(err error)             { w.fail(err) }
func (w *watcher) Opened(out *durable.Output) { w.opens(out) }
func (w *watcher) Begin(pair job.Pair, units int) (end func()) {
	w.streams = pair.Out == dataset.Stdin
	bar := w.progress(pair.In, w.unit, units)
	w.stats.show(bar)
	return bar.Close
}

// leavesOut is the error of a run that left something out.
func leavesOut(r job.Result, c *job.Counts) error {
	if c.Rejected > 0 || r.Broken > 0 {
		return errPartial
	}
	return nil
}

// checkStreams refuses flags that need a file where rows go to standard output.
func (f *fileFlags) checkStreams(p job.Pair) error {
	switch {
	case p.Out != dataset.Stdin || f.dryRun:
	case f.json:
		return fmt.Errorf("--json: want --out, since the scored rows go to standard output, got none")
	case f.keepAnswers:
		return fmt.Errorf("--keep-answers: want --out, to put the answers beside it, got none")
	case f.onError != "stop":
		return fmt.Errorf("--on-error %s: want --out, to put the rejected rows beside it, got none", f.onError)
	}
	return nil
}
