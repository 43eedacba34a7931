//go:build cgo

package nll_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/nll"
)

// With real tokenizers: the fixtures', and one that trims white space off its
// offsets, as Llama 3 and Qwen publish theirs.

const trimmed = `{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}`

func tokenizers(t testing.TB) map[string]*hf.Tokenizer {
	t.Helper()
	out := map[string]*hf.Tokenizer{}
	for _, name := range []string{"tiny-gqa", "tokenizers/bos-eos", "tokenizers/metaspace", "trimmed"} {
		path := filepath.Join("../testdata", name, "tokenizer.json")
		if name == "trimmed" {
			data, err := os.ReadFile("../testdata/tiny-gqa/tokenizer.json")
			require.NoError(t, err)
			var file map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(data, &file))
			file["post_processor"] = json.RawMessage(trimmed)
			data, err = json.Marshal(file)
			require.NoError(t, err)
			path = filepath.Join(t.TempDir(), "tokenizer.json")
			require.NoError(t, os.WriteFile(path, data, 0o644))
		}
		tok, err := hf.LoadTokenizer(path)
		require.NoError(t, err)
		t.Cleanup(func() { _ = tok.Close() })
		out[name] = tok
	}
	return out
}

func build(t testing.TB, b *nll.Builder, fields map[string]any) *nll.Example {
	t.Helper()
	built, err := tryBuild(t, b, fields)
	require.NoError(t, err)
	return built
}

func tryBuild(t testing.TB, b *nll.Builder, fields map[string]any) (*nll.Example, error) {
	t.Helper()
	line, err := json.Marshal(fields)
	require.NoError(t, err)
	row, err := dataset.Parse("rows.jsonl", 1, line)
	require.NoError(t, err)
	ex, err := nll.ReadExample(row, "", nll.First, 1)
	require.NoError(t, err)
	return ex, b.Build(ex)
}

func TestAnswerSpanWithTokenizers(t *testing.T) {
	answers := []string{"the sea", "a", "1907", "été", "🐝", "x 🐝🌻", "é", "東京の喫茶店", "<|im_end|>", "it's", "a\nb", "(he's 3).", "e\u0301", "\u200b", "x  y"}
	tails := []string{"", " ", "  ", "\n"} // chat keeps white space round an answer
	for name, tok := range tokenizers(t) {
		b := &nll.Builder{Tokenizer: tok, KeyMaxLength: 512, MaxLength: 4096, Vocab: tok.Size, Span: nll.Offsets}
		for _, task := range []string{"qa", "chat", "icl", "lrlm"} {
			for _, core := range answers {
				for i, tail := range tails {
					answer := tails[(i+1)%len(tails)] + core + tail
					built := build(t, b, map[string]any{"task": task, "query": "What is " + core + "?", "answers": answer, "pos": []string{"p " + core}})
					seq := built.Sequences[0]
					about := fmt.Sprintf("%s %s %q", name, task, answer)
					span := nll.AnswerSpan(seq)
					got, err := tok.Decode(seq.Tokens[span.From:span.To])
					require.NoError(t, err, about)
					want := answer
					if task == "qa" {
						want = core
					}
					require.Equal(t, len(seq.Tokens), span.To, "%s: the answer ends the text", about)
					// One token may begin before the answer; no whole token may.
					require.True(t, strings.HasSuffix(got, strings.TrimPrefix(want, " ")), "%s: got %q", about, got)
					shorter, err := tok.Decode(seq.Tokens[span.From+1 : span.To])
					require.NoError(t, err, about)
					require.Less(t, len(strings.ReplaceAll(shorter, "\ufffd", "")), len(want), about)
				}
			}
		}
	}
}

// The passage is cut to what the tokenizer counts as so many tokens.
func TestKeyMaxLengthWithTokenizers(t *testing.T) {
	passage := "The café of Zoë 🐝 opened in 1907; 東京 and the sea were far away."
	for name, tok := range tokenizers(t) {
		whole, err := tok.Encode(passage, false)
		require.NoError(t, err)
		for n := 1; n <= len(whole.IDs)+1; n++ {
			b := &nll.Builder{Tokenizer: tok, KeyMaxLength: n, MaxLength: 4096, Vocab: tok.Size, Span: nll.Offsets}
			built := build(t, b, map[string]any{"task": "lrlm", "query": "|", "answers": "a", "pos": []string{passage}})
			text, err := tok.Decode(built.Sequences[0].Tokens[len(tok.Before):])
			require.NoError(t, err)
			kept, ok := strings.CutSuffix(strings.TrimPrefix(text, " "), "|a")
			require.True(t, ok, "%s %d: %q", name, n, text)
			require.True(t, strings.HasPrefix(passage, kept) && utf8.ValidString(kept), "%s %d: %q", name, n, kept)
			require.Equal(t, n < len(whole.IDs), built.Cuts == 1)
			enc, err := tok.Encode(kept, false)
			require.NoError(t, err)
			require.LessOrEqual(t, len(enc.IDs), n, "%s: %q", name, kept)
			if onBoundary := n < len(whole.IDs) && whole.Offsets[n].From >= whole.Offsets[n-1].To; onBoundary {
				require.Equal(t, whole.IDs[:n], enc.IDs, "%s: the first %d tokens, and no others", name, n)
			}
		}
	}
}

// The whole fits into the context, whatever it is; what does not is refused.
func TestMaxLengthWithTokenizers(t *testing.T) {
	fields := map[string]any{"query": "Who opened the café 🐝?", "answers": "Zoë Łukasik, in 1907",
		"pos": []string{"The café of Zoë 🐝 opened in 1907;  東京 and the sea  were far away.  "}}
	for name, tok := range tokenizers(t) {
		b := &nll.Builder{Tokenizer: tok, KeyMaxLength: 512, MaxLength: 4096, Vocab: tok.Size, Span: nll.Offsets}
		whole := build(t, b, fields).Sequences[0]
		span := nll.AnswerSpan(whole)
		answer := whole.Tokens[span.From:span.To]
		refused := 0
		for limit := len(whole.Tokens); limit > 0; limit-- {
			b.MaxLength = limit
			built, err := tryBuild(t, b, fields)
			if err != nil {
				require.ErrorContains(t, err, fmt.Sprintf("query: want question and answer within %d tokens, got ", limit))
				refused++
				continue
			}
			require.Zero(t, refused, "what does not fit into %d tokens cannot fit into fewer", limit)
			seq := built.Sequences[0]
			require.LessOrEqual(t, len(seq.Tokens), limit, name)
			require.GreaterOrEqual(t, len(seq.Tokens), limit-6, "%s: no more is cut than must be", name)
			span := nll.AnswerSpan(seq)
			require.Equal(t, answer, seq.Tokens[span.From:span.To], name)
			require.Equal(t, limit < len(whole.Tokens), built.Cuts == 1)
		}
		require.Greater(t, refused, 20)
	}
}

// kind loads a tokenizer of model/hf/testdata/kinds.
func kind(t testing.TB, name string) *hf.Tokenizer {
	t.Helper()
	tok, err := hf.LoadTokenizer("../model/hf/testdata/kinds/" + name + ".json")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tok.Close()) })
	return tok
}

// Where unknown characters meet at the answer's start, those of the answer are its
// tokens and no others. By hand: a token a byte, or one for each neighbour.
func TestAnswerSpanAmongUnknownCharacters(t *testing.T) {
	for _, name := range []string{"byte-level", "llama2", "metaspace", "unigram-bytes", "unigram-nfkc", "unigram-precompiled"} {
		tok := kind(t, name)
		b := &nll.Builder{Tokenizer: tok, KeyMaxLength: 512, MaxLength: 4096, Vocab: tok.Size, Span: nll.Offsets}
		for _, c := range []struct {
			query, answer string
			tokens        int
		}{
			{"the 日本", "語", 3}, {"日本🐝", "🌻", 4}, {"日", "本語🐝", 10}, {"🐝", "日", 3}, {"日🐝日", "🐝日🐝", 11}, {"\u200b日", "日\u200b日", 9},
		} {
			seq := build(t, b, map[string]any{"task": "lrlm", "query": c.query, "answers": c.answer, "pos": []string{"the sea 日"}}).Sequences[0]
			require.Equal(t, c.tokens, len(seq.Asks), "%s %+v: %v", name, c, seq)
			require.Equal(t, len(seq.Tokens), nll.AnswerSpan(seq).To)
		}
	}
	// A normalizer makes twelve bytes of the three of ㍿ and four of the two of ½, whose
	// 1 and 2 are known.
	for _, name := range []string{"unigram-nfkc", "unigram-precompiled"} {
		tok := kind(t, name)
		b := &nll.Builder{Tokenizer: tok, KeyMaxLength: 512, MaxLength: 4096, Vocab: tok.Size, Span: nll.Offsets}
		for answer, want := range map[string]int{"㍿": 12, "㍿日": 15, "日㍿": 15, "½": 5, "日½": 8} {
			seq := build(t, b, map[string]any{"task": "lrlm", "query": "㍿日", "answers": answer, "pos": []string{"p"}}).Sequences[0]
			require.Equal(t, want, len(seq.Asks), "%s %q", name, answer)
		}
	}
}

// The case that came up: an emoji behind a newline, neither of them known.
func TestAnswerSpanOfUnigramByteFallback(t *testing.T) {
	tok := kind(t, "unigram-bytes")
	b := &nll.Builder{Tokenizer: tok, KeyMaxLength: 512, MaxLength: 4096, Vocab: tok.Size, Span: nll.Offsets}
	seq := build(t, b, map[string]any{"task": "icl", "query": "what insect", "answers": "🐝 bee", "pos": []string{"honey"}}).Sequences[0]
	text := ""
	span := nll.AnswerSpan(seq)
	for _, id := range seq.Tokens[span.From:][:4] {
		token, err := tok.Decode([]int32{id})
		require.NoError(t, err)
		text += token
	}
	require.Equal(t, "<0xF0><0x9F><0x90><0x9D>", text)
	newline, err := tok.Decode(seq.Tokens[span.From-1 : span.From])
	require.NoError(t, err)
	require.Equal(t, "<0x0A>", newline, "the newline before it is the context's")
}
