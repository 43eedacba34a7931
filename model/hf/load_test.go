package hf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// Published files carry the truncation and padding of a training run.
func TestTruncationAndPaddingAreLeftOut(t *testing.T) {
	tok := load(t, bosEOS, map[string]json.RawMessage{
		"truncation": json.RawMessage(`{"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}`),
		"padding":    json.RawMessage(`{"strategy": {"Fixed": 600}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 3, "pad_type_id": 0, "pad_token": "<|im_end|>"}`),
	})
	require.Equal(t, []int32{0}, tok.Before)
	require.Equal(t, []int32{1}, tok.After)
	text := strings.Repeat("the sea ", 100)
	got, err := tok.Encode(text, true)
	require.NoError(t, err)
	want, err := load(t, bosEOS, nil).Encode(text, true)
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Greater(t, len(got.IDs), 200)
}

// A dropout, left over from training as well, would make the tokens of every run
// others.
func TestDropoutIsOff(t *testing.T) {
	text := strings.Repeat("the sea and the insect, in 1907 ", 20)
	want, err := load(t, tiny, nil).Encode(text, true)
	require.NoError(t, err)
	for _, c := range []struct{ dropout, note string }{
		{"null", ""}, {"0", ""}, {"0.0", ""}, {"0.1", "0.1"}, {"0.5", "0.5"}, {"1.0", "1"}, {"1", "1"},
	} {
		tok := load(t, tiny, map[string]json.RawMessage{"model": withDropout(t, c.dropout)})
		for range 3 {
			got, err := tok.Encode(text, true)
			require.NoError(t, err)
			require.Equal(t, want, got, c.dropout)
		}
		if c.note == "" {
			require.Empty(t, tok.Notes, c.dropout)
			continue
		}
		require.Len(t, tok.Notes, 1)
		require.Contains(t, tok.Notes[0], "tokenizer.json has a dropout of "+c.note+", ")
	}
	_, err = tryJSON(t, `{"model": {"vocab": {"a": 0}, "dropout": "often"}}`)
	require.ErrorContains(t, err, "model.dropout: ")
}

// withDropout is the tiny tokenizer's model with a dropout.
func withDropout(t *testing.T, dropout string) json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, tiny, "tokenizer.json"))
	require.NoError(t, err)
	var file struct{ Model map[string]json.RawMessage }
	require.NoError(t, json.Unmarshal(data, &file))
	file.Model["dropout"] = json.RawMessage(dropout)
	data, err = json.Marshal(file.Model)
	require.NoError(t, err)
	return data
}

func TestSize(t *testing.T) {
	bpe := `{"added_tokens": %s, "model": {"type": "BPE", "merges": [], "vocab": %s}}`
	special := `[{"id": %d, "content": "<x>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}]`
	for _, c := range []struct {
		name, file string
		want       int
	}{
		{"dense", fmt.Sprintf(bpe, "[]", `{"a": 0, "b": 1}`), 2},
		{"with holes", fmt.Sprintf(bpe, "[]", `{"a": 0, "b": 1000}`), 1001},
		{"an added token beyond the vocabulary", fmt.Sprintf(bpe, fmt.Sprintf(special, 2), `{"a": 0, "b": 1}`), 3},
		{"an added token within", fmt.Sprintf(bpe, fmt.Sprintf(special, 1), `{"a": 0, "<x>": 1, "b": 7}`), 8},
		{"no added tokens", `{"model": {"type": "BPE", "merges": [], "vocab": {"a": 0}}}`, 1},
		{"null added tokens", fmt.Sprintf(bpe, "null", `{"a": 0}`), 1},
		{"unigram", unigram, 5},
	} {
		var tok Tokenizer
		_, err := tok.prepare([]byte(c.file))
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, tok.Size, c.name)
	}
}

// unigram is a SentencePiece model as converters write it, without a type.
const unigram = `{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
	"normalizer": null, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
	"post_processor": null, "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
	"model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false,
		"vocab": [["<unk>", 0.0], ["▁", -2.0], ["▁sea", -1.0], ["s", -5.0], ["a", -5.0]]}}`

func TestUnigram(t *testing.T) {
	tok := loadJSON(t, unigram)
	require.Equal(t, 5, tok.Size)
	enc, err := tok.Encode("sea as", true)
	require.NoError(t, err)
	require.Equal(t, []int32{2, 1, 4, 3}, enc.IDs)
	require.Equal(t, []model.Span{{From: 0, To: 3}, {From: 3, To: 4}, {From: 4, To: 5}, {From: 5, To: 6}}, enc.Offsets)
	text, err := tok.Decode(enc.IDs)
	require.NoError(t, err)
	require.Equal(t, "sea as", text)
}

func TestLoadTokenizerRefuses(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "want a tokenizer.json, got broken JSON: unexpected end of JSON input"},
		{"cut off", `{"model": {"type": "BPE", `, "want a tokenizer.json, got broken JSON: unexpected end of JSON input"},
		{"a list", "[1, 2]", "want a tokenizer.json, got broken JSON: json: cannot unmarshal array into Go value of type map[string]json.RawMessage"},
		{"a pointer of Git LFS", "version https://git-lfs.github.com/spec/v1", "want a tokenizer.json, got broken JSON: invalid character 'v' looking for beginning of value"},
		{"another JSON file", `{"architectures": ["LlamaForCausalLM"]}`, "want a tokenizer.json with a model, got none"},
		{"a model that is none", `{"model": 3}`, "model: "},
		{"no vocabulary", `{"model": {"type": "BPE"}}`, "model.vocab: want a vocabulary, got none"},
		{"a vocabulary of strings", `{"model": {"vocab": {"a": "b"}}}`, "model.vocab: "},
		{"a broken list", `{"model": {"vocab": [1}}`, "want a tokenizer.json, got broken JSON: "},
		{"added tokens that are none", `{"model": {"vocab": {"a": 0}}, "added_tokens": 7}`, "added_tokens: "},
		{"a type nobody knows", `{"model": {"type": "Magic", "vocab": {"a": 0}}}`, "want a tokenizer.json, got Failed to create tokenizer from bytes: "},
		{"merges of unknown words", `{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["x y"]}}`, "want a tokenizer.json, got Failed to create tokenizer from bytes: "},
	} {
		_, err := tryJSON(t, c.file)
		require.ErrorContains(t, err, c.want, c.name)
	}
	_, err := LoadTokenizer(filepath.Join(t.TempDir(), "none.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = LoadTokenizer(t.TempDir())
	require.Error(t, err)
}

func TestClosedTokenizer(t *testing.T) {
	tok, err := LoadTokenizer(filepath.Join(root, tiny, "tokenizer.json"))
	require.NoError(t, err)
	require.NoError(t, tok.Close())
	_, err = tok.Encode("a", true)
	require.ErrorContains(t, err, "tokenize: ")
	_, err = tok.Decode([]int32{68})
	require.ErrorContains(t, err, "decode: ")
}
