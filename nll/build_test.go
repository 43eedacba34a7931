package nll

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

func example(t testing.TB, line string) *Example {
	t.Helper()
	ex, err := ReadExample(parse(t, line), "", Best, 1)
	require.NoError(t, err)
	return ex
}

// build makes the sequences of a copy of an example.
func build(b *Builder, ex *Example) (*Example, error) {
	built := *ex
	return &built, b.Build(&built)
}

func TestBuild(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       [][2]string
	}{
		{"passage by passage, answer by answer", `{"query": " q ", "answers": ["one", " two"], "pos": ["P"], "neg": ["N "]}`, [][2]string{
			{"<s>Knowledge: P\n\nQuestion: q\n\nAnswer: one", "one"}, {"<s>Knowledge: P\n\nQuestion: q\n\nAnswer: two", "two"},
			{"<s>Knowledge: N\n\nQuestion: q\n\nAnswer: one", "one"}, {"<s>Knowledge: N\n\nQuestion: q\n\nAnswer: two", "two"}}},
		{"an empty passage", `{"query": "q", "answers": "a", "pos": [""]}`, [][2]string{{"<s>Knowledge: \n\nQuestion: q\n\nAnswer: a", "a"}}},
		{"chat", `{"query": "q", "answers": "a", "history": ["h"]}`, [][2]string{{"<s>h\nSpeaker 1: q\nSpeaker 2: a", "a"}}},
		{"lrlm as text", `{"task": "lrlm", "query": "Q", "answers": " a ", "pos": ["P"], "context": "C"}`, [][2]string{{"<s>PCQ a ", " a "}}},
		{"lrlm of an answer alone", `{"task": "lrlm", "query": "", "answers": "a", "pos": [""]}`, [][2]string{{"<s>a", "a"}}},
		{"an answer that the passage holds too", `{"query": "q", "answers": "🐝 é", "pos": ["🐝 é"]}`, [][2]string{{"<s>Knowledge: 🐝 é\n\nQuestion: q\n\nAnswer: 🐝 é", "🐝 é"}}},
	} {
		b := builder()
		built, err := build(&b, example(t, c.line))
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, texts(built.Sequences), c.name)
		require.Zero(t, built.Cuts)
	}
}

func TestBuildReferenceSpan(t *testing.T) {
	b := builder()
	b.Span = Reference
	ex := example(t, `{"query": "q", "answers": ["blue", "blue "], "pos": ["P"]}`)
	built, err := build(&b, ex)
	require.NoError(t, err)
	// " blue" has 5 bytes; the second answer is stripped in the text, not in the rule.
	got := texts(built.Sequences)
	require.Equal(t, " blue", got[0][1])
	require.Equal(t, ": blue", got[1][1])
	require.True(t, built.SpanDiffers)

	b.Span = Offsets
	built, err = build(&b, ex)
	require.NoError(t, err)
	require.Equal(t, "blue", texts(built.Sequences)[1][1])
	require.True(t, built.SpanDiffers, "counted under either rule")

	// In a template with text behind the answer the reference's rule says nothing.
	b.Template, err = ParseTemplate("{passage}: {answer}!", false)
	require.NoError(t, err)
	built, err = build(&b, ex)
	require.NoError(t, err)
	require.Equal(t, [2]string{"<s>P: blue!", "blue"}, texts(built.Sequences)[0])
	require.False(t, built.SpanDiffers)

	b.Span, b.Template = Reference, nil
	_, err = build(&b, example(t, `{"task": "lrlm", "query": "", "answers": "blue", "pos": [""]}`))
	requireBad(t, err, "answers: want text before the answer's first token, got none")
}

// wordTokens has a token for a word with the space before it, as most have, so
// that the two rules agree.
type wordTokens struct{}

func (wordTokens) Encode(text string, special bool) (enc model.Encoding, err error) {
	for at := 0; at < len(text); {
		end := at + 1
		for end < len(text) && text[end] != ' ' {
			end++
		}
		enc.IDs = append(enc.IDs, int32(end-at))
		enc.Offsets = append(enc.Offsets, model.Span{From: at, To: end})
		at = end
	}
	return enc, nil
}

func TestBuildRulesAgree(t *testing.T) {
	b := builder()
	b.Tokenizer = wordTokens{}
	built, err := build(&b, example(t, `{"query": "q", "answers": "the blue sea", "pos": ["P"]}`))
	require.NoError(t, err)
	require.False(t, built.SpanDiffers)
	require.Equal(t, 3, AnswerSpan(built.Sequences[0]).Len(), "the space before an answer goes with it")
}

func (tok trailing) Encode(text string, special bool) (model.Encoding, error) {
	enc, err := tok.Bytes.Encode(text, special)
	enc.IDs, enc.Offsets = append(enc.IDs, 0), append(enc.Offsets, model.Span{From: len(text), To: len(text)})
	return enc, err
}

func TestBuildRefuses(t *testing.T) {
	const good = `"query": "q", "pos": ["p"]}`
	for _, c := range []struct {
		name, line string
		change     func(b *Builder)
		want       string
	}{
		{"nothing before the answer", `{"task": "lrlm", "answers": "a", "query": "", "pos": [""]}`,
			func(b *Builder) { b.Tokenizer = modeltest.Bytes{NoBOS: true} }, "answers: want text before the answer's first token, got none"},
		{"a word the model does not know", `{"answers": "a", ` + good,
			func(b *Builder) { b.Vocab = 120 }, "want token ids below the model's vocabulary of 120, got 256: the tokenizer is not this model's"},
		{"a tokenizer that fails on the answer", `{"answers": "BAD", ` + good,
			func(b *Builder) { b.Tokenizer = modeltest.Bytes{Err: "BAD"} }, `answers: want text without "BAD", got it`},
		{"on a passage", `{"answers": "a", "query": "q", "pos": ["p"], "neg": ["n", "BAD"]}`,
			func(b *Builder) { b.Tokenizer = modeltest.Bytes{Err: "BAD"} }, `neg[1]: want text without "BAD", got it`},
		{"on the whole", `{"answers": "a", "query": "BAD", "pos": ["p"]}`,
			func(b *Builder) { b.Tokenizer = modeltest.Bytes{Err: "BAD"} }, `want text without "BAD", got it`},
		{"on a passage that must be shorter", `{"answers": "a", ` + good,
			func(b *Builder) { b.MaxLength, b.Tokenizer = 5, failAfter(4) }, "want a working tokenizer, got a broken one"},
	} {
		b := builder()
		if c.change != nil {
			c.change(&b)
		}
		_, err := build(&b, example(t, c.line))
		requireBad(t, err, c.want, c.name)
	}
}

func TestBuildFromTokens(t *testing.T) {
	line := `{"task": "lrlm", "pos": ["p"], "neg": ["n", "m"], "score_inputs": [[1, 2, 3], [], [4]], "context_inputs": [5], "query_inputs": [6, 7], "answer_inputs": [8, 9]}`
	span := func(from, to int) model.Span { return model.Span{From: from, To: to} }
	b := builder()
	b.KeyMaxLength = 1 // does not hold here, as it does not in the reference
	built, err := build(&b, example(t, line))
	require.NoError(t, err)
	require.Equal(t, []model.Sequence{
		model.Answer([]int32{1, 2, 3, 5, 6, 7, 8, 9}, span(6, 8)),
		model.Answer([]int32{5, 6, 7, 8, 9}, span(3, 5)),
		model.Answer([]int32{4, 5, 6, 7, 8, 9}, span(4, 6)),
	}, built.Sequences)

	b.MaxLength = 6
	built, err = build(&b, example(t, line))
	require.NoError(t, err)
	require.Equal(t, []int32{1, 5, 6, 7, 8, 9}, built.Sequences[0].Tokens, "the passage's end goes")
	require.Equal(t, 1, built.Cuts)

	for _, c := range []struct {
		line, want string
		change     func(b *Builder)
	}{
		{line, "query_inputs: want context, query and answer within 4 tokens, got 5", func(b *Builder) { b.MaxLength = 4 }},
		{line, "answer_inputs[1]: want a token id below the model's vocabulary of 9, got 9", func(b *Builder) { b.Vocab = 9 }},
		{line, "query_inputs[1]: want a token id below the model's vocabulary of 7, got 7", func(b *Builder) { b.Vocab = 7 }},
		{line, "context_inputs[0]: want a token id below the model's vocabulary of 3, got 5", func(b *Builder) { b.Vocab = 3 }},
		{strings.Replace(line, "[4]]", "[4, 300]]", 1), "score_inputs[2][1]: want a token id below the model's vocabulary of 257, got 300", nil},
		{`{"task": "lrlm", "pos": ["p"], "score_inputs": [[]], "context_inputs": [], "query_inputs": [], "answer_inputs": [8]}`,
			"answer_inputs: want tokens before the answer, got none", nil},
	} {
		b := builder()
		if c.change != nil {
			c.change(&b)
		}
		_, err := build(&b, example(t, c.line))
		requireBad(t, err, c.want)
	}
}

// The passages' memory is not shared: one sequence cannot grow into another.
func TestBuildFromTokensOwnsItsMemory(t *testing.T) {
	b := builder()
	b.MaxLength = 3
	ex := example(t, `{"task": "lrlm", "pos": ["p"], "score_inputs": [[1, 2, 3, 4]], "context_inputs": [], "query_inputs": [], "answer_inputs": [9]}`)
	_, err := build(&b, ex)
	require.NoError(t, err)
	require.Equal(t, []int32{1, 2, 3, 4}, ex.Tokens.Scores[0])
}
