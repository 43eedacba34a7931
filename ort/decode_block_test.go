package ort

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// order is a guide to an order of some tokens, with two others between them.
type order struct {
	all, left []int32
	between   int
}

func (o *order) Reset() { o.left, o.between = slices.Clone(o.all), 0 }

func (o *order) Allowed() []int32 {
	switch {
	case len(o.left) == 1:
		return nil
	case o.between > 0:
		return []int32{4 + int32(o.between)}
	}
	return o.left
}

func (o *order) Accept(id int32) {
	if o.between > 0 {
		o.between--
		return
	}
	o.left = slices.DeleteFunc(o.left, func(other int32) bool { return other == id })
	o.between = 2
}

// likePrompts are prompts of 2 to 80 tokens, of which some begin alike or are all of
// another but one or two tokens, and of lengths of which blocks leave one over.
func likePrompts(guided bool) []model.Prompt {
	rng := rand.New(rand.NewPCG(3, 4))
	var in []model.Prompt
	for i := range 24 {
		p := model.Prompt{MaxNew: 3 + rng.IntN(9)}
		for range 2 + rng.IntN(40) {
			p.Tokens = append(p.Tokens, rng.Int32N(500))
		}
		if i%3 > 0 && i > 2 {
			other := in[i-2].Tokens
			p.Tokens = slices.Concat(other[:len(other)-rng.IntN(3)], p.Tokens[:1+rng.IntN(len(p.Tokens))])
		}
		if i%5 == 4 {
			p.Tokens = slices.Concat(p.Tokens, make([]int32, 65))[:33+32*(i%2)]
		}
		if guided {
			p.MaxNew, p.Guide = 100, &order{all: []int32{9, 10, 11, 12, 13}}
			p.Guide.Reset()
		}
		in = append(in, p)
	}
	return in
}

// With a cache in place, what is written and how likely it was depends on its prompt
// alone, to the last bit: not on the rows beside it, on the row that its beginning was
// taken over from, nor on what bounds rows, prompts and cache.
func TestATextDecidesItsValues(t *testing.T) {
	for name, kind := range decoders {
		if kind != CacheInPlace {
			continue
		}
		for _, asks := range []Asks{AskTokens, AskLikeliest, AskAll} {
			t.Run(fmt.Sprint(name, asks), func(t *testing.T) {
				one, two := openAsked(t, name, asks), openAsked(t, name, asks)
				run := func(g *model.Generator, pick []int) []model.Generated {
					all := likePrompts(asks == AskTokens)
					in := all
					if pick != nil {
						in = nil
					}
					for _, i := range pick {
						in = append(in, all[i])
					}
					out, err := modeltest.Generate(t.Context(), g, in)
					require.NoError(t, err)
					return out
				}
				decoders := []model.Decoder{one}
				want := run(&model.Generator{Decoders: decoders, Limits: model.Limits{Rows: 4, Tokens: 200}}, nil)
				for _, g := range []*model.Generator{
					{Limits: model.Limits{Rows: 1, Tokens: 1}},
					{Limits: model.Limits{Rows: 2, Tokens: 100}},
					{Limits: model.Limits{Rows: 3, Tokens: 1}},
					{Limits: model.Limits{Rows: 9, Tokens: 1 << 20}},
					{Limits: model.Limits{Rows: 32, Tokens: 1 << 20}},
					{Limits: model.Limits{Rows: 16, Tokens: 200}, CacheTokens: 1},
					{Limits: model.Limits{Rows: 16, Tokens: 200}, CacheTokens: 400},
					{Limits: model.Limits{Rows: 3, Tokens: 200}, Decoders: []model.Decoder{one, two}},
				} {
					if g.Decoders == nil {
						g.Decoders = decoders
					}
					what := fmt.Sprintf("%+v %d", g.Limits, g.CacheTokens)
					require.Equal(t, want, run(g, nil), what)
				}
				for seed := range uint64(20) {
					rng := rand.New(rand.NewPCG(seed, 9))
					pick := rng.Perm(len(want))[:1+rng.IntN(len(want))]
					g := &model.Generator{Decoders: decoders, Limits: model.Limits{Rows: 1 + rng.IntN(8), Tokens: 1 + rng.IntN(300)}}
					for k, text := range run(g, pick) {
						require.Equal(t, want[pick[k]], text, "seed %d, prompt %d", seed, pick[k])
					}
				}
			})
		}
	}
}
