package main

import (
	"fmt"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/nll"
	"github.com/ortscore/ortscore/ort"
)

// lm makes what scores with the teacher, under the flags' bounds or those that the
// run finds out itself.
func (s *scoring) lm() *model.LM {
	t := s.teacher
	lm := &model.LM{
		Scorers: t.scorers(),
		Limits:  model.Limits{Tokens: s.flags.batchTokens, Rows: s.flags.batchSize},
		OnShrink: func(tokens int, err error) {
			s.ui.notes([]string{fmt.Sprintf("%v: batches hold at most %d tokens from here on", err, tokens)})
		},
	}
	if t.info.Form != ort.FullLogits { // these have left the graph already when they could be cut
		lm.LogitsMemory = s.flags.logitsMemory << 20
	}
	if s.flags.batchTokens == 0 {
		lm.Tuner = tuner(t.info.Provider)
	}
	return lm
}

// page is how many sequences are sorted together: enough batches for each copy of
// the model that none waits long for the others at the end of a page.
func (s *scoring) page() int {
	page := nll.DefaultPage
	if s.teacher.info.Provider == ort.CUDA { // with larger batches
		page *= 8
	}
	return page * s.teacher.copies
}

// tuner finds the tokens of a batch. A GPU needs some thousands to be busy at all;
// on a CPU a larger batch soon leaves its caches.
func tuner(provider ort.Provider) *model.Tuner {
	if provider == ort.CUDA {
		return &model.Tuner{Least: 2048, Most: 65536}
	}
	return &model.Tuner{Least: 512, Most: 8192}
}
