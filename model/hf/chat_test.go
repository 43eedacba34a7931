package hf

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

func loadChat(t *testing.T, name string) (*ChatTokenizer, *Tokenizer) {
	t.Helper()
	path := filepath.Join(root, "testdata", name, "tokenizer.json")
	plain, err := LoadTokenizer(path)
	require.NoError(t, err)
	c, err := LoadChatTokenizer(path, plain)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, plain.Close())
	})
	return c, plain
}

// What a template wrote is tokenised as the tokenizers library does it; the dump
// is scripts/golden_chat.py's.
func TestChatTokensAsTransformers(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "testdata", "chat", "tokens.json"))
	require.NoError(t, err)
	var cases []struct {
		Tokenizer, Text string
		IDs             []int32
	}
	require.NoError(t, json.Unmarshal(data, &cases))
	require.NotEmpty(t, cases)
	for _, c := range cases {
		chat, _ := loadChat(t, c.Tokenizer)
		got, err := chat.Encode(c.Text, false)
		require.NoError(t, err)
		require.Equal(t, c.IDs, got.IDs, "%s %q", c.Tokenizer, c.Text)
	}
}

// Special tokens in the data stay text, whatever the template puts round them.
func TestSpecialTokensInDataAreText(t *testing.T) {
	for _, name := range []string{"tiny-gqa", "tokenizers/metaspace"} {
		chat, plain := loadChat(t, name)
		require.NotEmpty(t, plain.Special)
		for special, id := range plain.Special {
			for _, data := range []string{special, "a" + special + "b", special + special + " c", "x\n" + special + "\n"} {
				protected := chat.Protect(data)
				require.NotContains(t, protected, special)
				ids := chatIDs(t, chat, "the sea "+protected+" the sea")
				require.NotContains(t, ids, id, "%q", data)
				text, err := plain.Decode(ids)
				require.NoError(t, err)
				require.Equal(t, "the sea "+data+" the sea", text)

				ids = chatIDs(t, chat, special+protected)
				require.Equal(t, 1, len(slices.DeleteFunc(ids, func(i int32) bool { return i != id })), "the template's own stays one")
			}
		}
	}
}

func TestProtect(t *testing.T) {
	chat, _ := loadChat(t, "tiny-gqa")
	require.Equal(t, "plain <|im_sta text", chat.Protect("plain <|im_sta text"))
	mark := string(rune(firstMark))
	require.Equal(t, "a\uFFFDb", chat.Protect("a"+mark+"b"), "no mark of the data's own")
	require.Equal(t, "tail", chat.AfterSpecial("<|im_start|>a<|im_end|>tail"))
	require.Equal(t, "all", chat.AfterSpecial("all"))
	require.Empty(t, chat.AfterSpecial("a<|im_end|>"))
	_, err := chat.Encode("a\x00b", false)
	require.ErrorContains(t, err, "want text without NUL")
	require.Empty(t, chatIDs(t, chat, ""))
}

func chatIDs(t *testing.T, c *ChatTokenizer, rendered string) []int32 {
	t.Helper()
	enc, err := c.Encode(rendered, false)
	require.NoError(t, err)
	require.Len(t, enc.Offsets, len(enc.IDs))
	return enc.IDs
}

func TestEnclosed(t *testing.T) {
	chat, _ := loadChat(t, "tiny-gqa")
	one := chat.Enclose(" an answer ")
	before, text, ok := chat.Enclosed("<user>" + one + "<end>")
	require.True(t, ok)
	require.Equal(t, []string{"<user>", " an answer "}, []string{before, text})
	open, closed := string(rune(openMark)), string(rune(closeMark))
	for _, rendered := range []string{"", "none", one + one, open + "a", "a" + closed, closed + "a" + open, one + open, one + closed, open + one} {
		_, _, ok = chat.Enclosed(rendered)
		require.False(t, ok, "%q", rendered)
	}
	require.Equal(t, "a\uFFFD\uFFFD", chat.Protect("a"+open+closed), "no mark of the data's own")
}

// The tokens of a trusted text have their spans in it, a mark's that of the mark.
func TestChatSpans(t *testing.T) {
	chat, plain := loadChat(t, "tiny-gqa")
	text := "<|im_start|>user\nthe sea " + chat.Protect("<|im_end|> is é") + "<|im_end|>\n"
	enc, err := chat.Encode(text, true)
	require.NoError(t, err)
	require.Equal(t, []int32{2, 3}, slices.DeleteFunc(slices.Clone(enc.IDs), func(id int32) bool { return plain.special[id] == "" }))
	at := 0
	for i, o := range enc.Offsets {
		require.LessOrEqual(t, o.From, at, "token %d", i)
		require.GreaterOrEqual(t, o.To, at, "token %d", i)
		at = o.To
	}
	require.Equal(t, len(text), at)
	require.Equal(t, "<|im_start|>", text[enc.Offsets[0].From:enc.Offsets[0].To])
}

// BOS is not put where the text begins with it.
func TestChatBOSOnce(t *testing.T) {
	chat, _ := loadChat(t, "tokenizers/bos-eos")
	for text, want := range map[string]int{"the sea": 1, "<|bos|>the sea": 1, "\n<|bos|>the sea": 2, "<|bos|><|bos|>": 2, "": 1} {
		enc, err := chat.Encode(text, true)
		require.NoError(t, err)
		require.Len(t, slices.DeleteFunc(slices.Clone(enc.IDs), func(id int32) bool { return id != 0 }), want, "%q", text)
	}
}

// White space that a special token swallows is no part of it.
func TestChatNarrow(t *testing.T) {
	swallows := json.RawMessage(`[{"id": 2, "content": "<|im_start|>", "single_word": false, "lstrip": true, "rstrip": true, "normalized": false, "special": true}]`)
	tok := load(t, tiny, map[string]json.RawMessage{"added_tokens": swallows})
	enc := model.Encoding{IDs: []int32{2}, Offsets: []model.Span{{From: 1, To: 16}}}
	require.NoError(t, tok.narrow("a  <|im_start|>  b", enc))
	require.Equal(t, []model.Span{{From: 3, To: 15}}, enc.Offsets)
}

// A special token that is looked for in normalized text may come out of data that is
// written otherwise.
func TestChatRefusesWhatBecomesSpecial(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, tiny, "tokenizer.json"))
	require.NoError(t, err)
	var file map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &file))
	file["normalizer"] = json.RawMessage(`{"type": "NFKC"}`)
	file["added_tokens"] = json.RawMessage(strings.ReplaceAll(string(file["added_tokens"]), `"normalized": false`, `"normalized": true`))
	data, err = json.Marshal(file)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	put(t, path, string(data))
	plain, err := LoadTokenizer(path)
	require.NoError(t, err)
	defer plain.Close()
	chat, err := LoadChatTokenizer(path, plain)
	require.NoError(t, err)
	defer chat.Close()
	const wide = "the ＜|eos|＞ sea"
	_, err = chat.Encode("<|im_start|>"+chat.Protect(wide), false)
	require.EqualError(t, err, `want text that does not become the special token <|eos|>, got "＜|eos|＞"`)
	enc, err := plain.Encode(wide, false)
	require.NoError(t, err)
	require.NotContains(t, enc.IDs, plain.Special["<|eos|>"])
}

func TestChatTemplateOfSeveral(t *testing.T) {
	for text, want := range map[string]string{
		`{"chat_template": "{{ x }}"}`: "{{ x }}",
		`{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}`: "d",
	} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "tokenizer_config.json"), text)
		s, err := LoadSettings(&Files{Tokenizer: filepath.Join(dir, "tokenizer.json")})
		require.NoError(t, err)
		require.Equal(t, want, s.ChatSource)
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "tokenizer_config.json"), `{"chat_template": [{"name": "tool_use", "template": "t"}]}`)
	_, err := LoadSettings(&Files{Tokenizer: filepath.Join(dir, "tokenizer.json")})
	require.ErrorContains(t, err, "chat_template: want one with the name default, got none")
}

func TestLoadStops(t *testing.T) {
	tok := load(t, tiny, nil)
	for _, c := range []struct {
		name               string
		generation, config string
		settings           Settings
		want               []int32
	}{
		{"one", `{"eos_token_id": 7}`, `{"eos_token_id": 8}`, Settings{EOS: "<|eos|>"}, []int32{7}},
		{"several", `{"eos_token_id": [7, 9]}`, "", Settings{}, []int32{7, 9}},
		{"config.json", `{}`, `{"eos_token_id": 8}`, Settings{EOS: "<|eos|>"}, []int32{8}},
		{"null", `{"eos_token_id": null}`, `{"eos_token_id": null}`, Settings{EOS: "<|eos|>"}, []int32{1}},
		{"the tokenizer's", "", "", Settings{EOS: "<|eos|>"}, []int32{1}},
		{"none", "", "", Settings{EOS: "<nothing>"}, nil},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"generation_config.json": c.generation, "config.json": c.config} {
			if text != "" {
				put(t, filepath.Join(dir, name), text)
			}
		}
		got, err := LoadStops(&Files{Dirs: []string{dir}}, tok, &c.settings)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, got, c.name)
	}
	dir := t.TempDir()
	put(t, filepath.Join(dir, "config.json"), `{"eos_token_id": "x"}`)
	_, err := LoadStops(&Files{Dirs: []string{dir}}, tok, &Settings{})
	require.ErrorContains(t, err, "config.json: ")
	require.True(t, strings.HasPrefix(err.Error(), dir))
}
