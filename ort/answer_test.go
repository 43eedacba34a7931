package ort

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// asked are the ways to open a decoder, by what its graph then gives.
var asked = map[string]Asks{LastLogits: AskAll, LastTokens: AskTokens, LastToken: AskLikeliest}

// questions are asks of every kind, some of tokens that stand at the vocabulary's ends.
func questions(rng *rand.Rand, rows, vocab int) []model.Ask {
	asks := make([]model.Ask, rows)
	for i := range asks {
		switch kind := rng.IntN(8); kind {
		case 0:
		case 1:
			asks[i].All = true
		case 2, 3:
			asks[i].Likeliest = true
		default:
			ids := []int32{0, int32(vocab - 1)}[:rng.IntN(3)]
			for range 1 + rng.IntN(12) {
				ids = append(ids, int32(rng.IntN(vocab)))
			}
			slices.Sort(ids)
			asks[i].Tokens = slices.Compact(ids)
		}
	}
	return asks
}

// requireSame wants the same answers, whichever way the graph gives them.
func requireSame(t *testing.T, want, got []model.Candidates, asks []model.Ask, limit float64) {
	t.Helper()
	require.Len(t, got, len(asks))
	for i, ask := range asks {
		if !ask.All && !ask.Likeliest && len(ask.Tokens) == 0 {
			continue
		}
		require.Equal(t, want[i].IDs, got[i].IDs, "%+v", ask)
		require.InDeltaSlice(t, want[i].Logits, got[i].Logits, limit, "%+v", ask)
		require.InDelta(t, want[i].Total, got[i].Total, limit, "%+v", ask)
	}
}

// Whatever is asked, every form of every graph answers as full logits do, after a
// prefill and after steps, with a cache and without.
func TestAnswersAgreeWithFullLogits(t *testing.T) {
	needLibrary(t)
	texts := prompts(5)
	var heads [][]int32
	for _, p := range texts {
		heads = append(heads, p.Tokens)
	}
	for _, name := range []string{"tiny-gqa", "tiny-gqa-fp16", "tiny-bf16logits", "tiny-explicit", "tiny-numlogits", "tiny-rawnames", "tiny-int8"} {
		full, err := OpenDecoder(t.Context(), fixture(name), Options{Graph: FullGraph})
		require.NoError(t, err)
		defer full.Close()
		limit := 4e-6
		if name == "tiny-gqa-fp16" { // on a CPU, logits that do not leave the graph are not rounded to fp16
			limit = 8e-3
		}
		for form, asks := range asked {
			t.Run(name+", "+form, func(t *testing.T) {
				d := openAsked(t, name, asks)
				require.Equal(t, form, d.Info().Form)
				rng := rand.New(rand.NewPCG(5, 6))
				for range 4 {
					require.NoError(t, full.Reset(5, 20, 30))
					require.NoError(t, d.Reset(5, 20, 30))
					q := questions(rng, 5, d.Info().Vocab)
					want, err := full.Prefill(t.Context(), 0, heads, q)
					require.NoError(t, err)
					got, err := d.Prefill(t.Context(), 0, heads, q)
					require.NoError(t, err)
					requireSame(t, want, got, q, limit)
					for step := range 3 {
						next := make([][]int32, 5)
						for r := range next {
							next[r] = []int32{int32(7*step + r)}
						}
						q = questions(rng, 5, d.Info().Vocab)
						want, err := full.Step(t.Context(), next, q)
						require.NoError(t, err)
						got, err := d.Step(t.Context(), next, q)
						require.NoError(t, err)
						requireSame(t, want, got, q, limit)
					}
				}
			})
		}
	}
}

// What leaves a session is a few numbers a row, and not the vocabulary.
func TestAnswersAreFewNumbers(t *testing.T) {
	for asks, want := range map[Asks]int{AskTokens: 2 * 3, AskLikeliest: 2*(1+1) + 1} {
		d := openAsked(t, "tiny-gqa", asks).(*cached)
		require.NoError(t, d.Reset(4, 5, 9))
		ask := model.Ask{Tokens: []int32{3, 9, 11}}
		if asks == AskLikeliest {
			ask = model.Ask{Likeliest: true}
		}
		_, err := d.Prefill(t.Context(), 0, slices.Repeat([][]int32{{1, 2, 3}}, 4), slices.Repeat([]model.Ask{ask}, 4))
		require.NoError(t, err)
		require.Len(t, d.chosen, 4*want)
		require.Empty(t, d.out.f32, "no memory for logits")
	}
}

// A token that the vocabulary does not have is refused before the graph looks for it.
func TestAnswersRefuseTokens(t *testing.T) {
	for _, asks := range asked {
		d := openAsked(t, "tiny-gqa", asks)
		for _, id := range []int32{-1, int32(d.Info().Vocab)} {
			require.NoError(t, d.Reset(1, 2, 4))
			_, err := d.Prefill(t.Context(), 0, [][]int32{{1, 2}}, []model.Ask{{Tokens: []int32{id}}})
			require.ErrorContains(t, err, "want tokens below the model's vocabulary of 512, got ")
		}
	}
}

// Texts are those that full logits give: free, sampled, with a penalty and guided.
func TestTextsOfEveryForm(t *testing.T) {
	guided := func() []model.Prompt {
		in := prompts(7)
		for i := range in {
			in[i].Guide, in[i].Seed = &some{n: 4 + i%3}, uint64(i)
		}
		return in
	}
	for _, name := range []string{"tiny-gqa", "tiny-gqa-fp16", "tiny-bf16logits", "tiny-explicit", "tiny-rawnames"} {
		full := &model.Recompute{Forwarder: openFixture(t, name, Options{Graph: FullGraph})}
		for form, asks := range asked {
			d := openAsked(t, name, asks)
			for _, s := range []model.Sampling{{}, {Temperature: 0.8, TopP: 0.9}, {RepetitionPenalty: 1.3}} {
				limits := model.Limits{Rows: 3, Tokens: 64}
				require.Equal(t, written(t, full, limits, s, prompts(7)), written(t, d, limits, s, prompts(7)), "%s, %s, %+v", name, form, s)
				require.Equal(t, written(t, full, limits, s, guided()), written(t, d, limits, s, guided()), "%s, %s, %+v, guided", name, form, s)
			}
		}
	}
}

// some is a guide that allows other tokens at each place, one of them at every third.
type some struct{ n, at int }

func (g *some) Allowed() (ids []int32) {
	for i := range g.n - g.at {
		ids = append(ids, int32(5+17*g.at+3*i))
	}
	if g.at%3 == 2 && g.at < g.n {
		return ids[:1]
	}
	return ids
}
func (g *some) Accept(int32) { g.at++ }
func (g *some) Reset()       { g.at = 0 }

// Equal logits: the lowest id is the likeliest, in every form.
func TestLikeliestOfEquals(t *testing.T) {
	for form, asks := range asked {
		lm := openHeadAsked(t, "equals", asks)
		require.Equal(t, form, lm.Info().Form)
		b := &model.Batch{Rows: 1, Width: 3, Lens: []int{3}, TokenIDs: []int64{1, 2, 3}}
		got, err := lm.Predict(t.Context(), b, []model.Ask{{Likeliest: true}})
		require.NoError(t, err)
		all, err := lm.Predict(t.Context(), b, []model.Ask{{All: true}})
		require.NoError(t, err)
		first := model.Likeliest(all[0].Logits)
		require.Equal(t, []int32{first}, got[0].IDs)
		require.Greater(t, len(all[0].Logits), int(first)+1)
		require.Contains(t, all[0].Logits[first+1:], all[0].Logits[first], "there is another")
	}
}

// A logit that is not finite is found, be its token asked about or not, and a word that
// the model rules out is none.
func TestAnswersShowWhatIsNotFinite(t *testing.T) {
	for _, asks := range asked {
		lm := openHeadAsked(t, "nonfinite", asks)
		for last := range 4 {
			b := &model.Batch{Rows: 1, Width: last + 1, Lens: []int{last + 1}, TokenIDs: []int64{9, 10, 11, 12}[:last+1]}
			for _, ask := range []model.Ask{{Tokens: []int32{0, 20}}, {Tokens: []int32{5, 6}}, {Likeliest: true}, {All: true}} {
				got, err := lm.Predict(t.Context(), b, []model.Ask{ask})
				require.NoError(t, err)
				finite := !math.IsNaN(got[0].Total) && !math.IsInf(got[0].Total, 0)
				require.Equal(t, last >= 2, finite, "%v, position %d, %+v", asks, last, ask)
			}
		}
	}
}

// openHeadAsked opens a graph of testdata/heads to predict with.
func openHeadAsked(t *testing.T, name string, asks Asks) *LM {
	t.Helper()
	needLibrary(t)
	lm, err := openLM(t.Context(), headFile(name), Options{Threads: 1}, asks.form)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lm.Close()) })
	require.NotEqual(t, graph.Scoring, lm.form)
	return lm
}
