package hf

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
