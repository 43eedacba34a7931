package model_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

var traits = map[string]model.Traits{
	"one token a step, refilled":   {ChunkRows: 1, Refill: true},
	"many tokens a step, in waves": {ChunkRows: math.MaxInt},
	"one row at a time":            {ChunkRows: math.MaxInt, MaxRows: 1},
}

func decoderOf(has model.Traits) *modeltest.Decoder {
	return &modeltest.Decoder{Recompute: model.Recompute{Forwarder: &modeltest.LM{Vocab: vocab}}, Has: has}
}

// texts are prompts of 1 to 7 tokens that go on for 1 to 9.
func texts(n int, guide func(i int) model.Guide) []model.Prompt {
	var out []model.Prompt
	for i := range n {
		p := model.Prompt{MaxNew: 1 + i*5%9, Seed: uint64(i)}
		for j := range 1 + i*3%7 {
			p.Tokens = append(p.Tokens, int32((i*7+j*3)%vocab))
		}
		if guide != nil {
			p.Guide, p.MaxNew = guide(i), 100
		}
		out = append(out, p)
	}
	return out
}

func generate(t *testing.T, g *model.Generator, prompts []model.Prompt) []model.Generated {
	t.Helper()
	out, err := modeltest.Generate(context.Background(), g, prompts)
	require.NoError(t, err)
	require.Len(t, out, len(prompts))
	return out
}

// byHand writes on greedily from a prompt, by the plainest loop.
func byHand(t *testing.T, p model.Prompt, stops ...int32) (out model.Generated) {
	t.Helper()
	lm := &modeltest.LM{Vocab: vocab}
	tokens := slices.Clone(p.Tokens)
	for {
		b := &model.Batch{Rows: 1, Width: len(tokens), Lens: []int{len(tokens)}}
		for _, id := range tokens {
			b.TokenIDs = append(b.TokenIDs, int64(id))
		}
		l, err := lm.Forward(context.Background(), b)
		require.NoError(t, err)
		best, logits := 0, l.At(0, len(tokens)-1, nil)
		var sum float64
		for v, x := range logits {
			sum += math.Exp(float64(x))
			if x > logits[best] {
				best = v
			}
		}
		if slices.Contains(stops, int32(best)) {
			out.Stop = model.StopToken
		}
		out.Choices = append(out.Choices, model.Choice{At: len(out.Tokens), LogProb: float64(logits[best]) - math.Log(sum), Mass: 1})
		if out.Stop != "" {
			return out
		}
		out.Tokens, tokens = append(out.Tokens, int32(best)), append(tokens, int32(best))
		if len(out.Tokens) == p.MaxNew {
			out.Stop = model.StopLength
			return out
		}
	}
}

func requireGenerated(t *testing.T, want, got model.Generated, message string) {
	t.Helper()
	require.NoError(t, got.Err)
	require.Equal(t, want.Tokens, got.Tokens, message)
	require.Equal(t, want.Stop, got.Stop, message)
	require.Len(t, got.Choices, len(want.Choices), message)
	for i, c := range want.Choices {
		require.Equal(t, c.At, got.Choices[i].At, message)
		require.InDelta(t, c.LogProb, got.Choices[i].LogProb, 1e-9, message)
		require.InDelta(t, c.Mass, got.Choices[i].Mass, 1e-9, message)
	}
}

func TestGenerateIsGreedy(t *testing.T) {
	for name, has := range traits {
		for _, limits := range []model.Limits{{}, {Rows: 1}, {Rows: 3, Tokens: 8}, {Rows: 4, Tokens: 1000}} {
			got := generate(t, &model.Generator{Decoders: []model.Decoder{decoderOf(has)}, Limits: limits, Stops: []int32{3, 17}}, texts(12, nil))
			for i, p := range texts(12, nil) {
				requireGenerated(t, byHand(t, p, 3, 17), got[i], fmt.Sprint(name, limits, i))
			}
		}
	}
}

// waltz is a guide: one of three tokens, then two forced ones, n times.
type waltz struct{ n, at int }

func (w *waltz) Allowed() []int32 {
	switch {
	case w.at == 3*w.n:
		return nil
	case w.at%3 == 0:
		return []int32{4, 9, 20}
	}
	return []int32{int32(w.at % 3)}
}

func (w *waltz) Accept(int32) { w.at++ }
func (w *waltz) Reset()       { w.at = 0 }

func TestGenerateFollowsAGuide(t *testing.T) {
	guide := func(i int) model.Guide { return &waltz{n: 1 + i%4} }
	prompts := texts(10, guide)
	want := make([]model.Generated, len(prompts))
	for i := range prompts { // each alone, with the probabilities by hand
		want[i] = generate(t, &model.Generator{Decoders: []model.Decoder{decoderOf(model.Traits{})}}, texts(10, guide)[i:i+1])[0]
		require.Len(t, want[i].Tokens, 3*(1+i%4))
		require.Len(t, want[i].Choices, 1+i%4)
		lm, tokens := &modeltest.LM{Vocab: vocab}, slices.Clone(prompts[i].Tokens)
		for j, c := range want[i].Choices {
			require.Equal(t, 3*j, c.At)
			logP := func(id int32) float64 {
				seq := append(slices.Clone(tokens), id)
				return lm.LogLikelihood(model.Answer(seq, model.Span{From: len(tokens), To: len(seq)}))
			}
			mass := 0.0
			for _, id := range []int32{4, 9, 20} {
				mass += math.Exp(logP(id))
				require.LessOrEqual(t, logP(id), c.LogProb+1e-9, "the likeliest is taken")
			}
			require.InDelta(t, logP(want[i].Tokens[3*j]), c.LogProb, 1e-9)
			require.InDelta(t, mass, c.Mass, 1e-9)
			tokens = append(tokens, want[i].Tokens[3*j], 1, 2)
		}
	}
	for name, has := range traits {
		got := generate(t, &model.Generator{Decoders: []model.Decoder{decoderOf(has)}, Limits: model.Limits{Rows: 3, Tokens: 20}}, texts(10, guide))
		for i := range got {
			requireGenerated(t, want[i], got[i], fmt.Sprint(name, i))
			require.Equal(t, model.StopGuide, got[i].Stop)
		}
	}
}

// Where several tokens fit in a step, forced ones cost none of their own.
func TestGenerateSkipsForcedTokens(t *testing.T) {
	steps := func(has model.Traits) int {
		d := decoderOf(has)
		generate(t, &model.Generator{Decoders: []model.Decoder{d}}, texts(3, func(int) model.Guide { return &waltz{n: 4} }))
		return len(d.Steps)
	}
	require.Equal(t, 3, steps(model.Traits{ChunkRows: 3}), "the first choice needs no step, nor does what follows the last")
	require.Equal(t, 9, steps(model.Traits{ChunkRows: 2}))
}

// A decoder is asked about what may come next alone: not about forced tokens, but for
// the first, nor about rows that have something to read first; and about all words where
// they are sampled from.
func TestGenerateAsksForLittle(t *testing.T) {
	asks := func(s model.Sampling, guide func(int) model.Guide) (all []model.Ask) {
		d := decoderOf(model.Traits{ChunkRows: 1, Refill: true})
		generate(t, &model.Generator{Decoders: []model.Decoder{d}, Sampling: s}, texts(3, guide))
		for _, a := range d.Asks {
			all = append(all, a...)
		}
		return all
	}
	guided := asks(model.Sampling{Temperature: 1, RepetitionPenalty: 2}, func(int) model.Guide { return &waltz{n: 2} })
	choices := 0
	for _, a := range guided {
		if len(a.Tokens) > 0 {
			choices++
			require.Equal(t, []int32{4, 9, 20}, a.Tokens)
		}
		require.False(t, a.All || a.Likeliest)
	}
	require.Equal(t, 3*2, choices)
	require.Contains(t, guided, model.Ask{}, "steps that read forced tokens")

	// Rows that have ended ask nothing.
	require.Subset(t, []model.Ask{{Likeliest: true}, {}}, asks(model.Sampling{TopP: 0.5}, nil))
	for _, s := range []model.Sampling{{Temperature: 1}, {RepetitionPenalty: 2}} {
		require.Subset(t, []model.Ask{{All: true}, {}}, asks(s, nil))
	}
}

func TestGenerateFirstTokenIsLookedAtEvenIfForced(t *testing.T) {
	forced := &waltz{n: 1, at: 1} // two forced tokens and no choice
	got := generate(t, &model.Generator{Decoders: []model.Decoder{decoderOf(model.Traits{})}}, []model.Prompt{{Tokens: []int32{5}, MaxNew: 9, Guide: forced}})[0]
	require.Equal(t, []int32{1, 2}, got.Tokens)
	require.Len(t, got.Choices, 1)
	require.InDelta(t, math.Exp(got.Choices[0].LogProb), got.Choices[0].Mass, 1e-9)
	require.Less(t, got.Choices[0].Mass, 1.0)
}

func TestGenerateRefills(t *testing.T) {
	var prompts []model.Prompt
	for i := range 6 {
		prompts = append(prompts, model.Prompt{Tokens: []int32{int32(i)}, MaxNew: 2 + 6*(i%2)})
	}
	d := decoderOf(model.Traits{Refill: true})
	generate(t, &model.Generator{Decoders: []model.Decoder{d}, Limits: model.Limits{Rows: 2, Tokens: 100}}, prompts)
	require.Equal(t, []int{2}, d.Resets, "one cache for all")
	require.Equal(t, [2]int{0, 2}, d.Prefills[0])
	require.Len(t, d.Prefills, 5, "a row that ends is given to the next prompt at once")

	d = decoderOf(model.Traits{})
	generate(t, &model.Generator{Decoders: []model.Decoder{d}, Limits: model.Limits{Rows: 2, Tokens: 100}}, prompts)
	require.Equal(t, []int{2, 2, 2}, d.Resets, "a cache for each wave")
	require.Equal(t, [][2]int{{0, 2}, {0, 2}, {0, 2}}, d.Prefills)
}

// The cache holds no more tokens than it may, and gets more rows again once the
// long texts are gone.
func TestGenerateBoundsTheCache(t *testing.T) {
	var prompts []model.Prompt
	for i := range 12 {
		p := model.Prompt{Tokens: []int32{int32(i)}, MaxNew: 3}
		if i == 5 || i == 7 {
			p.Tokens = slices.Repeat(p.Tokens, 29)
		}
		prompts = append(prompts, p)
	}
	for _, refill := range []bool{true, false} {
		d := decoderOf(model.Traits{Refill: refill})
		got := generate(t, &model.Generator{Decoders: []model.Decoder{d}, Limits: model.Limits{Rows: 6, Tokens: 100}, CacheTokens: 64}, prompts)
		for i, p := range prompts {
			requireGenerated(t, byHand(t, p), got[i], fmt.Sprint(i))
		}
		require.Equal(t, 2, d.Resets[0], "64 tokens are two of 32")
		require.Equal(t, 6, d.Resets[1], "then six of 4")
		for i, rows := range d.Resets {
			require.LessOrEqual(t, rows*d.Capacities[i], 64)
		}
		d = decoderOf(model.Traits{Refill: refill})
		generate(t, &model.Generator{Decoders: []model.Decoder{d}, CacheTokens: 1}, prompts[:3])
		require.Equal(t, 1, d.Resets[0], "one row there always is")
	}
}

func TestGenerateDone(t *testing.T) {
	p := texts(1, nil)[0]
	p.MaxNew = 9
	p.Done = func(written []int32) bool { return len(written) == 4 }
	got := generate(t, &model.Generator{Decoders: []model.Decoder{decoderOf(model.Traits{})}}, []model.Prompt{p})[0]
	require.Equal(t, model.StopDone, got.Stop)
	require.Len(t, got.Tokens, 4)
}

func TestGenerateCountsItsSteps(t *testing.T) {
	var total model.StepStats
	prefills := 0
	g := &model.Generator{Decoders: []model.Decoder{decoderOf(model.Traits{})}, Limits: model.Limits{Tokens: 100}, OnStep: func(s model.StepStats) {
		total.Tokens += s.Tokens
		total.Padding += s.Padding
		total.Ended += s.Ended
		if s.Prefill {
			prefills++
			require.Equal(t, 3, s.Rows)
		}
	}}
	generate(t, g, []model.Prompt{{Tokens: []int32{1}, MaxNew: 2}, {Tokens: []int32{1, 2, 3}, MaxNew: 2}, {Tokens: []int32{5, 6}, MaxNew: 2}})
	require.Equal(t, model.StepStats{Tokens: 6 + 3, Padding: 3, Ended: 3}, total)
	require.Equal(t, 1, prefills)
}

// A row whose logits are not finite ends alone.
func TestGenerateNonFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		lm := &modeltest.LM{Vocab: vocab, After: func(b *model.Batch, l *model.Logits) {
			for r := range b.Rows {
				if b.TokenIDs[r*b.Width] == 7 {
					l.At(r, b.Lens[r]-1, nil)[5] = bad
				}
			}
		}}
		g := &model.Generator{Decoders: []model.Decoder{&model.Recompute{Forwarder: lm}}, Limits: model.Limits{Tokens: 100}}
		good := model.Prompt{Tokens: []int32{1, 2}, MaxNew: 3}
		got := generate(t, g, []model.Prompt{good, {Tokens: []int32{7}, MaxNew: 3}})
		var nonFinite *model.NonFiniteError
		require.ErrorAs(t, got[1].Err, &nonFinite)
		require.Equal(t, 1, nonFinite.Index)
		requireGenerated(t, byHand(t, good), got[0], "beside it")
	}
}

func TestGenerateRefuses(t *testing.T) {
	g := &model.Generator{Decoders: []model.Decoder{decoderOf(model.Traits{})}}
	for _, p := range []model.Prompt{{MaxNew: 1}, {Tokens: []int32{1}}} {
		_, err := modeltest.Generate(context.Background(), g, []model.Prompt{{Tokens: []int32{1}, MaxNew: 1}, p})
		require.ErrorContains(t, err, "prompt 1: want a token or more and room for one, got ")
	}
	p := model.Prompt{Tokens: []int32{1}, MaxNew: 5, Guide: beyond{}}
	_, err := modeltest.Generate(context.Background(), g, []model.Prompt{p})
	require.EqualError(t, err, fmt.Sprintf("want tokens below the model's vocabulary of %d, got %d", vocab, vocab))
}

type beyond struct{}

func (beyond) Allowed() []int32 { return []int32{1, vocab} }
func (beyond) Accept(int32)     {}
func (beyond) Reset()           {}

func TestGenerateStopsAtAnError(t *testing.T) {
	broken := errors.New("broken")
	lm := &modeltest.LM{Vocab: vocab, Before: func(*model.Batch) error { return broken }}
	_, err := modeltest.Generate(context.Background(), &model.Generator{Decoders: []model.Decoder{&model.Recompute{Forwarder: lm}}}, texts(2, nil))
	require.ErrorIs(t, err, broken)
}

// Several copies of a model write side by side, and every text is what it was.
func TestGenerateOnSeveralDecoders(t *testing.T) {
	prompts := texts(23, nil)
	want := generate(t, &model.Generator{Decoders: []model.Decoder{decoderOf(model.Traits{})}, Limits: model.Limits{Tokens: 100}}, prompts)
	var decoders []model.Decoder
	for range 3 {
		decoders = append(decoders, decoderOf(model.Traits{Refill: true, ChunkRows: 1}))
	}
	ended := 0 // unguarded: OnStep is called by one at a time
	g := &model.Generator{Decoders: decoders, Limits: model.Limits{Rows: 3, Tokens: 100}, OnStep: func(s model.StepStats) { ended += s.Ended }}
	require.Equal(t, want, generate(t, g, prompts))
	require.Equal(t, len(prompts), ended)
	for _, d := range decoders {
		require.NotEmpty(t, d.(*modeltest.Decoder).Prefills)
	}

	broken := errors.New("broken")
	decoders[1].(*modeltest.Decoder).Forwarder.(*modeltest.LM).Before = func(*model.Batch) error { return broken }
	_, err := modeltest.Generate(t.Context(), g, prompts)
	require.ErrorIs(t, err, broken)
}

// Each text is handed on as soon as it has ended, by one goroutine at a time, and an
// error of who takes it ends the rest.
func TestTextsAreHandedOnAsTheyEnd(t *testing.T) {
	prompts := texts(30, nil)
	want := generate(t, &model.Generator{Decoders: []model.Decoder{decoderOf(model.Traits{})}, Limits: model.Limits{Rows: 1}}, prompts)
	for name, has := range traits {
		handed := map[int]int64{} // unguarded
		var steps atomic.Int64
		g := &model.Generator{Decoders: []model.Decoder{decoderOf(has), decoderOf(has)}, Limits: model.Limits{Rows: 4, Tokens: 20},
			OnStep: func(model.StepStats) { steps.Add(1) }}
		require.NoError(t, g.Generate(t.Context(), prompts, func(i int, text model.Generated) error {
			require.NotContains(t, handed, i)
			handed[i] = steps.Load()
			requireGenerated(t, want[i], text, name)
			return nil
		}))
		require.Len(t, handed, len(prompts))
		early := 0
		for _, at := range handed {
			if at < steps.Load()/2 {
				early++
			}
		}
		require.Greater(t, early, len(prompts)/4, name)
	}

	full := errors.New("no space left on device")
	taken := 0
	g := &model.Generator{Decoders: []model.Decoder{decoderOf(model.Traits{ChunkRows: 1, Refill: true})}, Limits: model.Limits{Rows: 2, Tokens: 20}}
	err := g.Generate(t.Context(), prompts, func(int, model.Generated) error {
		if taken++; taken == 5 {
			return full
		}
		return nil
	})
	require.ErrorIs(t, err, full)
	require.Equal(t, 5, taken)
}
