package hf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		{"gpt2", "config.json", `{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257}`,
			Config{Architecture: "GPT2LMHeadModel", Layers: 12, Heads: 12, KVHeads: 12, HeadDim: 64, Vocab: 50257, Context: 1024}},
		{"gptj", "config.json", `{"model_type": "gptj", "n_embd": 64, "n_head": 4, "n_layer": 2, "n_positions": 2048, "rotary_dim": 8}`,
			Config{Architecture: "gptj", Layers: 2, Heads: 4, KVHeads: 4, HeadDim: 16, Context: 2048}},
		{"codegen, of n_ctx alone", "config.json", `{"model_type": "codegen", "n_ctx": 2048}`, Config{Architecture: "codegen", Context: 2048}},
		{"gpt_bigcode", "config.json", `{"model_type": "gpt_bigcode", "multi_query": true, "n_embd": 64, "n_head": 4, "n_layer": 2, "n_positions": 8192}`,
			Config{Architecture: "gpt_bigcode", Layers: 2, Heads: 4, KVHeads: 1, HeadDim: 16, Context: 8192}},
		{"mpt", "config.json", `{"model_type": "mpt", "d_model": 64, "n_heads": 4, "n_layers": 2, "max_seq_len": 2048, "attn_config": {"alibi": true, "model_type": ""}}`,
			Config{Architecture: "mpt", Layers: 2, Heads: 4, KVHeads: 4, HeadDim: 16, Context: 2048}},
		{"dbrx", "config.json", `{"model_type": "dbrx", "d_model": 64, "n_heads": 4, "n_layers": 2, "max_seq_len": 32768, "attn_config": {"kv_n_heads": 2, "clip_qkv": 8}}`,
			Config{Architecture: "dbrx", Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16, Context: 32768}},
		{"bloom", "config.json", `{"architectures": ["BloomForCausalLM"], "model_type": "bloom", "hidden_size": 64, "n_head": 4, "n_layer": 2}`,
			Config{Architecture: "BloomForCausalLM", Layers: 2, Heads: 4, KVHeads: 4, HeadDim: 16, Unbounded: true}},
		{"bloom with its training's length", "config.json", `{"model_type": "bloom", "n_embed": 64, "num_attention_heads": 4, "seq_length": 2048}`,
			Config{Architecture: "bloom", Heads: 4, KVHeads: 4, HeadDim: 16, Context: 2048}},
		{"falcon", "config.json", `{"model_type": "falcon", "alibi": false, "multi_query": true, "new_decoder_architecture": false, "num_attention_heads": 71, "num_kv_heads": 71, "hidden_size": 4544, "max_position_embeddings": 2048}`,
			Config{Architecture: "falcon", Heads: 71, KVHeads: 1, HeadDim: 64, Context: 2048}},
		{"falcon's second form", "config.json", `{"model_type": "falcon", "multi_query": true, "new_decoder_architecture": true, "num_attention_heads": 128, "num_kv_heads": 8, "hidden_size": 8192}`,
			Config{Architecture: "falcon", Heads: 128, KVHeads: 8, HeadDim: 64}},
		{"falcon with alibi", "config.json", `{"model_type": "falcon", "alibi": true, "n_head": 4, "n_layer": 2, "hidden_size": 64}`,
			Config{Architecture: "falcon", Layers: 2, Heads: 4, KVHeads: 4, HeadDim: 16, Unbounded: true}},
		{"gpt_neo", "config.json", `{"model_type": "gpt_neo", "hidden_size": 64, "num_heads": 4, "num_layers": 2, "max_position_embeddings": 2048}`,
			Config{Architecture: "gpt_neo", Layers: 2, Heads: 4, KVHeads: 4, HeadDim: 16, Context: 2048}},
		{"xglm", "config.json", `{"model_type": "xglm", "d_model": 64, "attention_heads": 4, "num_layers": 2, "max_position_embeddings": 2048}`,
			Config{Architecture: "xglm", Layers: 2, Heads: 4, KVHeads: 4, HeadDim: 16, Context: 2048}},
		{"qwen", "config.json", `{"model_type": "qwen", "seq_length": 8192}`, Config{Architecture: "qwen", Context: 8192}},
		{"baichuan", "config.json", `{"model_type": "baichuan", "model_max_length": 4096}`, Config{Architecture: "baichuan", Context: 4096}},
		{"numbers for each layer", "config.json", `{"model_type": "openelm", "num_query_heads": [12, 16], "num_kv_heads": [3, 4], "num_attention_heads": [12], "max_context_length": 2048}`,
			Config{Architecture: "openelm", Context: 2048}},
		{"yarn", "config.json", `{"model_type": "qwen2", "max_position_embeddings": 32768, "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"}}`,
			Config{Architecture: "qwen2", Context: 131072, Windows: []int{32768}}},
		{"yarn that is in the context already", "config.json", `{"max_position_embeddings": 163840, "rope_parameters": {"factor": 40, "original_max_position_embeddings": 4096, "rope_type": "yarn"}}`,
			Config{Context: 163840, Windows: []int{4096}}},
		{"longrope", "config.json", `{"max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rope_scaling": {"type": "longrope", "short_factor": [1]}}`,
			Config{Context: 131072, Windows: []int{4096}}},
		{"scaling by a factor", "config.json", `{"max_position_embeddings": 16384, "rope_scaling": {"type": "linear", "factor": 4}}`, Config{Context: 16384}},
		{"words for numbers", "config.json", `{"vocab_size": "many", "max_position_embeddings": -1, "head_dim": 1.5, "n_positions": 1024.0, "alibi": "no", "attn_config": 3, "llm_config": "x"}`,
			Config{Context: 1024}},
		{"a part of another name", "config.json", `{"model_type": "internvl_chat", "llm_config": {"model_type": "qwen2", "max_position_embeddings": 32768}}`,
			Config{Architecture: "qwen2", Context: 32768}},
		{"a part of a part", "config.json", `{"thinker_config": {"text_config": {"model_type": "qwen2", "max_position_embeddings": 32768}}}`,
			Config{Architecture: "qwen2", Context: 32768}},
		{"a part without the context", "config.json", `{"model_type": "kosmos", "vision_config": {}, "max_position_embeddings": 2048, "text_config": {"model_type": "x"}}`,
			Config{Architecture: "x", Context: 2048}},
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

// What config.json does not tell, genai_config.json beside it may.
func TestLoadConfigContextFromGenAI(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "config.json"), `{"model_type": "some"}`)
	put(t, filepath.Join(dir, "genai_config.json"), `{"model": {"type": "other", "context_length": 4096}}`)
	got, err := LoadConfig([]string{dir})
	require.NoError(t, err)
	require.Equal(t, &Config{Path: filepath.Join(dir, "config.json"), Architecture: "some", Context: 4096}, got)
}

func TestNotCausal(t *testing.T) {
	const want = "want a causal language model, got "
	const encoder, both, other = ": an encoder, whose tokens see those after them", ": an encoder-decoder, whose decoder needs what its encoder gives",
		": a model for another task, which gives no logits of words"
	for text, want := range map[string]string{
		`{"architectures": ["DistilBertForMaskedLM"], "model_type": "distilbert"}`:                              want + "DistilBertForMaskedLM" + encoder,
		`{"architectures": ["SomeForMaskedLM"]}`:                                                                want + "SomeForMaskedLM" + encoder,
		`{"architectures": ["BertModel"], "model_type": "bert"}`:                                                want + "BertModel" + encoder,
		`{"model_type": "electra"}`:                                                                             want + "electra" + encoder,
		`{"architectures": ["ElectraForPreTraining"], "model_type": "electra"}`:                                 want + "ElectraForPreTraining" + encoder,
		`{"architectures": ["RobertaForCausalLM"], "model_type": "roberta"}`:                                    want + "RobertaForCausalLM" + encoder,
		`{"architectures": ["XLNetLMHeadModel"], "model_type": "xlnet"}`:                                        want + "XLNetLMHeadModel" + encoder,
		`{"architectures": ["BertForQuestionAnswering"], "model_type": "bert"}`:                                 want + "BertForQuestionAnswering" + encoder,
		`{"architectures": ["LlamaForSequenceClassification"], "model_type": "llama"}`:                          want + "LlamaForSequenceClassification" + other,
		`{"architectures": ["GPT2ForTokenClassification"], "model_type": "gpt2"}`:                               want + "GPT2ForTokenClassification" + other,
		`{"architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "is_encoder_decoder": true}`:     want + "T5ForConditionalGeneration" + both,
		`{"architectures": ["T5ForConditionalGeneration"], "model_type": "t5"}`:                                 want + "T5ForConditionalGeneration" + both,
		`{"architectures": ["SomeForConditionalGeneration"]}`:                                                   want + "SomeForConditionalGeneration" + both,
		`{"architectures": ["SomeModel"], "is_encoder_decoder": true}`:                                          want + "SomeModel" + both,
		`{"architectures": ["BartModel"], "model_type": "bart"}`:                                                want + "BartModel" + both,
		`{"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"}`:                       want + "WhisperForConditionalGeneration" + both,
		`{"architectures": ["Blip2ForConditionalGeneration"], "text_config": {"model_type": "t5"}}`:             want + "Blip2ForConditionalGeneration" + both,
		`{"architectures": ["LLaDAModelLM"], "model_type": "llada"}`:                                            want + "LLaDAModelLM: a diffusion model, whose tokens see those after them",
		`{"architectures": ["LlamaForCausalLM"], "model_type": "llama"}`:                                        "",
		`{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}`:                                          "",
		`{"architectures": ["OpenAIGPTLMHeadModel"], "model_type": "openai-gpt"}`:                               "",
		`{"architectures": ["ChatGLMModel"], "model_type": "chatglm"}`:                                          "",
		`{"architectures": ["ChatGLMForConditionalGeneration"], "model_type": "chatglm"}`:                       "",
		`{"architectures": ["BertLMHeadModel"], "model_type": "bert", "is_decoder": true}`:                      "",
		`{"architectures": ["BartForCausalLM"], "model_type": "bart", "is_decoder": true}`:                      "",
		`{"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"model_type": "gemma3_text"}}`:   "",
		`{"architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl", "vision_config": {}}`: "",
		`{"architectures": ["Qwen2AudioForConditionalGeneration"], "audio_config": {}, "text_config": {}}`:      "",
		`{"architectures": ["ModernBertDecoderForCausalLM"], "model_type": "modernbert-decoder"}`:               "",
		`{}`:                      "",
		`{"model_type": "llama"}`: "",
	} {
		path := filepath.Join(t.TempDir(), "config.json")
		put(t, path, text)
		got, err := LoadConfig([]string{filepath.Dir(path)})
		require.NoError(t, err)
		require.Equal(t, want, got.NotCausal, text)
	}

	for text, want := range map[string]string{
		`{"model": {"type": "whisper", "encoder": {"filename": "encoder.onnx"}, "decoder": {}}}`: want + "whisper" + both,
		`{"model": {"type": "marian-ssru"}}`:                                                     want + "marian-ssru" + both,
		`{"model": {"type": "phi3v", "vision": {}, "encoder": null}}`:                            "",
	} {
		path := filepath.Join(t.TempDir(), "genai_config.json")
		put(t, path, text)
		got, err := LoadConfig([]string{filepath.Dir(path)})
		require.NoError(t, err)
		require.Equal(t, want, got.NotCausal, text)
	}
}

// Parts inside one another are read in time that their number does not square.
func TestLoadConfigBomb(t *testing.T) {
	const depth = 9000 // encoding/json itself ends at 10,000
	path := filepath.Join(t.TempDir(), "config.json")
	put(t, path, strings.Repeat(`{"llm_config":`, depth)+`"`+strings.Repeat("x", 8<<20)+`"`+strings.Repeat("}", depth))
	start := time.Now()
	_, err := LoadConfig([]string{filepath.Dir(path)})
	require.NoError(t, err)
	require.Less(t, time.Since(start), 10*time.Second)
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
	put(t, path, `{"architectures": "many"}`)
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
	none, both := map[string]string{}, map[string]string{"bos_token": "<s>", "eos_token": "</s>"}
	for _, c := range []struct {
		name, text string
		jinja      bool
		want       func(dir, config string) Settings
	}{
		{"words", `{"bos_token": "<s>", "eos_token": "</s>", "add_bos_token": false, "chat_template": "{{ x }}"}`, false,
			func(_, config string) Settings {
				return Settings{BOS: "<s>", EOS: "</s>", ChatTemplate: config, ChatSource: "{{ x }}", Special: both}
			}},
		{"objects", `{"bos_token": {"__type": "AddedToken", "content": "<s>", "special": true}, "eos_token": {"content": "</s>"}, "add_bos_token": true}`, false,
			func(string, string) Settings { return Settings{BOS: "<s>", EOS: "</s>", Special: both} }},
		{"nulls", `{"bos_token": null, "eos_token": null, "add_bos_token": null, "chat_template": null}`, false,
			func(string, string) Settings { return Settings{Special: none} }},
		{"several templates", `{"chat_template": [{"name": "default", "template": "{{ x }}"}]}`, false,
			func(_, config string) Settings {
				return Settings{ChatTemplate: config, ChatSource: "{{ x }}", Special: none}
			}},
		{"a template's own file goes first", `{"chat_template": "{{ x }}"}`, true,
			func(dir, _ string) Settings {
				return Settings{ChatTemplate: filepath.Join(dir, "chat_template.jinja"), ChatSource: "{{ y }}", Special: none}
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			config := filepath.Join(dir, "tokenizer_config.json")
			put(t, config, c.text)
			if c.jinja {
				put(t, filepath.Join(dir, "chat_template.jinja"), "{{ y }}")
			}
			got, err := LoadSettings(&Files{Tokenizer: filepath.Join(dir, "tokenizer.json")})
			require.NoError(t, err)
			want := c.want(dir, config)
			got.bos = bosSettings{} // TestBOS... look at what it does
			require.Equal(t, &want, got)
		})
	}
}

func TestLoadSettingsElsewhere(t *testing.T) {
	got, err := LoadSettings(&Files{Tokenizer: filepath.Join(t.TempDir(), "tokenizer.json")})
	require.NoError(t, err)
	require.Equal(t, &Settings{Special: map[string]string{}}, got, "no file, no settings")

	model := t.TempDir()
	put(t, filepath.Join(model, "tokenizer_config.json"), `{"eos_token": "</s>"}`)
	got, err = LoadSettings(&Files{Tokenizer: filepath.Join(t.TempDir(), "tokenizer.json"), Dirs: []string{model}})
	require.NoError(t, err)
	require.Equal(t, "</s>", got.EOS)

	for _, text := range []string{`{"bos_token": 7}`, `{`, `{"add_bos_token": "yes"}`} {
		put(t, filepath.Join(model, "tokenizer_config.json"), text)
		_, err = LoadSettings(&Files{Tokenizer: filepath.Join(model, "tokenizer.json")})
		require.ErrorContains(t, err, "tokenizer_config.json: ")
	}
	put(t, filepath.Join(model, "file"), "")
	_, err = LoadSettings(&Files{Tokenizer: filepath.Join(model, "file", "tokenizer.json")})
	require.ErrorContains(t, err, "not a directory")
}
