package main

import (
	"fmt"
	"math"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/ort"
)

// lm makes what scores with the teacher, under the flags' bounds or those that the
// run finds out itself.
func (f *nllFlags) lm(t *teacher, ui *ui, maxLength int) *model.LM {
	lm := &model.LM{
		Scorers: t.scorers(),
		Limits:  model.Limits{Tokens: f.batchTokens, Rows: f.batchSize},
		OnShrink: func(tokens int, err error) {
			ui.notes([]string{fmt.Sprintf("%v: batches hold at most %d tokens from here on", err, tokens)})
		},
	}
	if t.info.Form != ort.FullLogits { // these have left the graph already when they could be cut
		lm.LogitsMemory = f.logitsMemory << 20
	}
	if f.batchTokens == 0 {
		room := fits(t.freeMemory()/2, t.forwardToken(maxLength))
		lm.Tuner = tuner(t.info.Provider, room)
	}
	if t.info.Provider == ort.CUDA && t.info.Wider {
		lm.Widest = maxLength
	}
	return lm
}

// page is how many sequences are sorted together: enough batches for each copy of
// the model that none waits long for the others at the end of a page.
func page(t *teacher) int {
	page := 1024
	if t.info.Provider == ort.CUDA { // with larger batches
		page *= 8
	}
	return page * t.models()
}

// tuner finds the tokens of a batch, within what the memory is likely to hold. A
// GPU needs some thousands to be busy at all, and its arena keeps what it grew by:
// it begins with the largest. On a CPU a larger batch soon leaves its caches.
func tuner(provider ort.Provider, room int) *model.Tuner {
	t := &model.Tuner{Least: 512, Most: 8192}
	if provider == ort.CUDA {
		t = &model.Tuner{Least: 2048, Most: 65536, Falling: true}
	}
	t.Most = min(t.Most, room)
	t.Least = min(t.Least, t.Most)
	return t
}

// decodeBudget is what a decoding model reads and holds at once.
type decodeBudget struct{ tokens, rows, cache int }

// budget settles what the flags leave open. free is the memory in bytes that the
// prompts' forward and the cache share.
func (f *decodeFlags) budget(provider ort.Provider, free int64, forwardToken, cacheToken int) decodeBudget {
	b := decodeBudget{tokens: 1024, rows: 16, cache: 32768}
	if provider == ort.CUDA {
		b = decodeBudget{tokens: 8192, rows: 64, cache: math.MaxInt32}
	}
	b.tokens = min(b.tokens, fits(free/4, forwardToken))
	b.cache = min(b.cache, fits(free/2, cacheToken))
	for _, set := range []struct{ flag, to *int }{{&f.batchTokens, &b.tokens}, {&f.batchSize, &b.rows}, {&f.cacheTokens, &b.cache}} {
		if *set.flag > 0 {
			*set.to = *set.flag
		}
	}
	return b
}

// fits is how many tokens of so many bytes there is room for, one at least.
func fits(free int64, bytes int) int {
	return int(max(1, min(math.MaxInt32, free/int64(max(1, bytes)))))
}

// freeMemory is what is left on the fullest device for each copy of the model, in
// bytes; unknown is as good as no bound, since memory that runs out is no end.
func (t *teacher) freeMemory() int64 {
	free := int64(math.MaxInt64)
	for _, s := range t.sessions() {
		if left, err := s.FreeMemory(); err == nil {
			free = min(free, left)
		}
	}
	return free / int64(t.flags.replicas)
}

// forwardToken estimates, from above, the bytes that a forward takes for each
// token: in a layer some 24 numbers of the hidden size are alive at most (the
// residual, its norm, query, key and value, and the MLP's three of about four times
// the size), and each head's attention to the tokens of its row. 0 where config.json
// does not tell the sizes.
func (t *teacher) forwardToken(longest int) int {
	return 4 * t.config.Heads * (24*t.headDim() + min(longest, longRow))
}

// longRow is the length of a row beyond which there is hardly any.
const longRow = 1024

func (t *teacher) headDim() int {
	if t.config.HeadDim > 0 {
		return t.config.HeadDim
	}
	return t.info.HeadDim
}
