package nll

import (
	"fmt"

	"github.com/ortscore/ortscore/model"
)

// Control is a tokenizer for texts of trusted templates: special tokens that stand
// in a text are control tokens, unless they came through Protect.
type Control interface {
	model.Tokenizer
	// Protect makes a row's text safe to stand in such a text.
	Protect(data string) string
}

// Conversation makes the text of a conversation, up to the end of the answer, which is the
// assistant's: message is the user's. Both are protected.
type Conversation func(message, answer string) (Text, error)

// messages are what the user says in a conversation: each task's text up to the
// answer, without what leads over to it (an "Answer:", as a rule).
var messages = func() map[Task]*Template {
	out := map[Task]*Template{}
	for task, t := range templates {
		out[task] = &Template{t.WithoutLast(), t.strip}
	}
	return out
}()

// encode makes the text of a row's fields and tokenises it.
func (b *Builder) encode(task Task, f Fields) (text Text, enc model.Encoding, err error) {
	tokenizer := b.Tokenizer
	protect := func(data string) string { return data }
	if b.Control != nil {
		tokenizer, protect = b.Control, b.Control.Protect
	}
	t := b.template(task)
	if b.Conversation == nil {
		text = t.Fill(Fields{protect(f.Passage), protect(f.Query), protect(f.Answer), protect(f.Context)})
	} else {
		// As a whole: two fields side by side may make up a special token.
		message := protect(messages[task].Fill(f).Text)
		if text, err = b.Conversation(message, protect(t.value(f, "answer"))); err != nil {
			return text, enc, err
		}
	}
	// A chat template writes BOS itself.
	enc, err = tokenizer.Encode(text.Text, b.Conversation == nil)
	return text, enc, err
}

// checkLengths refuses a row whose question, answer or context alone has more
// tokens than fit, without tokenising all of it.
func (b *Builder) checkLengths(ex *Example, context string) error {
	t := b.template(ex.Task)
	type field struct{ name, place, text string }
	fields := []field{{"query", "query", ex.Query}, {"context", "context", context}}
	for _, a := range ex.Answers {
		fields = append(fields, field{"answers", "answer", a})
	}
	for _, f := range fields {
		if t.Count(f.place) == 0 {
			continue
		}
		text := strip(f.text)
		long, err := model.ExceedsAlone(b.Tokenizer, text, b.MaxLength)
		if long {
			err = fmt.Errorf("want question and answer within %d tokens, got more in %d bytes", b.MaxLength, len(text))
		}
		if err != nil {
			return ex.Row.Errorf(f.name, "%v", err)
		}
	}
	return nil
}
