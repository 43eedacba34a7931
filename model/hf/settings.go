package hf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Settings is what is used of tokenizer_config.json, and what in it speaks
// against tokenizer.json.
type Settings struct {
	BOS, EOS     string // "" where there is none
	ChatTemplate string // the file that holds it; "" where there is none
	Notes        []string
}

// LoadSettings reads tokenizer_config.json beside the tokenizer, if there is one.
func LoadSettings(files *Files, tok *Tokenizer) (*Settings, error) {
	dirs := append([]string{filepath.Dir(files.Tokenizer)}, files.Dirs...)
	s := &Settings{}
	var err error
	if s.ChatTemplate, err = find(dirs, "chat_template.jinja"); err != nil {
		return nil, err
	}
	path, err := find(dirs, "tokenizer_config.json")
	if err != nil || path == "" {
		return s, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var f struct {
		BOS          token           `json:"bos_token"`
		EOS          token           `json:"eos_token"`
		AddBOS       *bool           `json:"add_bos_token"`
		ChatTemplate json.RawMessage `json:"chat_template"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.BOS, s.EOS = string(f.BOS), string(f.EOS)
	if s.ChatTemplate == "" && len(f.ChatTemplate) > 0 && string(f.ChatTemplate) != "null" {
		s.ChatTemplate = path
	}
	if adds := len(tok.Before) > 0; f.AddBOS != nil && *f.AddBOS != adds {
		s.Notes = append(s.Notes, fmt.Sprintf(
			"%s says add_bos_token %v, and tokenizer.json %s: ortscore follows tokenizer.json", path, *f.AddBOS,
			map[bool]string{true: "puts a token before every text", false: "puts none"}[adds]))
	}
	return s, nil
}

// token is a special token's text, written as a string or as an object with its
// content.
type token string

func (t *token) UnmarshalJSON(data []byte) error {
	var object struct{ Content string }
	if json.Unmarshal(data, &object) == nil {
		*t = token(object.Content)
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}
