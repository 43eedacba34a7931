package rank

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// strange is a tokenizer whose ids change with the text.
type strange struct {
	toy
	change func(text string, ids []int32)
}

func (s strange) Encode(text string, special bool) (model.Encoding, error) {
	enc, err := s.toy.Encode(text, special)
	s.change(text, enc.IDs)
	return enc, err
}

// broken is a tokenizer that fails where the text holds a word.
type broken struct {
	toy
	on string
}

func (b broken) Encode(text string, special bool) (model.Encoding, error) {
	if strings.Contains(text, b.on) {
		return model.Encoding{}, errors.New("want another text")
	}
	return b.toy.Encode(text, special)
}

func TestNewGrammarErrors(t *testing.T) {
	unknown := func(_ string, ids []int32) {
		for i, id := range ids {
			if id >= '0' && id <= '9' {
				ids[i] = 0
			}
		}
	}
	after2 := func(text string, ids []int32) {
		if at := strings.Index(text, "[2]"); at >= 0 {
			for i := at + 3; i < len(ids); i++ {
				ids[i] += 1000
			}
		}
	}
	for _, c := range []struct {
		tok         model.Tokenizer
		first, most int
		want        string
	}{
		{toy{words: []string{"] > [1"}}, 0, 3, `want a token to end between two identifiers, got "] > [1"`},
		{toy{words: []string{"7] > [2"}}, 0, 10, `want a token to end between two identifiers, got "7] > [2"`}, // no neighbours
		{toy{words: []string{"[0] > [1]"}}, 0, 3, `want a token to end between two identifiers, got "[0] > [1]"`},
		{strange{toy{}, unknown}, 0, 3, "want tokens that tell [0] from [1], got [91 0 93] and [91 0 93]\n" +
			"want tokens that tell [0] from [1], got [32 62 32 91 0 93] and [32 62 32 91 0 93]"},
		{strange{toy{}, after2}, 0, 3, "want the same tokens for [1] wherever it stands, got [32 62 32 91 49 93] and [1032 1062 1032 1091 1049 1093]"},
		{broken{on: "] > [2"}, 0, 3, "want another text"},
		{toy{}, -1, 3, "want identifiers from 0 or above for 1 passage or more, got 3 from -1"},
		{toy{}, 0, 0, "want identifiers from 0 or above for 1 passage or more, got 0 from 0"},
	} {
		for _, tail := range []string{"assistant", ""} {
			_, err := NewGrammar(c.tok, tail, "", c.first, c.most)
			require.EqualError(t, err, c.want)
		}
	}
}

// Where a token would reach from the prompt into the ranking, or a long ranking
// is tokenised in a way of its own, the text is right and a note says so.
func TestGrammarNotes(t *testing.T) {
	late := func(text string, ids []int32) {
		for i := 60; i < len(ids); i++ {
			ids[i] += 1000
		}
	}
	for _, c := range []struct {
		tok        model.Tokenizer
		tail, lead string
		want       string
	}{
		{toy{words: []string{"\n["}}, "assistant\n", "",
			`rankings are tokenised apart from the prompt: want the prompt's end to keep its tokens before a ranking, got others for "assistant\n"`},
		{toy{words: []string{" [", " >"}}, "Ranking: ", "",
			`rankings are tokenised apart from the prompt: want the prompt's end to keep its tokens before a ranking, got others for "Ranking: "`},
		{broken{on: "assist"}, "assistant", "", "rankings are tokenised apart from the prompt: want another text"},
		{strange{toy{}, late}, "Ranking:", " ",
			"some rankings are not tokenised as a whole: want the same tokens for [13] wherever it stands, got [32 62 32 91 49 51 93] and [1032 1062 1032 1091 1049 1051 1093]"},
	} {
		g, err := NewGrammar(c.tok, c.tail, c.lead, 0, 20)
		require.NoError(t, err)
		require.Equal(t, c.want, g.Note)
		ids := drive(g, 3, func(allowed []int32) int32 { return allowed[len(allowed)-1] })
		require.Equal(t, c.lead+"[2] > [1", c.tok.(interface{ text([]int32) string }).text(ids))
	}
}

// at makes a choice from probabilities.
func at(place int, p, mass float64) model.Choice {
	return model.Choice{At: place, LogProb: math.Log(p), Mass: mass}
}

func TestGrammarReads(t *testing.T) {
	g, err := NewGrammar(toys["bytes"], "Ranking:", " ", 0, 12)
	require.NoError(t, err)
	const underflow = 1e-38
	for _, c := range []struct {
		name    string
		n       int
		text    string
		choices []model.Choice
		want    Decoded
	}{
		{"no passage", 0, "", nil, Decoded{[]int{}, []float64{}, 1}},
		{"one", 1, "", nil, Decoded{[]int{0}, []float64{1}, 1}},
		{"two", 2, " [1", []model.Choice{at(2, 0.3, 0.4)}, Decoded{[]int{1, 0}, []float64{0.75, 1}, 0.4}},
		{"three", 3, " [2] > [0", []model.Choice{at(2, 0.2, 0.8), at(8, 0.1, 0.2)},
			Decoded{[]int{2, 0, 1}, []float64{0.25, 0.5, 1}, 0.4}},
		{"a forced first token", 3, " [2] > [0", []model.Choice{at(0, 0.001, 0.001), at(2, 0.5, 1), at(8, 0.5, 1)},
			Decoded{[]int{2, 0, 1}, []float64{0.5, 0.5, 1}, 0.1}},
		{"an identifier of two choices", 11, " [10] > [1] > [2] > [3] > [4] > [5] > [6] > [7] > [8] > [9",
			[]model.Choice{at(2, 0.25, 0.5), at(3, 0.4, 0.5), at(8, 0.1, 0.5)},
			Decoded{[]int{10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0}, []float64{0.4, 0.2, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0.5}},
		{"nothing allowed has a probability", 3, " [2] > [0", []model.Choice{at(0, 0, 0), at(2, 0, 0), at(8, 0.5, 1)},
			Decoded{[]int{2, 0, 1}, []float64{1.0 / 3, 0.5, 1}, math.Pow(underflow, 2.0/3)}},
		{"a chosen token has none", 2, " [1", []model.Choice{at(2, 0, 0.25)}, Decoded{[]int{1, 0}, []float64{0, 1}, 0.25}},
		{"a mass below its own token's", 2, " [1", []model.Choice{at(2, 1e-20, 0)}, Decoded{[]int{1, 0}, []float64{1, 1}, underflow}},
		{"rounding", 2, " [1", []model.Choice{at(2, 1.0000001, 1.00000001)}, Decoded{[]int{1, 0}, []float64{1, 1}, 1}},
		{"no number at all", 2, " [1", []model.Choice{at(2, math.NaN(), math.NaN())}, Decoded{[]int{1, 0}, []float64{0.5, 1}, underflow}},
	} {
		enc, err := toys["bytes"].Encode(c.text, false)
		require.NoError(t, err)
		got, err := g.Read(c.n, enc.IDs, c.choices)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want.Order, got.Order, c.name)
		require.InDeltaSlice(t, c.want.Confidence, got.Confidence, 1e-12, c.name)
		require.InEpsilon(t, c.want.Mass, got.Mass, 1e-12, c.name)
	}
}

func TestGrammarReadErrors(t *testing.T) {
	g, err := NewGrammar(toys["bytes"], "", "", 0, 12)
	require.NoError(t, err)
	for _, c := range []struct {
		n       int
		text    string
		choices []model.Choice
		want    string
	}{
		{3, "[2]>[0", nil, "token 3: want one of [32], got 62"},
		{3, "[2] > [2", nil, "token 7: want one of [48 49], got 50"},
		{3, "[2] > [0]", nil, "token 8: want one of [], got 93"},
		{1, "[0", nil, "token 0: want one of [], got 91"},
		{3, "[2] > [", nil, "want a ranking of 3 passages, got one that stops after 1"},
		{3, "", nil, "want a ranking of 3 passages, got one that stops after 0"},
		{13, "", nil, "want at most 12 passages, got 13"},
		{2, "[1", []model.Choice{at(1, 0.5, 1), at(2, 0.5, 1)}, "want choices in order within 2 tokens, got one at 2"},
		{2, "[1", []model.Choice{at(1, 0.5, 1), at(0, 0.5, 1)}, "want choices in order within 2 tokens, got one at 0"},
	} {
		enc, err := toys["bytes"].Encode(c.text, false)
		require.NoError(t, err)
		_, err = g.Read(c.n, enc.IDs, c.choices)
		require.EqualError(t, err, c.want)
	}
}
