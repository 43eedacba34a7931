package model_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// Wherever memory runs out, be it at making room, at reading prompts or at a step,
// what is written is what would have been, greedy, sampled or guided.
func TestGenerateOutOfMemory(t *testing.T) {
	guide := func(i int) model.Guide { return &waltz{n: 1 + i%4} }
	for _, c := range []struct {
		guide          func(int) model.Guide
		cache, forward int // tokens that there is room for
	}{{nil, 40, 0}, {nil, 0, 8}, {nil, 60, 7}, {guide, 250, 0}, {guide, 0, 8}} {
		for _, has := range []model.Traits{{ChunkRows: 1, Refill: true}, {ChunkRows: math.MaxInt}} {
			for _, sampling := range []model.Sampling{{}, {Temperature: 1, TopP: 0.9}} {
				message := fmt.Sprint(c.guide != nil, c.cache, c.forward, has, sampling)
				limits := model.Limits{Tokens: 1000}
				want := generate(t, &model.Generator{Decoders: []model.Decoder{decoderOf(has)}, Limits: limits, Sampling: sampling}, texts(12, c.guide))

				small := &modeltest.Small{Decoder: decoderOf(has), Cache: c.cache, Forward: c.forward}
				rows := []int{12}
				g := &model.Generator{Decoders: []model.Decoder{small}, Limits: limits, Sampling: sampling, OnShrink: func(l model.Limits) { rows = append(rows, l.Rows) }}
				got := generate(t, g, texts(12, c.guide))
				for i := range want {
					requireGenerated(t, want[i], got[i], fmt.Sprint(message, i))
				}
				require.Greater(t, len(rows), 1, message)
				require.Len(t, rows, 1+small.Reopened, message)
				require.Equal(t, rows[0]/2, rows[1], message)
				require.Equal(t, rows[len(rows)-1], g.Limits.Rows, "calls that follow begin with what is left")
			}
		}
	}
}

// A single row that does not fit, a decoder that cannot be made anew, and one that
// fails at it are errors.
func TestGenerateOutOfMemoryForGood(t *testing.T) {
	prompts := texts(6, nil)
	small := &modeltest.Small{Decoder: decoderOf(model.Traits{}), Forward: 1}
	_, err := modeltest.Generate(context.Background(), &model.Generator{Decoders: []model.Decoder{small}, Limits: model.Limits{Tokens: 100}}, prompts)
	require.ErrorIs(t, err, model.ErrOutOfMemory)
	require.Equal(t, 3, small.Reopened, "six rows, three, one, and one again")

	lm := &modeltest.LM{Vocab: vocab, Before: func(*model.Batch) error { return model.ErrOutOfMemory }}
	_, err = modeltest.Generate(context.Background(), &model.Generator{Decoders: []model.Decoder{&model.Recompute{Forwarder: lm}}}, prompts)
	require.ErrorIs(t, err, model.ErrOutOfMemory)

	broken := errors.New("broken")
	_, err = modeltest.Generate(context.Background(), &model.Generator{Decoders: []model.Decoder{failing{small, broken}}}, prompts)
	require.ErrorIs(t, err, broken)
}

// failing is a decoder that cannot be reopened.
type failing struct {
	*modeltest.Small
	err error
}

func (f failing) Reopen(context.Context) error { return f.err }
