package hf

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/ortscore/ortscore/io/regular"
)

// Config holds what is used of config.json and genai_config.json. A number that
// neither gives is 0.
type Config struct {
	Path         string // the file that was read; "" where there was none
	Architecture string
	Layers       int
	Heads        int
	KVHeads      int
	HeadDim      int
	Vocab        int
	Context      int  // tokens
	Unbounded    bool // the architecture bounds no text's length; Context is 0 then
	// Windows are lengths beyond which a token looks at fewer others, or the rotation's
	// factors change.
	Windows []int
	// NotCausal says why this is no causal language model; "" where it may be one.
	NotCausal string
}

// configFile is config.json as transformers writes it. Architectures from before
// its names were settled have names of their own for the same numbers.
type configFile struct {
	Architectures []string `json:"architectures"`
	ModelType     string   `json:"model_type"`

	HiddenSize whole `json:"hidden_size"`
	NEmbd      whole `json:"n_embd"`
	DModel     whole `json:"d_model"`
	NEmbed     whole `json:"n_embed"` // BLOOM

	Layers    whole `json:"num_hidden_layers"`
	NLayer    whole `json:"n_layer"`
	NLayers   whole `json:"n_layers"`
	NumLayers whole `json:"num_layers"`

	Heads          whole `json:"num_attention_heads"`
	NHead          whole `json:"n_head"`
	NHeads         whole `json:"n_heads"`
	NumHeads       whole `json:"num_heads"`
	AttentionHeads whole `json:"attention_heads"` // XGLM

	KVHeads    whole       `json:"num_key_value_heads"`
	NumKVHeads whole       `json:"num_kv_heads"` // Falcon
	NHeadKV    whole       `json:"n_head_kv"`
	MultiQuery maybe[bool] `json:"multi_query"`              // one head of keys and values ...
	NewDecoder maybe[bool] `json:"new_decoder_architecture"` // ... but not in Falcon's second form

	HeadDim whole `json:"head_dim"`
	Vocab   whole `json:"vocab_size"`

	Context           whole `json:"max_position_embeddings"`
	NPositions        whole `json:"n_positions"` // GPT-2, GPT-J, CodeGen, GPTBigCode
	MaxSeqLen         whole `json:"max_seq_len"` // MPT, DBRX
	SeqLength         whole `json:"seq_length"`  // ChatGLM, Qwen, BLOOM
	NCtx              whole `json:"n_ctx"`       // GPT-2, CTRL
	MaxSequenceLength whole `json:"max_sequence_length"`
	MaxContextLength  whole `json:"max_context_length"` // OpenELM
	ContextLength     whole `json:"context_length"`     // RWKV
	ModelMaxLength    whole `json:"model_max_length"`   // Baichuan
	Window            whole `json:"sliding_window"`
	LocalWindow       whole `json:"window_size"` // GPT-Neo
	ChunkSize         whole `json:"attention_chunk_size"`
	Original          whole `json:"original_max_position_embeddings"`

	RopeScaling      maybe[scaling]         `json:"rope_scaling"`
	RopeParameters   maybe[scaling]         `json:"rope_parameters"` // the same, from transformers 5 on
	Alibi            maybe[bool]            `json:"alibi"`
	AttentionConfig  maybe[attentionConfig] `json:"attn_config"` // MPT, DBRX
	IsDecoder        maybe[bool]            `json:"is_decoder"`
	IsEncoderDecoder maybe[bool]            `json:"is_encoder_decoder"`
	Causal           maybe[bool]            `json:"causal"` // XLM

	Vision json.RawMessage `json:"vision_config"`
	Audio  json.RawMessage `json:"audio_config"`
	// Multimodal models keep the decoder's numbers here.
	Text     json.RawMessage `json:"text_config"`
	LLM      json.RawMessage `json:"llm_config"`
	Language json.RawMessage `json:"language_config"`
	Thinker  json.RawMessage `json:"thinker_config"`
	text     *configFile     // the one that was found, itself where there is none
}

type attentionConfig struct {
	Alibi   maybe[bool] `json:"alibi"`
	KVHeads whole       `json:"kv_n_heads"`
}

// maybe is a value of a type, or of another, which is as good as none: some of the
// names mean something else in some architectures.
type maybe[T any] struct{ value T }

func (m *maybe[T]) UnmarshalJSON(data []byte) error {
	var v T
	if json.Unmarshal(data, &v) == nil {
		m.value = v
	}
	return nil
}

// whole is a number of things. Null, a list (some architectures have numbers for
// each layer) and what else is no whole number is as good as none.
type whole int

func (w *whole) UnmarshalJSON(data []byte) error {
	var f maybe[float64]
	_ = f.UnmarshalJSON(data)
	if v := f.value; v == math.Trunc(v) && v > 0 && v <= math.MaxInt32 {
		*w = whole(v)
	}
	return nil
}

// scaling is how a model stretches its rotation.
type scaling struct {
	Type     string  `json:"rope_type"`
	OldType  string  `json:"type"`
	Factor   float64 `json:"factor"`
	Original whole   `json:"original_max_position_embeddings"`
}

// genaiFile is genai_config.json as onnxruntime-genai's model builder writes it.
type genaiFile struct {
	Model struct {
		Type    string          `json:"type"`
		Context whole           `json:"context_length"`
		Vocab   whole           `json:"vocab_size"`
		Encoder json.RawMessage `json:"encoder"`
		Decoder struct {
			Layers  whole `json:"num_hidden_layers"`
			Heads   whole `json:"num_attention_heads"`
			KVHeads whole `json:"num_key_value_heads"`
			HeadDim whole `json:"head_size"`
		} `json:"decoder"`
	} `json:"model"`
}

// LoadConfig reads the model's configuration from the first of dirs that holds
// one; beside one another, config.json goes before genai_config.json, which may
// still know the context where that does not. Without any it returns an empty
// Config: the graph itself tells the rest.
func LoadConfig(dirs []string) (*Config, error) {
	for _, dir := range dirs {
		var found *Config
		for _, name := range []string{"config.json", "genai_config.json"} {
			c, err := loadConfig(dir, name)
			switch {
			case err != nil:
				return nil, err
			case found == nil:
				found = c
			case c != nil && found.Context == 0:
				found.Context, found.Unbounded = c.Context, found.Unbounded && c.Context == 0
			}
		}
		if found != nil {
			return found, nil
		}
	}
	return &Config{}, nil
}

// loadConfig returns nil where the folder has no file of that name.
func loadConfig(dir, name string) (*Config, error) {
	path, err := find([]string{dir}, name)
	if err != nil || path == "" {
		return nil, err
	}
	data, err := regular.Read(path, regular.Small)
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(data, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.Path = path
	return c, nil
}

func parseConfig(data []byte, name string) (*Config, error) {
	if name == "genai_config.json" {
		var f genaiFile
		if err := json.Unmarshal(data, &f); err != nil {
			return nil, err
		}
		return f.config(), nil
	}
	var f configFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	f.findText()
	c := f.config()
	c.NotCausal = f.notCausal()
	return c, nil
}

func (f *genaiFile) config() *Config {
	m, d := f.Model, f.Model.Decoder
	return &Config{Architecture: m.Type, Layers: int(d.Layers), Heads: int(d.Heads), KVHeads: int(d.KVHeads),
		HeadDim: int(d.HeadDim), Vocab: int(m.Vocab), Context: int(m.Context), NotCausal: f.notCausal()}
}

// maxParts bounds the parts inside one another: each is read by itself.
const maxParts = 4

// findText finds the part of the file that is the language model's.
func (f *configFile) findText() {
	f.text = f
	for range maxParts {
		var part *configFile
		for _, raw := range []json.RawMessage{f.text.Text, f.text.LLM, f.text.Language, f.text.Thinker} {
			var p maybe[*configFile]
			if _ = p.UnmarshalJSON(raw); part == nil {
				part = p.value
			}
		}
		if part == nil {
			return
		}
		f.text = part
	}
}

func (f *configFile) config() *Config {
	top := f
	f = f.text
	c := &Config{
		Architecture: f.ModelType,
		Layers:       int(cmp.Or(f.Layers, f.NLayer, f.NLayers, f.NumLayers)),
		Heads:        int(cmp.Or(f.Heads, f.NHead, f.NHeads, f.NumHeads, f.AttentionHeads)),
		HeadDim:      int(f.HeadDim),
		Vocab:        int(cmp.Or(f.Vocab, top.Vocab)),
		Context:      cmp.Or(f.context(), top.context()),
	}
	if len(f.Architectures) > 0 {
		c.Architecture = f.Architectures[0]
	}
	c.KVHeads = cmp.Or(f.kvHeads(), c.Heads)
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = int(cmp.Or(f.HiddenSize, f.NEmbd, f.DModel, f.NEmbed)) / c.Heads
	}
	c.Windows = f.windows()
	// ALiBi knows distances, and no positions.
	c.Unbounded = c.Context == 0 && (f.Alibi.value || f.AttentionConfig.value.Alibi.value || f.ModelType == "bloom")
	return c
}

func (f *configFile) kvHeads() int {
	if f.MultiQuery.value && !f.NewDecoder.value {
		return 1
	}
	return int(cmp.Or(f.KVHeads, f.NumKVHeads, f.NHeadKV, f.AttentionConfig.value.KVHeads))
}

// context returns the tokens that a text may have, 0 where the file does not tell.
func (f *configFile) context() int {
	known := cmp.Or(f.Context, f.NPositions, f.MaxSeqLen, f.SeqLength, f.NCtx,
		f.MaxSequenceLength, f.MaxContextLength, f.ContextLength, f.ModelMaxLength)
	return max(int(known), f.RopeScaling.value.yarn(), f.RopeParameters.value.yarn())
}

// yarn returns the tokens to which YaRN stretches a context, 0 for other
// settings. Qwen's files keep what the context was in max_position_embeddings. Of
// linear scaling, some files have the product there already, so it is left alone.
func (s scaling) yarn() int {
	tokens := s.Factor * float64(s.Original)
	if cmp.Or(s.Type, s.OldType) == "yarn" && tokens > 0 && tokens <= math.MaxInt32 {
		return int(tokens)
	}
	return 0
}

func (f *configFile) windows() (windows []int) {
	for _, n := range []whole{f.Window, f.LocalWindow, f.ChunkSize, f.Original, f.RopeScaling.value.Original, f.RopeParameters.value.Original} {
		if n > 0 {
			windows = append(windows, int(n))
		}
	}
	return windows
}

// find returns the path of name in the first of dirs that has it, "" in none.
func find(dirs []string, name string) (string, error) {
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}
