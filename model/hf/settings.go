package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ortscore/ortscore/io/regular"
)

// Settings is what is used of tokenizer_config.json.
type Settings struct {
	BOS, EOS     string            // "" where there is none
	ChatTemplate string            // the file that holds it; "" where there is none
	ChatSource   string            // the template itself
	Special      map[string]string // what a chat template is handed: "bos_token" and so on
	Notes        []string

	bos bosSettings
}

// LoadSettings reads tokenizer_config.json beside the tokenizer, if there is one.
func LoadSettings(files *Files) (*Settings, error) {
	dirs := files.TokenizerDirs()
	s := &Settings{Special: map[string]string{}}
	if err := s.readTokenizerConfig(dirs); err != nil {
		return nil, err
	}
	return s, s.readBOS(dirs, files.Dirs)
}

// readTokenizerConfig reads tokenizer_config.json and the chat template.
func (s *Settings) readTokenizerConfig(dirs []string) (err error) {
	if s.ChatTemplate, err = find(dirs, "chat_template.jinja"); err != nil {
		return err
	}
	if s.ChatTemplate != "" {
		source, err := regular.Read(s.ChatTemplate, regular.Small)
		if err != nil {
			return err
		}
		s.ChatSource = string(source)
	}
	path, err := find(dirs, "tokenizer_config.json")
	if err != nil || path == "" {
		return err
	}
	var f struct {
		BOS          json.RawMessage `json:"bos_token"`
		EOS          token           `json:"eos_token"`
		UNK          token           `json:"unk_token"`
		PAD          token           `json:"pad_token"`
		AddBOS       *bool           `json:"add_bos_token"`
		Class        string          `json:"tokenizer_class"`
		Backend      string          `json:"backend"` // which transformers 5 writes
		ChatTemplate json.RawMessage `json:"chat_template"`
	}
	if err := readJSON([]string{filepath.Dir(path)}, filepath.Base(path), &f); err != nil {
		return err
	}
	var bos token
	if f.BOS != nil {
		if err := json.Unmarshal(f.BOS, &bos); err != nil {
			return fmt.Errorf("%s: bos_token: %w", path, err)
		}
	}
	s.BOS, s.EOS = string(bos), string(f.EOS)
	s.bos = bosSettings{path: path, class: f.Class, addBOS: f.AddBOS, none: string(f.BOS) == "null", saved5: f.Backend != ""}
	for name, t := range map[string]token{"bos_token": bos, "eos_token": f.EOS, "unk_token": f.UNK, "pad_token": f.PAD} {
		if t != "" {
			s.Special[name] = string(t)
		}
	}
	if s.ChatTemplate == "" && len(f.ChatTemplate) > 0 && string(f.ChatTemplate) != "null" {
		s.ChatTemplate = path
		if s.ChatSource, err = defaultTemplate(f.ChatTemplate); err != nil {
			return fmt.Errorf("%s: chat_template: %w", path, err)
		}
	}
	return nil
}

// defaultTemplate reads a chat template: a text, or a list of named ones.
func defaultTemplate(data json.RawMessage) (source string, err error) {
	var list []struct{ Name, Template string }
	if json.Unmarshal(data, &list) != nil {
		err = json.Unmarshal(data, &source)
		return source, err
	}
	for _, t := range list {
		if t.Name == "default" {
			return t.Template, nil
		}
	}
	return "", errors.New("want one with the name default, got none")
}

// LoadStops returns the tokens that end an answer: those of generation_config.json
// or, where it names none, of config.json, else the tokenizer's end of text.
func LoadStops(files *Files, tok *Tokenizer, settings *Settings) ([]int32, error) {
	for _, name := range []string{"generation_config.json", "config.json"} {
		path, err := find(files.Dirs, name)
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
		var f struct {
			EOS stops `json:"eos_token_id"`
		}
		if err := json.Unmarshal(data, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(f.EOS) > 0 {
			return f.EOS, nil
		}
	}
	if id, ok := tok.Special[settings.EOS]; ok {
		return []int32{id}, nil
	}
	return nil, nil
}

// stops are token ids, written as one or as a list.
type stops []int32

func (s *stops) UnmarshalJSON(data []byte) error {
	var one *int32
	if json.Unmarshal(data, &one) == nil {
		if one != nil {
			*s = stops{*one}
		}
		return nil
	}
	return json.Unmarshal(data, (*[]int32)(s))
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
