package nll

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

func TestChoose(t *testing.T) {
	answers := []string{"a", "b", "c", "d"}
	require.Equal(t, []string{"a"}, First.choose(answers, "q", 1))
	require.Equal(t, answers, Best.choose(answers, "q", 1))
	require.Equal(t, answers, Mean.choose(answers, "q", 1))
	require.Equal(t, []string{"a"}, Random.choose(answers[:1], "q", 1))

	for seed := range uint64(20) {
		require.Equal(t, Random.choose(answers, "q", seed), Random.choose(answers, "q", seed), "the same draw again")
	}
}

// Over rows, and over seeds, each answer is drawn about as often.
func TestChooseIsFair(t *testing.T) {
	answers := []string{"a", "b", "c", "d"}
	const draws = 8000
	byRow, bySeed, differ := map[string]int{}, map[string]int{}, 0
	for i := range draws {
		query := string(rune('a'+i%26)) + string(rune(0x4e00+i))
		byRow[Random.choose(answers, query, 42)[0]]++
		bySeed[Random.choose(answers, "q", uint64(i))[0]]++
		if Random.choose(answers, query, 1)[0] != Random.choose(answers, query, 2)[0] {
			differ++
		}
	}
	// Six standard deviations of a binomial count.
	slack := 6 * math.Sqrt(draws*0.25*0.75)
	for _, a := range answers {
		require.InDelta(t, draws/4, byRow[a], slack, a)
		require.InDelta(t, draws/4, bySeed[a], slack, a)
	}
	require.InDelta(t, draws*3/4, differ, slack, "two seeds draw apart")
}

// Words run together must not hash as others do.
func TestChooseHashesWordsApart(t *testing.T) {
	differ := 0
	for seed := range uint64(64) {
		if Random.choose([]string{"b", "c"}, "a", seed)[0] == "b" != (Random.choose([]string{"b", "c"}, "ab", seed)[0] == "b") {
			differ++
		}
	}
	require.Greater(t, differ, 10)
}

func TestCombine(t *testing.T) {
	scores := []float32{-2, -1, -4.5}
	require.Equal(t, float32(-1), Best.combine(scores))
	require.Equal(t, float32(-2.5), Mean.combine(scores))
	require.Equal(t, float32(-2), First.combine(scores[:1]))
	require.Equal(t, float32(-2), Random.combine(scores[:1]))
	require.True(t, math.IsNaN(float64(Best.combine([]float32{-1, float32(math.NaN()), -2}))))
	require.True(t, math.IsNaN(float64(Mean.combine([]float32{-1, float32(math.NaN())}))))
}

func TestParseChoices(t *testing.T) {
	for _, name := range []string{"first", "random", "best", "mean"} {
		got, err := ParseAnswerChoice(name)
		require.NoError(t, err)
		require.Equal(t, AnswerChoice(name), got)
	}
	_, err := ParseAnswerChoice("last")
	require.EqualError(t, err, `want first, random, best or mean, got "last"`)

	for _, name := range []string{"offsets", "reference"} {
		got, err := ParseSpanRule(name)
		require.NoError(t, err)
		require.Equal(t, SpanRule(name), got)
	}
	_, err = ParseSpanRule("")
	require.EqualError(t, err, `want offsets or reference, got ""`)

	for _, name := range []string{"teacher", "pos-neg", "both"} {
		got, err := ParseFieldChoice(name)
		require.NoError(t, err)
		require.Equal(t, FieldChoice(name), got)
	}
	_, err = ParseFieldChoice("pos")
	require.EqualError(t, err, `want teacher, pos-neg or both, got "pos"`)
}

func TestOffsetSpan(t *testing.T) {
	span := func(from, to int) model.Span { return model.Span{From: from, To: to} }
	for _, c := range []struct {
		name    string
		offsets []model.Span
		answer  model.Span
		want    model.Span
	}{
		{"token by token", []model.Span{span(0, 3), span(3, 5), span(5, 8), span(8, 9)}, span(3, 8), span(1, 3)},
		{"to the end", []model.Span{span(0, 3), span(3, 5), span(5, 8)}, span(3, 8), span(1, 3)},
		{"a space before the first word", []model.Span{span(0, 7), span(7, 12)}, span(8, 12), span(1, 2)},
		{"a token over the end", []model.Span{span(0, 3), span(3, 6), span(6, 9)}, span(3, 7), span(1, 3)},
		{"one token over both ends", []model.Span{span(0, 20)}, span(3, 7), span(0, 1)},
		{"neighbours that only touch", []model.Span{span(0, 3), span(3, 7), span(7, 9)}, span(3, 7), span(1, 2)},
		{"an emoji of four tokens", []model.Span{span(0, 2), span(2, 6), span(2, 6), span(2, 6), span(2, 6), span(6, 7)}, span(2, 6), span(1, 5)},
		{"BOS and others without text", []model.Span{{}, {}, span(0, 3), span(3, 7)}, span(3, 7), span(3, 4)},
		{"an answer at the text's start", []model.Span{{}, span(0, 3), span(3, 7)}, span(0, 3), span(1, 2)},
		{"no tokens at all", nil, span(0, 3), span(0, 0)},
		{"no token covers it", []model.Span{span(0, 3), span(9, 12)}, span(4, 8), span(2, 2)},
		{"an empty answer", []model.Span{span(0, 3), span(3, 6)}, span(3, 3), span(2, 2)},
		// "Answer:   the  sea  " and its offsets as a tokenizer trims them; the
		// answer is " the  sea  ", from 9. The first two empty tokens end at 8 and 9.
		{"trimmed offsets", []model.Span{span(0, 2), span(2, 6), span(6, 7), span(8, 8), span(9, 9), span(10, 13), span(14, 14), span(15, 18), span(19, 19), span(20, 20)},
			span(9, 20), span(5, 10)},
		{"trimmed offsets, two spaces first", []model.Span{span(0, 7), span(8, 8), span(9, 9), span(10, 13)}, span(8, 13), span(2, 4)},
		{"trimmed offsets, text behind", []model.Span{span(0, 7), span(8, 11), span(12, 12), span(13, 15)}, span(8, 11), span(1, 2)},
	} {
		enc := model.Encoding{IDs: make([]int32, len(c.offsets)), Offsets: c.offsets}
		require.Equal(t, c.want, offsetSpan(enc, c.answer), c.name)
	}
}

// The rule is "Answer: " + answer.lstrip(" ") against "Answer:": the space
// counts, and so does what stands at the answer's end.
func TestReferenceLen(t *testing.T) {
	for _, c := range []struct {
		answer string
		want   int
	}{{"blue", 5}, {"  blue", 5}, {"blue ", 6}, {"\nblue", 6}, {"é", 3}, {"", 1}, {"   ", 1}} {
		got, err := referenceLen(modeltest.Bytes{}, c.answer)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%q", c.answer)
	}
	_, err := referenceLen(modeltest.Bytes{Err: "blue"}, "blue")
	require.Error(t, err)
	_, err = referenceLen(failAfter(1), "blue")
	require.Error(t, err)
}

// failAfter makes a tokenizer that fails after n texts.
func failAfter(n int) model.Tokenizer { return &failing{left: n} }

type failing struct {
	modeltest.Bytes
	left int
}

func (f *failing) Encode(text string, special bool) (model.Encoding, error) {
	if f.left--; f.left < 0 {
		return model.Encoding{}, errors.New("want a working tokenizer, got a broken one")
	}
	return f.Bytes.Encode(text, special)
}
