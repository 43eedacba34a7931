package ort

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// batchwideFile is a graph in which a sequence's numbers depend on more than itself.
func batchwideFile(name string) string {
	return filepath.Join("..", "testdata", "batchwide", name+".onnx")
}

func openBatchwide(t *testing.T, name string, opts Options) *LM {
	t.Helper()
	needLibrary(t)
	lm, err := Open(t.Context(), batchwideFile(name), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lm.Close()) })
	return lm
}

// scoredAlone scores each sequence in a forward of its own, by the file's own graph.
func scoredAlone(t *testing.T, name string, seqs []model.Sequence) (scores []float32) {
	t.Helper()
	lm := openBatchwide(t, name, Options{Graph: FullGraph})
	for _, s := range seqs {
		scores = append(scores, score(t, lm, model.Limits{}, []model.Sequence{s})...)
	}
	return scores
}

// A score is that of the sequence alone, whatever the graph does with a batch.
func TestScoresOfASequenceAlone(t *testing.T) {
	for name, want := range map[string]struct {
		mixing model.Mixing
		note   string
	}{
		"window":            {},
		"columns":           {},
		"quantized":         {model.Mixing{Alone: true}, "DynamicQuantizeLinear): sequences run one at a time"},
		"longrope":          {mixing: model.Mixing{Breaks: []int{39, 40, 41}}},
		"longrope-explicit": {mixing: model.Mixing{Breaks: []int{39, 40, 41}}},
		"half":              {},
		"padding":           {model.Mixing{EqualLengths: true}, "the sequences of a batch are of one length"},
	} {
		t.Run(name, func(t *testing.T) {
			seqs := append(someSequences(40, 500), beginAlike(500)...)
			alone := scoredAlone(t, name, seqs)
			for _, g := range []Graph{AutoGraph, FullGraph} {
				lm := openBatchwide(t, name, Options{Graph: g})
				require.Equal(t, want.mixing, lm.Mixing())
				require.Equal(t, want.mixing, lm.Scorer().Mixing())
				for _, limits := range []model.Limits{{Tokens: 200}, {Tokens: 1 << 20}, {Tokens: 1 << 20, Rows: 3}} {
					d := maxDiff(t, alone, score(t, lm, limits, seqs))
					limit := 1e-5
					if name == "half" {
						limit = 2e-2
					}
					require.LessOrEqual(t, d, limit, "%s %+v", g, limits)
				}
				if want.note != "" {
					require.Contains(t, lm.Info().Notes[0], want.note)
				}
			}
		})
	}
}

// What is written is what each text gets alone, read whole at every step, for texts
// short and long, and such as pass a break as they grow.
func TestTextsWrittenAlone(t *testing.T) {
	in := prompts(9)
	for i := range in {
		in[i].Tokens = append(in[i].Tokens, prompts(9)[8-i].Tokens...)
		in[i].Tokens = append(in[i].Tokens, in[i].Tokens...) // 40 tokens and more
	}
	in = append(in, prompts(9)...)
	for i := range in {
		in[i].MaxNew = 12
	}
	for name, want := range map[string]struct{ cache, note string }{
		"window":            {CacheCopied, ""},
		"columns":           {CacheCopied, ""},
		"quantized":         {CacheNone, "other scales of DynamicQuantizeLinear: every step reads the whole text again"},
		"longrope":          {CacheInPlace, ""},
		"longrope-explicit": {CacheCopied, ""},
		"padding":           {CacheCopied, "texts are written one at a time"},
	} {
		t.Run(name, func(t *testing.T) {
			var alone [][]int32
			lm := openBatchwide(t, name, Options{Graph: FullGraph})
			for _, p := range in {
				alone = append(alone, written(t, &model.Recompute{Forwarder: lm}, model.Limits{Rows: 1}, model.Sampling{}, []model.Prompt{p})...)
			}
			for _, g := range []Graph{AutoGraph, FullGraph} {
				d, err := OpenDecoder(t.Context(), batchwideFile(name), Options{Graph: g})
				require.NoError(t, err)
				defer d.Close()
				require.Equal(t, want.cache, d.Info().Cache)
				for _, limits := range []model.Limits{{Rows: 1}, {Rows: 4, Tokens: 64}, {Tokens: 1 << 20}} {
					require.Equal(t, alone, written(t, d, limits, model.Sampling{}, in), "%s %+v", g, limits)
				}
				if want.note == "" {
					require.Empty(t, d.Info().Notes)
				} else {
					require.Condition(t, func() bool { return anyContains(d.Info().Notes, want.note) }, "%q", d.Info().Notes)
				}
			}
		})
	}
}

// What follows a token may not change what the graph gives for it, however it rounds.
func TestGraphsThatLookAhead(t *testing.T) {
	needLibrary(t)
	for _, name := range []string{"ahead", "ahead-quantized"} {
		for _, g := range []Graph{AutoGraph, FullGraph} {
			var leak *NotCausalError
			_, err := Open(t.Context(), batchwideFile(name), Options{Graph: g})
			require.ErrorAs(t, err, &leak, name)
			require.Greater(t, leak.Change, 0.1)
			_, err = OpenDecoder(t.Context(), batchwideFile(name), Options{Graph: g})
			require.ErrorAs(t, err, &leak, name)

			lm := openBatchwide(t, name, Options{Graph: g, AllowLeak: true})
			require.Greater(t, lm.Info().Trial.Later, 0.1)
			require.True(t, anyContains(lm.Info().Notes, "change the logits of earlier ones by"), "%q", lm.Info().Notes)
		}
	}
}

// The trial finds by itself what the graph's operators tell: it would find it where
// they are others.
func TestTrialFindsWhatTheGraphHides(t *testing.T) {
	needLibrary(t)
	for name, opts := range map[string]Options{"quantized": {}, "longrope-explicit": {Windows: []int{40}}, "lengthwise": {Context: 512}} {
		lm := &LM{}
		require.NoError(t, lm.read(batchwideFile(name), opts))
		lm.info.Graph.Batchwide = graph.Batchwide{}
		err := lm.open(context.Background())
		var leak *NotCausalError
		require.ErrorAs(t, err, &leak, name)
		if name != "quantized" {
			_, err = OpenDecoder(t.Context(), batchwideFile("lengthwise"), Options{Context: 512})
			require.ErrorAs(t, err, &leak, name)
		}
	}
}

// What the numbers show to be no logits is refused, whichever way the graph makes it.
func TestCheckLogits(t *testing.T) {
	var refused *graph.NotCausalError
	for name, c := range map[string]struct {
		values []float32
		allow  bool
		want   string
	}{
		"logits":                        {[]float32{1, -2, 0.5, 3, 0, 0}, false, ""},
		"logits that may add up to one": {[]float32{0.5, 0.5, 0, -1, 2, 0}, false, ""},
		"probabilities":                 {[]float32{0.5, 0.25, 0.25, 1, 0, 0}, true, "these are probabilities"},
		"a sigmoid's":                   {[]float32{0.5, 0.9, 0.25, 1, 0, 0}, true, "these are probabilities"},
		"nothing":                       {[]float32{0, 0, 0, 0, 0, 0}, false, ""},
		"logarithms":                    {[]float32{-0.693147, -1.386294, -1.386294, 0, -80, -80}, false, "logarithms of probabilities"},
		"logarithms, allowed":           {[]float32{-0.693147, -1.386294, -1.386294, 0, -80, -80}, true, ""},
		"logarithms, negated":           {[]float32{0.693147, 1.386294, 1.386294, 0, 80, 80}, true, "signs turned round"},
	} {
		err := checkLogits(c.values, 3, c.allow)
		if c.want == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorAs(t, err, &refused, name)
		require.ErrorContains(t, err, c.want, name)
	}
}

// A model that computes nothing is not refused as one of probabilities, and not run in
// silence.
func TestConstantNumbersAreNoted(t *testing.T) {
	var s session
	s.noteConstant([]float32{0.5, 0.5, 0.25})
	s.noteConstant([]float32{0.5})
	require.Empty(t, s.info.Notes)
	s.noteConstant([]float32{0.5, 0.5, 0.5})
	s.noteConstant([]float32{0, 0})
	require.Equal(t, []string{"the model gives every word the same number: its scores mean nothing"}, s.info.Notes)
}

// A trial goes beyond the windows and breaks that are known, where that is quick, and
// never beyond the context.
func TestTrialLengths(t *testing.T) {
	s := &session{info: Info{Graph: &graph.Model{}}}
	require.Equal(t, trialLengths{12, 24, 30}, s.trialLengths())
	_, ok := s.longLengths(s.trialLengths(), 0)
	require.False(t, ok, "nothing to reach")

	s.opts.Windows = []int{64}
	l, ok := s.longLengths(s.trialLengths(), 0)
	require.True(t, ok)
	require.Equal(t, trialLengths{36, 72, 90}, l)
	_, ok = s.longLengths(s.trialLengths(), trialTime)
	require.False(t, ok, "too slow")
	s.opts.Windows = nil
	s.opts.Context = 512
	l, ok = s.longLengths(s.trialLengths(), 0)
	require.True(t, ok, "as far as without windows")
	require.Equal(t, trialLengths{80, 160, 200}, l)
	l, ok = s.longLengths(s.trialLengths(), trialTime)
	require.False(t, ok, "too slow: %v", l)
	s.opts.Windows = []int{64}
	s.opts.Context = 70
	_, ok = s.longLengths(s.trialLengths(), 0)
	require.False(t, ok, "beyond the context")
	s.opts.Context = 20
	require.Equal(t, trialLengths{2, 5, 7}, s.trialLengths())

	s = &session{info: Info{Graph: &graph.Model{Batchwide: graph.Batchwide{Breaks: []int{39, 40, 41}}}}}
	l = s.trialLengths()
	require.Equal(t, trialLengths{12, 24, 30}, l)
	l, ok = s.longLengths(l, 0)
	require.True(t, ok)
	require.Equal(t, trialLengths{42, 49, 61}, l)
	s.info.Graph.Batchwide.Breaks = []int{19, 20, 21}
	require.Equal(t, trialLengths{22, 30, 37}, s.trialLengths(), "all beyond it")
}
