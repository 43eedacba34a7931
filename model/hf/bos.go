package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ortscore/ortscore/io/regular"
)

// BOS says whether a token that begins a text is put before it.
type BOS string

// The choices. AutoBOS does as transformers does with the model's folder.
const (
	AutoBOS   BOS = "auto"
	AlwaysBOS BOS = "always"
	NeverBOS  BOS = "never"
)

// bosClass is how a class of transformers 4 puts BOS before a text: whatever
// tokenizer.json says. All other classes leave it to tokenizer.json.
type bosClass struct {
	token string // where tokenizer_config.json names none
	adds  bool   // where tokenizer_config.json has no add_bos_token
	types string // the model types of config.json that it belongs to
}

// bosClasses are those classes, without the "Tokenizer" or "TokenizerFast" behind
// their names (transformers 4.57, TOKENIZER_MAPPING_NAMES and update_post_processor).
var bosClasses = map[string]bosClass{
	"Llama": {"<s>", true, "llama llama4 llama4_text mistral mistral3 ministral mixtral phi3 phimoe deepseek_v2 deepseek_v3 arcee diffllama " +
		"ernie4_5 ernie4_5_moe jamba jetmoe mllama persimmon zamba zamba2"},
	"CodeLlama": {"<s>", true, "code_llama"},
	"Gemma":     {"<bos>", true, "gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma"},
	"Cohere":    {"<BOS_TOKEN>", true, "cohere cohere2"},
	"GPTNeoX":   {"<|endoftext|>", false, "gpt_neox mamba mamba2 falcon_mamba mpt olmo olmo2 olmoe rwkv stablelm"},
}

// bosSettings are what says whether a text begins with BOS.
type bosSettings struct {
	path   string // tokenizer_config.json; "" where there is none
	class  string // the tokenizer's class; "" where it is not known
	addBOS *bool  // add_bos_token
	none   bool   // bos_token is null
	// saved5 says that transformers 5 wrote the file: it keeps to tokenizer.json.
	saved5 bool
}

// readBOS fills in what tokenizer_config.json leaves out: special_tokens_map.json
// beside it names BOS in older folders, config.json tells the tokenizer's class.
func (s *Settings) readBOS(dirs, modelDirs []string) error {
	var tokens struct {
		BOS token `json:"bos_token"`
	}
	if err := readJSON(dirs, "special_tokens_map.json", &tokens); err != nil {
		return err
	}
	if s.BOS == "" && !s.bos.none {
		s.BOS = string(tokens.BOS)
	}
	if s.bos.class != "" {
		return nil
	}
	var config struct {
		Type  string `json:"model_type"`
		Class string `json:"tokenizer_class"`
	}
	if err := readJSON(modelDirs, "config.json", &config); err != nil {
		return err
	}
	s.bos.class = config.Class
	for name, class := range bosClasses {
		for _, t := range strings.Fields(class.types) {
			if config.Class == "" && t == config.Type {
				s.bos.class = name + "TokenizerFast"
			}
		}
	}
	return nil
}

// readJSON reads the first file of that name, if there is one.
func readJSON(dirs []string, name string, into any) error {
	path, err := find(dirs, name)
	if err != nil || path == "" {
		return err
	}
	data, err := regular.Read(path, regular.Small)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// PutBOS settles what tok puts before a text, and notes where that is not what
// tokenizer.json or tokenizer_config.json says.
func (s *Settings) PutBOS(tok *Tokenizer, choice BOS) error {
	name := s.beginning()
	id, known := tok.vocab[name]
	if known && s.Special["bos_token"] == "" {
		s.Special["bos_token"] = name // a chat template may write it
	}
	switch choice {
	case NeverBOS:
		tok.Before = nil
	case AlwaysBOS:
		if len(tok.Before) > 0 {
			return nil
		}
		if name == "" {
			return errors.New("want bos_token in tokenizer_config.json, got none")
		}
		if !known {
			return fmt.Errorf("want the token %s, which begins a text, in tokenizer.json, got none", name)
		}
		tok.Before = []int32{id}
	default:
		s.putAsClass(tok)
	}
	return nil
}

// beginning is the token that begins a text: "" where none is known.
func (s *Settings) beginning() string {
	if s.BOS == "" && !s.bos.none {
		return bosClasses[s.family()].token
	}
	return s.BOS
}

// family is the name of the tokenizer's class as bosClasses has it.
func (s *Settings) family() string {
	return strings.TrimSuffix(strings.TrimSuffix(s.bos.class, "Fast"), "Tokenizer")
}

// putAsClass does as the tokenizer's class does in transformers.
func (s *Settings) putAsClass(tok *Tokenizer) {
	class, decides := bosClasses[s.family()]
	if s.bos.saved5 {
		decides = false
	}
	adds := class.adds
	if s.bos.addBOS != nil {
		adds = *s.bos.addBOS
	}
	name := s.beginning()
	id, known := tok.vocab[name]
	has := len(tok.Before) > 0
	switch {
	case !decides:
		if s.bos.addBOS != nil && adds != has {
			s.noteBOS("add_bos_token is %v, which is not read for %s: tokenizer.json %s; --bos decides otherwise", adds, s.className(), puts(has))
		}
	case !adds && has:
		s.noteBOS("tokenizer.json puts a token before every text, and %s does not: none is put, as in transformers 4; --bos always puts it", s.className())
		tok.Before = nil
	case adds && !known:
		if !has && (s.bos.addBOS != nil || s.BOS != "") {
			s.noteBOS("%s puts %s before every text, and tokenizer.json has no such token: none is put", s.className(), orNoToken(name))
		}
	case adds && !(len(tok.Before) == 1 && tok.Before[0] == id) && (s.BOS != "" || !has):
		s.noteBOS("%s puts %s before every text, and tokenizer.json does not: it is put, as in transformers 4; --bos never leaves it out", s.className(), name)
		tok.Before = []int32{id}
	}
}

func (s *Settings) noteBOS(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	if s.bos.path != "" {
		note = s.bos.path + ": " + note
	}
	s.Notes = append(s.Notes, note)
}

func (s *Settings) className() string {
	if s.bos.class == "" {
		return "a tokenizer of no class"
	}
	return s.bos.class
}

func puts(has bool) string {
	if has {
		return "puts a token before every text"
	}
	return "puts none before a text"
}

func orNoToken(name string) string {
	if name == "" {
		return "a token that has no name"
	}
	return name
}
