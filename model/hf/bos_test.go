package hf

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What transformers 4.57.6 puts before a text, for folders with these files; "-"
// is nothing. Asked of AutoTokenizer.from_pretrained by hand.
func TestBOSAsTransformers(t *testing.T) {
	for _, c := range []struct {
		class                           string
		plain, yes, no                  string // tokenizer.json without BOS: no add_bos_token, true, false
		before, beforeTrue, beforeFalse string // with
	}{
		{"LlamaTokenizerFast", "<s>", "<s>", "-", "<s>", "<s>", "-"},
		{"LlamaTokenizer", "<s>", "<s>", "-", "<s>", "<s>", "-"},
		{"CodeLlamaTokenizerFast", "<s>", "<s>", "-", "<s>", "<s>", "-"},
		{"GemmaTokenizerFast", "<s>", "<s>", "-", "<s>", "<s>", "-"},
		{"GemmaTokenizer", "<s>", "<s>", "-", "<s>", "<s>", "-"},
		{"CohereTokenizerFast", "<s>", "<s>", "-", "<s>", "<s>", "-"},
		{"GPTNeoXTokenizerFast", "-", "<s>", "-", "-", "<s>", "-"},
		{"PreTrainedTokenizerFast", "-", "-", "-", "<s>", "<s>", "<s>"},
		{"GPT2Tokenizer", "-", "-", "-", "<s>", "<s>", "<s>"},
		{"Qwen2TokenizerFast", "-", "-", "-", "<s>", "<s>", "<s>"},
		{"BloomTokenizerFast", "-", "-", "-", "<s>", "<s>", "<s>"},
	} {
		for i, want := range []string{c.plain, c.yes, c.no, c.before, c.beforeTrue, c.beforeFalse} {
			config := map[string]any{"tokenizer_class": c.class, "bos_token": "<s>"}
			if add := i % 3; add > 0 {
				config["add_bos_token"] = add == 1
			}
			got, settings := putBOS(t, i >= 3, config, nil, AutoBOS)
			require.Equal(t, want, got, "%v, tokenizer.json with BOS: %v", config, i >= 3)
			does := "-"
			if i >= 3 {
				does = "<s>"
			}
			add, said := config["add_bos_token"].(bool)
			require.Equal(t, want != does || said && add != (does == "<s>"), len(settings.Notes) == 1, "%v: %v", config, settings.Notes)
		}
	}
}

// putBOS returns what stands before a text.
func putBOS(t *testing.T, has bool, config, model map[string]any, choice BOS) (string, *Settings) {
	t.Helper()
	before, settings, err := tryBOS(t, has, config, model, choice)
	require.NoError(t, err)
	return before, settings
}

func tryBOS(t *testing.T, has bool, config, model map[string]any, choice BOS) (string, *Settings, error) {
	t.Helper()
	dir := t.TempDir()
	for name, fields := range map[string]map[string]any{"tokenizer_config.json": config, "config.json": model} {
		if fields != nil {
			data, err := json.Marshal(fields)
			require.NoError(t, err)
			put(t, filepath.Join(dir, name), string(data))
		}
	}
	patch := map[string]json.RawMessage{"post_processor": json.RawMessage("null")}
	if has {
		patch = nil
	}
	tok := load(t, metaspace, patch) // <s> is 1
	settings, err := LoadSettings(&Files{Tokenizer: filepath.Join(dir, "tokenizer.json"), Dirs: []string{dir}})
	require.NoError(t, err)
	if err := settings.PutBOS(tok, choice); err != nil {
		return "", settings, err
	}
	with, err := tok.Encode("the sea", true)
	require.NoError(t, err)
	without, err := tok.Encode("the sea", false)
	require.NoError(t, err)
	n := len(with.IDs) - len(without.IDs)
	require.Equal(t, without.IDs, with.IDs[n:])
	require.Equal(t, without.Offsets, with.Offsets[n:])
	switch n {
	case 0:
		return "-", settings, nil
	case 1:
		require.Zero(t, with.Offsets[0])
		text, err := tok.Decode(with.IDs[:1])
		require.NoError(t, err)
		return text, settings, nil
	}
	return fmt.Sprint(with.IDs[:n]), settings, nil
}

func TestBOSByTheModelsType(t *testing.T) {
	for kind, want := range map[string]string{"llama": "<s>", "mistral": "<s>", "gemma2": "<s>", "cohere": "<s>", "gpt_neox": "-", "qwen2": "-", "gpt2": "-", "unheard_of": "-"} {
		got, _ := putBOS(t, false, map[string]any{"bos_token": "<s>"}, map[string]any{"model_type": kind}, AutoBOS)
		require.Equal(t, want, got, kind)
	}
	got, _ := putBOS(t, false, nil, map[string]any{"model_type": "llama"}, AutoBOS)
	require.Equal(t, "<s>", got, "the class's own BOS")
	got, _ = putBOS(t, false, nil, map[string]any{"model_type": "llama", "tokenizer_class": "GPT2Tokenizer"}, AutoBOS)
	require.Equal(t, "-", got, "config.json's class goes before its type")
	got, settings := putBOS(t, false, nil, nil, AutoBOS)
	require.Equal(t, "-", got)
	require.Empty(t, settings.Notes)
}

func TestBOSWithoutItsToken(t *testing.T) {
	llama := func(more map[string]any) map[string]any {
		more["tokenizer_class"] = "LlamaTokenizerFast"
		return more
	}
	// No bos_token: the class's own is <s>.
	got, settings := putBOS(t, false, llama(map[string]any{"add_bos_token": true}), nil, AutoBOS)
	require.Equal(t, "<s>", got)
	require.Equal(t, "<s>", settings.Special["bos_token"], "chat templates see it too")
	// bos_token is null, or is no token: transformers cannot do it either.
	for _, bos := range []any{nil, "<begin>"} {
		got, settings = putBOS(t, false, llama(map[string]any{"add_bos_token": true, "bos_token": bos}), nil, AutoBOS)
		require.Equal(t, "-", got)
		require.Len(t, settings.Notes, 1)
		require.Contains(t, settings.Notes[0], "none is put")
	}
	// Another class's own BOS, which this tokenizer does not have.
	got, settings = putBOS(t, true, map[string]any{"tokenizer_class": "GemmaTokenizerFast"}, nil, AutoBOS)
	require.Equal(t, "<s>", got, "tokenizer.json's stays")
	require.Empty(t, settings.Notes)
	// Written by transformers 5, which keeps to tokenizer.json.
	got, _ = putBOS(t, false, llama(map[string]any{"backend": "tokenizers", "bos_token": "<s>"}), nil, AutoBOS)
	require.Equal(t, "-", got)
	// add_eos_token changes nothing: no EOS is put behind a text.
	got, _ = putBOS(t, false, llama(map[string]any{"add_eos_token": true, "bos_token": "<s>"}), nil, AutoBOS)
	require.Equal(t, "<s>", got)
}

func TestBOSByFlag(t *testing.T) {
	generic := map[string]any{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"}
	for _, c := range []struct {
		has    bool
		choice BOS
		want   string
	}{{false, AlwaysBOS, "<s>"}, {true, AlwaysBOS, "<s>"}, {false, NeverBOS, "-"}, {true, NeverBOS, "-"}, {false, AutoBOS, "-"}, {true, AutoBOS, "<s>"}} {
		got, settings := putBOS(t, c.has, generic, nil, c.choice)
		require.Equal(t, c.want, got, "%+v", c)
		require.Empty(t, settings.Notes, "%+v", c)
	}
	_, _, err := tryBOS(t, false, map[string]any{"tokenizer_class": "PreTrainedTokenizerFast"}, nil, AlwaysBOS)
	require.EqualError(t, err, "want bos_token in tokenizer_config.json, got none")
	_, _, err = tryBOS(t, false, map[string]any{"bos_token": "<begin>"}, nil, AlwaysBOS)
	require.EqualError(t, err, "want the token <begin>, which begins a text, in tokenizer.json, got none")
}

func TestBOSOfOlderFolders(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "special_tokens_map.json"), `{"bos_token": {"content": "<s>"}}`)
	s, err := LoadSettings(&Files{Tokenizer: filepath.Join(dir, "tokenizer.json")})
	require.NoError(t, err)
	require.Equal(t, "<s>", s.BOS)
	put(t, filepath.Join(dir, "special_tokens_map.json"), `{`)
	_, err = LoadSettings(&Files{Tokenizer: filepath.Join(dir, "tokenizer.json")})
	require.ErrorContains(t, err, "special_tokens_map.json: ")
	put(t, filepath.Join(dir, "special_tokens_map.json"), `{}`)
	put(t, filepath.Join(dir, "config.json"), `[]`)
	_, err = LoadSettings(&Files{Tokenizer: filepath.Join(dir, "tokenizer.json"), Dirs: []string{dir}})
	require.ErrorContains(t, err, "config.json: ")
}
