package main

import (
	"strings"

	"github.com/ortscore/ortscore/model"
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
	if l.flags.modelType == baseModel {
		return l.baseFrame()
	}
	c, err := newChatFrame(l.teacher, "--model-type llm_instruct", "--model-type llm asks a base model", l.flags.date)
	if err != nil {
		return nil, err
	}
	l.control = c.tokenizer
	return c, nil
}

// baseFrame presents the prompt as an instruction, in the form that many base
// models have seen, since it came into use with Stanford's Alpaca.
type baseFrame struct{ tokenizer model.Tokenizer }

// baseFrame makes control tokens of those that a prompt template of one's own
// writes.
func (l *localRanker) baseFrame() (frame, error) {
	trusted, err := l.trusted(l.flags.promptTemplate)
	if trusted == nil || err != nil {
		return baseFrame{l.tokenizer}, err
	}
	l.control = trusted
	return baseFrame{trusted}, nil
}

func (f baseFrame) tokens(prompt string) ([]int32, error) {
	enc, err := f.tokenizer.Encode("### Instruction:\n"+prompt+"\n\n### Response:\n", true)
	return enc.IDs, err
}

func (f baseFrame) end() (tail, lead string) { return "### Response:\n", "" }
func (f baseFrame) opening() string          { return "" }

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
