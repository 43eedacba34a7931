package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ortscore/ortscore/io/regular"
)

// Config holds what is used of config.json, or of genai_config.json where there
// is no config.json. A number that the file does not give is 0.
type Config struct {
	Path         string // the file that was read; "" where there was none
	Architecture string
	Layers       int
	Heads        int
	KVHeads      int
	HeadDim      int
	Vocab        int
	Context      int // tokens
	// Windows are lengths beyond which a token looks at fewer others, or the rotation's
	// factors change.
	Windows []int
}

// configFile is config.json as transformers writes it.
type configFile struct {
	Architectures []string    `json:"architectures"`
	ModelType     string      `json:"model_type"`
	HiddenSize    int         `json:"hidden_size"`
	Layers        int         `json:"num_hidden_layers"`
	Heads         int         `json:"num_attention_heads"`
	KVHeads       int         `json:"num_key_value_heads"`
	HeadDim       int         `json:"head_dim"`
	Vocab         int         `json:"vocab_size"`
	Context       int         `json:"max_position_embeddings"`
	Window        *int        `json:"sliding_window"`
	LocalWindow   *int        `json:"window_size"` // GPT-Neo
	ChunkSize     *int        `json:"attention_chunk_size"`
	Original      *int        `json:"original_max_position_embeddings"`
	Scaling       *scaling    `json:"rope_scaling"`
	Parameters    *scaling    `json:"rope_parameters"` // the name in transformers 5
	Text          *configFile `json:"text_config"`     // multimodal models keep the decoder's numbers here
}

// scaling is how a model stretches its rotation.
type scaling struct {
	Original *int `json:"original_max_position_embeddings"`
}

// genaiFile is genai_config.json as onnxruntime-genai's model builder writes it.
type genaiFile struct {
	Model struct {
		Type    string `json:"type"`
		Context int    `json:"context_length"`
		Vocab   int    `json:"vocab_size"`
		Decoder struct {
			Layers  int `json:"num_hidden_layers"`
			Heads   int `json:"num_attention_heads"`
			KVHeads int `json:"num_key_value_heads"`
			HeadDim int `json:"head_size"`
		} `json:"decoder"`
	} `json:"model"`
}

// LoadConfig reads the model's configuration from the first of dirs that holds
// one; beside one another, config.json goes before genai_config.json. Without
// any it returns an empty Config: the graph itself tells the rest.
func LoadConfig(dirs []string) (*Config, error) {
	for _, dir := range dirs {
		for _, name := range []string{"config.json", "genai_config.json"} {
			path, err := find([]string{dir}, name)
			if err != nil {
				return nil, err
			}
			if path == "" {
				continue
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
	}
	return &Config{}, nil
}

func parseConfig(data []byte, name string) (*Config, error) {
	if name == "genai_config.json" {
		var f genaiFile
		if err := json.Unmarshal(data, &f); err != nil {
			return nil, err
		}
		d := f.Model.Decoder
		return &Config{Architecture: f.Model.Type, Layers: d.Layers, Heads: d.Heads, KVHeads: d.KVHeads,
			HeadDim: d.HeadDim, Vocab: f.Model.Vocab, Context: f.Model.Context}, nil
	}
	var f configFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	return f.config(), nil
}

func (f *configFile) config() *Config {
	if f.Text != nil {
		f = f.Text
	}
	c := &Config{Architecture: f.ModelType, Layers: f.Layers, Heads: f.Heads, KVHeads: f.KVHeads,
		HeadDim: f.HeadDim, Vocab: f.Vocab, Context: f.Context}
	if len(f.Architectures) > 0 {
		c.Architecture = f.Architectures[0]
	}
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = f.HiddenSize / c.Heads
	}
	c.Windows = f.windows()
	return c
}

func (f *configFile) windows() (windows []int) {
	found := []*int{f.Window, f.LocalWindow, f.ChunkSize, f.Original}
	for _, s := range []*scaling{f.Scaling, f.Parameters} {
		if s != nil {
			found = append(found, s.Original)
		}
	}
	for _, n := range found {
		if n != nil && *n > 0 {
			windows = append(windows, *n)
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
