package ort

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

func openDecoder(t testing.TB, name string) Decoder {
	t.Helper()
	return openAsked(t, name, AskAll)
}

// openAsked opens a fixture to be asked some way.
func openAsked(t testing.TB, name string, asks Asks) Decoder {
	t.Helper()
	needLibrary(t)
	d, err := OpenDecoder(context.Background(), fixture(name), Options{Asks: asks})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

// prompts are texts of unlike lengths, the first of which is a single token.
func prompts(n int) []model.Prompt {
	rng := rand.New(rand.NewPCG(1, 2))
	out := make([]model.Prompt, n)
	for i := range out {
		for range 1 + i*7%19 {
			out[i].Tokens = append(out[i].Tokens, int32(4+rng.IntN(500)))
		}
		out[i].MaxNew = 3 + i*5%11
	}
	return out
}

func written(t *testing.T, d model.Decoder, limits model.Limits, sampling model.Sampling, in []model.Prompt) [][]int32 {
	t.Helper()
	g := &model.Generator{Decoders: []model.Decoder{d}, Limits: limits, Sampling: sampling}
	out, err := modeltest.Generate(context.Background(), g, in)
	require.NoError(t, err)
	var tokens [][]int32
	for _, o := range out {
		require.NoError(t, o.Err)
		tokens = append(tokens, o.Tokens)
	}
	return tokens
}

// decoders are the fixtures with a cache, by how they keep it.
var decoders = map[string]string{
	"tiny-gqa": CacheInPlace, "tiny-gqa-fp16": CacheInPlace, "tiny-bf16logits": CacheInPlace, "tiny-packed": CacheInPlace,
	"tiny-explicit": CacheCopied, "tiny-numlogits": CacheCopied,
}

// What is written depends neither on the cache nor on the rows beside a row, nor
// on how many prompts are read at once.
func TestCachedDecodingAgrees(t *testing.T) {
	in := prompts(9)
	for name, kind := range decoders {
		t.Run(name, func(t *testing.T) {
			want := written(t, &model.Recompute{Forwarder: openFixture(t, name, Options{Graph: FullGraph})}, model.Limits{Rows: 1}, model.Sampling{}, in)
			d := openDecoder(t, name)
			require.Equal(t, kind, d.Info().Cache)
			require.Empty(t, d.Info().Notes)
			require.Equal(t, LastLogits, d.Info().Form)
			for _, limits := range []model.Limits{{Rows: 1, Tokens: 1}, {Rows: 2, Tokens: 64}, {Rows: 4, Tokens: 1}, {Tokens: 32}, {Tokens: 1 << 20}} {
				require.Equal(t, want, written(t, d, limits, model.Sampling{}, in), "%+v", limits)
			}
			mixed := slices.Clone(in)
			slices.Reverse(mixed)
			got := written(t, d, model.Limits{Rows: 3, Tokens: 40}, model.Sampling{}, mixed)
			slices.Reverse(got)
			require.Equal(t, want, got, "in another order")
		})
	}
}

// Prompts that begin alike, one of which is all of another, are written on from as
// if each was read by itself; what they share is read once.
func TestPromptsThatBeginAlike(t *testing.T) {
	in := prompts(9)
	for i := range in {
		in[i].Tokens = append(slices.Clone(in[8].Tokens[:5+i%3]), in[i].Tokens...)
	}
	in[3].Tokens, in[4].Tokens = in[1].Tokens, in[1].Tokens[:4]
	for name, kind := range decoders {
		t.Run(name, func(t *testing.T) {
			want := written(t, &model.Recompute{Forwarder: openFixture(t, name, Options{Graph: FullGraph})}, model.Limits{Rows: 1}, model.Sampling{}, in)
			d := openDecoder(t, name).(*cached)
			for _, rows := range []int{1, 3, 9} {
				require.Equal(t, want, written(t, d, model.Limits{Rows: rows, Tokens: 1}, model.Sampling{}, in), "%d rows", rows)
			}
			require.NoError(t, d.Reopen(t.Context()))
			require.Equal(t, want, written(t, d, model.Limits{Rows: 4, Tokens: 40}, model.Sampling{}, in), "some read together")

			if kind == CacheInPlace {
				requireShared(t, d)
			}
		})
	}
}

// requireShared looks at how much of a prompt is at hand in a row, all but the last two
// tokens at most, and that nothing is once the cache was emptied.
func requireShared(t *testing.T, d *cached) {
	require.NoError(t, d.Reset(2, 9, 12))
	_, err := d.Prefill(t.Context(), 0, [][]int32{{1, 2, 3, 4, 5}}, askAll(1))
	require.NoError(t, err)
	for _, c := range []struct {
		prompt []int32
		shared int
	}{{[]int32{1, 2, 3, 4, 5}, 3}, {[]int32{1, 2, 3, 9, 9, 9}, 3}, {[]int32{2, 3}, 0}} {
		require.Equal(t, c.shared, d.cache.begin(1, c.prompt), c.prompt)
		require.Equal(t, c.shared, d.cache.length(1), c.prompt)
	}
	require.NoError(t, d.Reset(2, 9, 12))
	require.Zero(t, d.cache.begin(1, []int32{1, 2, 3}))
}

func TestSampledDecodingDoesNotDependOnTheBatch(t *testing.T) {
	in := prompts(6)
	for i := range in {
		in[i].Seed = uint64(i)
	}
	sampling := model.Sampling{Temperature: 0.8, TopP: 0.9, RepetitionPenalty: 1.2}
	for _, name := range []string{"tiny-gqa", "tiny-explicit"} {
		d := openDecoder(t, name)
		want := written(t, d, model.Limits{Rows: 1}, sampling, in)
		require.Equal(t, want, written(t, d, model.Limits{Rows: 4, Tokens: 64}, sampling, in), name)
		require.NotEqual(t, want, written(t, d, model.Limits{Rows: 4, Tokens: 64}, model.Sampling{}, in), name)
	}
}

func TestDecodingWithoutACache(t *testing.T) {
	d := openDecoder(t, "tiny-rawnames")
	require.Equal(t, CacheNone, d.Info().Cache)
	require.Equal(t, LastLogits, d.Info().Form)
	require.Contains(t, d.Info().Notes, "the graph has no cache: every step reads the whole text again, which is slow")
	in := prompts(4)
	want := written(t, &model.Recompute{Forwarder: openFixture(t, "tiny-rawnames", Options{Graph: FullGraph})}, model.Limits{Rows: 1}, model.Sampling{}, in)
	require.Equal(t, want, written(t, d, model.Limits{Rows: 1}, model.Sampling{}, in))
	require.Equal(t, want, written(t, d, model.Limits{Tokens: 64}, model.Sampling{}, in))
}

// A graph whose cache gives the keys of one layer to another is found out before
// it writes a word, whichever way it keeps them.
func TestCacheThatDisagrees(t *testing.T) {
	in := prompts(6)
	for name, plain := range map[string]string{"tiny-badcache": "tiny-gqa", "tiny-badcache-explicit": "tiny-explicit"} {
		d := openDecoder(t, name)
		require.Equal(t, CacheNone, d.Info().Cache, name)
		require.Len(t, d.Info().Notes, 1, name)
		require.Regexp(t, `^the graph's cache changes the logits by \d.*: every step reads the whole text again`, d.Info().Notes[0])
		want := written(t, &model.Recompute{Forwarder: openFixture(t, plain, Options{Graph: FullGraph})}, model.Limits{Rows: 1}, model.Sampling{}, in)
		require.Equal(t, want, written(t, d, model.Limits{Tokens: 64}, model.Sampling{}, in), name)
	}
}

func TestDecodingStops(t *testing.T) {
	for _, name := range []string{"tiny-gqa", "tiny-explicit", "tiny-rawnames"} {
		d := openDecoder(t, name)
		ctx, cancel := context.WithCancel(context.Background())
		g := &model.Generator{Decoders: []model.Decoder{d}, Limits: model.Limits{Tokens: 64}, OnStep: func(s model.StepStats) {
			if !s.Prefill {
				cancel()
			}
		}}
		_, err := modeltest.Generate(ctx, g, prompts(4))
		require.ErrorIs(t, err, context.Canceled, name)
		require.Len(t, written(t, d, model.Limits{Rows: 2}, model.Sampling{}, prompts(4)), 4, "and goes on after that")
	}
}

func TestDecodingTokensBeyondTheVocabulary(t *testing.T) {
	_, err := modeltest.Generate(context.Background(), &model.Generator{Decoders: []model.Decoder{openDecoder(t, "tiny-gqa")}}, []model.Prompt{{Tokens: []int32{1 << 20}, MaxNew: 1}})
	require.Error(t, err)
}
