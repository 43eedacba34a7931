package main

import (
	"fmt"
	"strings"

	"github.com/ortscore/ortscore/model/chat"
	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/rank"
)

// frame is what stands round a prompt.
type frame interface {
	tokens(prompt string) ([]int32, error)
	// end is the text that stands right before the answer, no special token in it,
	// and what comes between the two.
	end() (tail, lead string)
	// opening is the mark of a thought that is open where the answer begins.
	opening() string
}

func (l *localRanker) frame() (frame, error) {
	if l.ranking.flags.modelType == baseModel {
		return baseFrame{l.tokenizer}, nil
	}
	if l.settings.ChatTemplate == "" {
		return nil, withHint(fmt.Errorf("want a chat template in tokenizer_config.json or chat_template.jinja for --model-type llm_instruct, got none"),
			"--model-type llm asks a base model")
	}
	template, err := chat.Parse(l.settings.ChatSource)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.settings.ChatTemplate, err)
	}
	if l.chat, err = hf.LoadChatTokenizer(l.files.Tokenizer, l.tokenizer); err != nil {
		return nil, err
	}
	c := &chatFrame{template: template, tokenizer: l.chat, file: l.settings.ChatTemplate,
		options: chat.Options{Special: l.settings.Special, Date: l.ranking.flags.date.t}}
	_, err = c.render("ranking") // better now than at the first row
	return c, err
}

// baseFrame presents the prompt as an instruction, in the form that many base
// models have seen, since it came into use with Stanford's Alpaca.
type baseFrame struct{ tokenizer *hf.Tokenizer }

func (f baseFrame) tokens(prompt string) ([]int32, error) {
	enc, err := f.tokenizer.Encode("### Instruction:\n"+prompt+"\n\n### Response:\n", true)
	return enc.IDs, err
}

func (f baseFrame) end() (tail, lead string) { return "### Response:\n", "" }
func (f baseFrame) opening() string          { return "" }

// chatFrame presents the prompt as a user's message in the model's own template.
type chatFrame struct {
	template  *chat.Template
	tokenizer *hf.ChatTokenizer
	options   chat.Options
	file      string
}

func (f *chatFrame) render(prompt string) (string, error) {
	text, err := f.template.Render([]chat.Message{{Role: "user", Content: f.tokenizer.Protect(prompt)}}, f.options)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.file, err)
	}
	return text, nil
}

func (f *chatFrame) tokens(prompt string) ([]int32, error) {
	text, err := f.render(prompt)
	if err != nil {
		return nil, err
	}
	enc, err := f.tokenizer.Encode(text, false)
	return enc.IDs, err
}

// tailRunes is how much of a prompt's end is looked at for what its last tokens
// are.
const tailRunes = 24

func (f *chatFrame) end() (tail, lead string) {
	text, err := f.render("ranking")
	if err != nil {
		return "", ""
	}
	tail = f.tokenizer.AfterSpecial(text)
	if runes := []rune(tail); len(runes) > tailRunes {
		tail = string(runes[len(runes)-tailRunes:])
	}
	if tail != "" && strings.TrimSpace(tail[len(tail)-1:]) != "" {
		lead = " "
	}
	return tail, lead
}

func (f *chatFrame) opening() string {
	text, _ := f.render("ranking")
	return rank.OpenThought(text)
}
