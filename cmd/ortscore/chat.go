package main

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/ortscore/ortscore/io/template"
	"github.com/ortscore/ortscore/model/chat"
	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/nll"
)

// controlToken is the form that most models' control tokens have.
var controlToken = regexp.MustCompile(`<\|[^<>|\s]+\|>`)

// trusted returns the tokenizer for texts of a template of one's own, whose
// special tokens are meant; nil where it has none. What looks like one and is none
// gets a note.
func (t *teacher) trusted(templateFile string) (*hf.ChatTokenizer, error) {
	if templateFile == "" {
		return nil, nil
	}
	text, err := template.ReadText(templateFile)
	if err != nil {
		return nil, err
	}
	for _, token := range slices.Compact(slices.Sorted(slices.Values(controlToken.FindAllString(text, -1)))) {
		if !t.tokenizer.HasToken(token) {
			t.settings.Notes = append(t.settings.Notes, fmt.Sprintf("%s: %s is no token of %s, and stays text", templateFile, token, t.files.Tokenizer))
		}
	}
	if !t.tokenizer.HasSpecial(text) {
		return nil, nil
	}
	return hf.LoadChatTokenizer(t.files.Tokenizer, t.tokenizer)
}

// chatFrame presents a text as a user's message in the model's own chat template.
// Its texts are protected: special tokens in them stay text.
type chatFrame struct {
	template  *chat.Template
	tokenizer *hf.ChatTokenizer
	file      string

	answerless bool // the template does not show an assistant's answer
}

// newChatFrame reads the model's chat template. what asks for one, and hint is a
// way without.
func newChatFrame(t *teacher, what, hint string, day date) (*chatFrame, error) {
	if t.settings.ChatTemplate == "" {
		return nil, withHint(fmt.Errorf("want a chat template in tokenizer_config.json or chat_template.jinja for %s, got none", what), hint)
	}
	if t.flags.bos != hf.AutoBOS {
		return nil, withHint(fmt.Errorf("--bos: want auto for %s, since a chat template writes BOS itself, got %s", what, t.flags.bos), hint)
	}
	template, err := chat.Parse(t.settings.ChatSource, hf.RenderTemplate, chat.Options{Special: t.settings.Special, Date: day.t})
	if err != nil {
		err = withHint(fmt.Errorf("%s: %w", t.settings.ChatTemplate, err),
			"put a chat_template.jinja that renders messages[0].content beside the model; or go without one: "+hint)
		return nil, withCode(err, exitModel)
	}
	tokenizer, err := hf.LoadChatTokenizer(t.files.Tokenizer, t.tokenizer)
	if err != nil {
		return nil, err
	}
	return &chatFrame{template: template, tokenizer: tokenizer, file: t.settings.ChatTemplate}, nil
}

func (f *chatFrame) render(messages ...string) (string, error) {
	var conversation []chat.Message
	for i, text := range messages {
		conversation = append(conversation, chat.Message{Role: []string{"user", "assistant"}[i%2], Content: text})
	}
	text, err := f.template.Render(conversation)
	if err != nil {
		return "", fmt.Errorf("%s: %w", f.file, err)
	}
	return text, nil
}

// conversation is the user's message with the assistant's answer, up to its end. It
// is rendered as a whole, since some templates put more before an answer than what
// they end with where one is still to come.
func (f *chatFrame) conversation(message, answer string) (nll.Text, error) {
	if f.answerless {
		before, err := f.render(message)
		return nll.NewText(before, answer), err
	}
	rendered, err := f.render(message, f.tokenizer.Enclose(answer))
	if err != nil {
		return nll.Text{}, err
	}
	before, got, ok := f.tokenizer.Enclosed(rendered)
	if !ok || got != answer {
		return nll.Text{}, fmt.Errorf("%s: want a chat template that shows the assistant's message once and as it is, got another", f.file)
	}
	return nll.NewText(before, answer), nil
}

// checkConversation tries the template: better now than at the first row. One that
// takes no answer is asked for the prompt, and the answer is put behind it.
func (f *chatFrame) checkConversation() (note string, err error) {
	const message, answer = "question", " answer\n"
	if _, err := f.conversation(message, answer); err != nil {
		note = fmt.Sprintf("%v: the answer is put behind its prompt", err)
		f.answerless = true
	}
	_, err = f.conversation(message, answer)
	return note, err
}
