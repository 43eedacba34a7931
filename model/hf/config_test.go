package hf

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func TestLoadConfig(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             Config
	}{
		{"llama", "config.json", `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576, "num_hidden_layers": 30,
			"num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152, "max_position_embeddings": 8192, "rope_theta": 1e5}`,
			Config{Architecture: "LlamaForCausalLM", Layers: 30, Heads: 9, KVHeads: 3, HeadDim: 64, Vocab: 49152, Context: 8192}},
		{"head_dim of its own", "config.json", `{"model_type": "qwen3", "hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128}`,
			Config{Architecture: "qwen3", Heads: 16, KVHeads: 8, HeadDim: 128}},
		{"no grouped heads", "config.json", `{"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": null}`,
			Config{Heads: 4, KVHeads: 4, HeadDim: 16}},
		{"multimodal", "config.json", `{"architectures": ["Gemma3ForConditionalGeneration"], "vocab_size": 7, "vision_config": {"hidden_size": 3},
			"text_config": {"model_type": "gemma3_text", "hidden_size": 640, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
			"num_hidden_layers": 18, "vocab_size": 262144, "max_position_embeddings": 32768}}`,
			Config{Architecture: "gemma3_text", Layers: 18, Heads: 4, KVHeads: 1, HeadDim: 256, Vocab: 262144, Context: 32768}},
		{"little", "config.json", `{}`, Config{}},
		{"genai", "genai_config.json", `{"model": {"type": "llama", "context_length": 131072, "vocab_size": 128256, "bos_token_id": 1,
			"decoder": {"num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_size": 64, "hidden_size": 2048}}}`,
			Config{Architecture: "llama", Layers: 16, Heads: 32, KVHeads: 8, HeadDim: 64, Vocab: 128256, Context: 131072}},
	} {
		path := filepath.Join(t.TempDir(), c.file)
		put(t, path, c.text)
		got, err := LoadConfig([]string{t.TempDir(), filepath.Dir(path)})
		require.NoError(t, err, c.name)
		c.want.Path = path
		require.Equal(t, &c.want, got, c.name)
	}

	got, err := LoadConfig([]string{t.TempDir(), "nowhere"})
	require.NoError(t, err)
	require.Equal(t, &Config{}, got, "without a file nothing is known")

	got, err = LoadConfig([]string{filepath.Join(root, tiny)})
	require.NoError(t, err)
	require.Equal(t, &Config{Path: filepath.Join(root, tiny, "config.json"), Architecture: "LlamaForCausalLM",
		Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16, Vocab: 512, Context: 512}, got)
}

// The nearest folder goes first, and in it config.json.
func TestLoadConfigOrder(t *testing.T) {
	dir := t.TempDir()
	up, in := filepath.Join(dir, "config.json"), filepath.Join(dir, "onnx", "genai_config.json")
	put(t, up, `{"model_type": "up"}`)
	put(t, in, `{"model": {"type": "in"}}`)
	dirs := []string{filepath.Dir(in), dir}
	got, err := LoadConfig(dirs)
	require.NoError(t, err)
	require.Equal(t, "in", got.Architecture)

	put(t, filepath.Join(dir, "onnx", "config.json"), `{"model_type": "beside"}`)
	got, err = LoadConfig(dirs)
	require.NoError(t, err)
	require.Equal(t, "beside", got.Architecture)
}

func TestLoadConfigRefuses(t *testing.T) {
	for _, file := range []string{"config.json", "genai_config.json"} {
		path := filepath.Join(t.TempDir(), file)
		put(t, path, `{"model_type": "llama"`)
		_, err := LoadConfig([]string{filepath.Dir(path)})
		require.EqualError(t, err, path+": unexpected end of JSON input")
	}
	path := filepath.Join(t.TempDir(), "config.json")
	put(t, path, `{"vocab_size": "many"}`)
	_, err := LoadConfig([]string{filepath.Dir(path)})
	require.ErrorContains(t, err, path+": json: cannot unmarshal string")

	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Mkdir(path, 0o755))
	_, err = LoadConfig([]string{filepath.Dir(path)})
	require.EqualError(t, err, path+": want a file, got a folder")

	put(t, filepath.Join(filepath.Dir(path), "file"), "")
	_, err = LoadConfig([]string{filepath.Join(filepath.Dir(path), "file")})
	require.ErrorContains(t, err, "not a directory")
}

func TestLoadSettings(t *testing.T) {
	plain, adds := load(t, tiny, nil), load(t, bosEOS, nil)
	note := func(path, says, does string) []string {
		return []string{path + " says add_bos_token " + says + ", and tokenizer.json " + does + ": ortscore follows tokenizer.json"}
	}
	const puts, putsNone = "puts a token before every text", "puts none"
	none, both := map[string]string{}, map[string]string{"bos_token": "<s>", "eos_token": "</s>"}
	for _, c := range []struct {
		name, text string
		jinja      bool
		tok        *Tokenizer
		want       func(dir, config string) Settings
	}{
		{"words", `{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false, "chat_template": "{{ x }}"}`, false, plain,
			func(_, config string) Settings {
				return Settings{BOS: "<s>", EOS: "</s>", ChatTemplate: config, ChatSource: "{{ x }}", Special: both}
			}},
		{"objects", `{"bos_token": {"__type": "AddedToken", "content": "<s>", "special": true}, "eos_token": {"content": "</s>"}, "add_bos_token": true}`, false, adds,
			func(string, string) Settings { return Settings{BOS: "<s>", EOS: "</s>", Special: both} }},
		{"nulls", `{"bos_token": null, "eos_token": null, "add_bos_token": null, "chat_template": null}`, false, adds,
			func(string, string) Settings { return Settings{Special: none} }},
		{"several templates", `{"chat_template": [{"name": "default", "template": "{{ x }}"}]}`, false, plain,
			func(_, config string) Settings {
				return Settings{ChatTemplate: config, ChatSource: "{{ x }}", Special: none}
			}},
		{"a template's own file goes first", `{"chat_template": "{{ x }}"}`, true, plain,
			func(dir, _ string) Settings {
				return Settings{ChatTemplate: filepath.Join(dir, "chat_template.jinja"), ChatSource: "{{ y }}", Special: none}
			}},
		{"wants BOS, gets none", `{"add_bos_token": true}`, false, plain,
			func(_, config string) Settings { return Settings{Special: none, Notes: note(config, "true", putsNone)} }},
		{"wants none, gets BOS", `{"add_bos_token": false}`, false, adds,
			func(_, config string) Settings { return Settings{Special: none, Notes: note(config, "false", puts)} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			config := filepath.Join(dir, "tokenizer_config.json")
			put(t, config, c.text)
			if c.jinja {
				put(t, filepath.Join(dir, "chat_template.jinja"), "{{ y }}")
			}
			got, err := LoadSettings(&Files{Tokenizer: filepath.Join(dir, "tokenizer.json")}, c.tok)
			require.NoError(t, err)
			want := c.want(dir, config)
			require.Equal(t, &want, got)
		})
	}
}

func TestLoadSettingsElsewhere(t *testing.T) {
	tok := load(t, tiny, nil)
	got, err := LoadSettings(&Files{Tokenizer: filepath.Join(t.TempDir(), "tokenizer.json")}, tok)
	require.NoError(t, err)
	require.Equal(t, &Settings{Special: map[string]string{}}, got, "no file, no settings")

	model := t.TempDir()
	put(t, filepath.Join(model, "tokenizer_config.json"), `{"eos_token": "</s>"}`)
	got, err = LoadSettings(&Files{Tokenizer: filepath.Join(t.TempDir(), "tokenizer.json"), Dirs: []string{model}}, tok)
	require.NoError(t, err)
	require.Equal(t, "</s>", got.EOS)

	for _, text := range []string{`{"bos_token": 7}`, `{`, `{"add_bos_token": "yes"}`} {
		put(t, filepath.Join(model, "tokenizer_config.json"), text)
		_, err = LoadSettings(&Files{Tokenizer: filepath.Join(model, "tokenizer.json")}, tok)
		require.ErrorContains(t, err, "tokenizer_config.json: ")
	}
	put(t, filepath.Join(model, "file"), "")
	_, err = LoadSettings(&Files{Tokenizer: filepath.Join(model, "file", "tokenizer.json")}, tok)
	require.ErrorContains(t, err, "not a directory")
}
