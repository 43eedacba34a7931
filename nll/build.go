package nll

import (
	"encoding/binary"
	"fmt"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// Builder turns examples into token sequences.
type Builder struct {
	Tokenizer    model.Tokenizer
	KeyMaxLength int          // tokens of a passage, as the tokenizer counts it alone
	MaxLength    int          // tokens of a whole sequence: at most the model's context
	Vocab        int          // V: token ids in the data are below
	Span         SpanRule     // which tokens are the answer's
	Template     *Template    // in place of the task's own; nil for that; ends with the answer where Span is Reference
	Conversation Conversation // puts the text into the model's chat template; nil for none; not with Template or Reference
	Control      Control      // for texts with control tokens of a template's; nil where there are none
}

// Build makes an example's sequences. Errors of the data are *dataset.Error.
func (b *Builder) Build(ex *Example) error {
	build := b.fromTexts
	if ex.Tokens != nil {
		build = b.fromTokens
	}
	if err := build(ex); err != nil {
		return err
	}
	ex.Repeats = ex.repeats()
	return nil
}

// repeats says whether two passages are the same to the model, as their sequences are.
func (ex *Example) repeats() bool {
	seen := make(map[string]bool, ex.count())
	for i := 0; i < len(ex.Sequences); i += len(ex.Sequences) / ex.count() {
		var key []byte
		for _, id := range ex.Sequences[i].Tokens {
			key = binary.LittleEndian.AppendUint32(key, uint32(id))
		}
		if seen[string(key)] {
			return true
		}
		seen[string(key)] = true
	}
	return false
}

func (b *Builder) fromTexts(ex *Example) error {
	context, err := b.context(ex)
	if err != nil {
		return err
	}
	if err := b.checkLengths(ex, context); err != nil {
		return err
	}
	refLens := make([]int, len(ex.Answers))
	for i, a := range ex.Answers {
		if refLens[i], err = referenceLen(b.Tokenizer, a); err != nil {
			return ex.Row.Errorf("answers", "%v", err)
		}
	}
	for i, p := range ex.Passages {
		passage, cut, err := b.cutTo(p, b.KeyMaxLength)
		if err != nil {
			return ex.Row.Errorf(ex.passageField(i), "%v", err)
		}
		for a, answer := range ex.Answers {
			tokens, span, shortened, err := b.sequence(ex, Fields{passage, ex.Query, answer, context})
			if err != nil {
				return err
			}
			cut = cut || shortened
			reference := referenceSpan(tokens, refLens[a])
			// The reference's rule is about an answer at the end, and only there.
			differs := b.Conversation == nil && b.template(ex.Task).EndsWithAnswer() && span != reference
			ex.SpanDiffers = ex.SpanDiffers || differs
			if b.Span == Reference {
				span = reference
			}
			if err := b.check(ex, tokens, span, answer); err != nil {
				return err
			}
			ex.Sequences = append(ex.Sequences, model.Answer(tokens, span))
		}
		if cut {
			ex.Cuts++
		}
	}
	return nil
}

func (b *Builder) template(task Task) *Template {
	if b.Template != nil {
		return b.Template
	}
	return templates[task]
}

// context returns what fills {context}: a row's own field, which a template of
// one's own asks for, and which an lrlm row may leave out.
func (b *Builder) context(ex *Example) (string, error) {
	if b.template(ex.Task).Count("context") == 0 {
		return "", nil
	}
	context, ok, err := ex.Row.String("context")
	if err == nil && !ok && b.Template != nil {
		err = ex.Row.Errorf("context", "want a string for {context}, got none")
	}
	return context, err
}

// sequence fills the template and tokenises it, and finds the answer's tokens. Where
// the whole is longer than MaxLength, the passage gives way, from its end, and nothing
// else.
func (b *Builder) sequence(ex *Example, f Fields) (tokens []int32, answer model.Span, cut bool, err error) {
	template := b.template(ex.Task)
	for {
		text, enc, err := b.encode(ex.Task, f)
		if err != nil {
			return nil, answer, cut, ex.Row.Errorf("", "%v", err)
		}
		over := len(enc.IDs) - b.MaxLength
		if over <= 0 {
			return enc.IDs, offsetSpan(enc, text.Answer), cut, nil
		}
		if f.Passage == "" {
			return nil, answer, cut, ex.Row.Errorf("query", "want question and answer within %d tokens, got %d", b.MaxLength, len(enc.IDs))
		}
		if f.Passage, err = b.dropTokens(f.Passage, max(1, over/template.Count("passage"))); err != nil {
			return nil, answer, cut, ex.Row.Errorf("", "%v", err)
		}
		cut = true
	}
}

// dropTokens cuts n tokens off the end of a passage that is not empty, or more
// where that many hold none of its text.
func (b *Builder) dropTokens(passage string, n int) (string, error) {
	enc, err := b.Tokenizer.Encode(passage, false)
	if err != nil {
		return "", err
	}
	for keep := len(enc.IDs) - n; ; keep-- { // keeping none leaves nothing
		if shorter := model.CutAfter(passage, enc, keep); len(shorter) < len(passage) {
			return shorter, nil
		}
	}
}

// cutTo cuts a passage to its first n tokens.
func (b *Builder) cutTo(passage string, n int) (string, bool, error) {
	n = min(n, b.MaxLength) // more do not fit in any case
	enc, err := model.EncodeFirst(b.Tokenizer, passage, n)
	if err != nil {
		return "", false, err
	}
	if len(enc.IDs) <= n {
		return passage, false, nil
	}
	return model.CutAfter(passage, enc, n), true, nil
}

// referenceSpan is the reference's span: the last n tokens. It can reach before
// the first token it may score; check finds that.
func referenceSpan(tokens []int32, n int) model.Span {
	return model.Span{From: len(tokens) - n, To: len(tokens)}
}

// check refuses a sequence that cannot be scored.
func (b *Builder) check(ex *Example, tokens []int32, span model.Span, answer string) error {
	if span.Len() <= 0 {
		return ex.Row.Errorf("answers", "want an answer of at least one token, got %q", answer)
	}
	if span.From < 1 {
		return ex.Row.Errorf("answers", "want text before the answer's first token, got none")
	}
	for _, id := range tokens {
		if int(id) >= b.Vocab {
			return ex.Row.Errorf("", "want token ids below the model's vocabulary of %d, got %d: the tokenizer is not this model's", b.Vocab, id)
		}
	}
	return nil
}

// fromTokens joins the token ids of an lrlm row. As in the reference, the
// passage's share is not held to KeyMaxLength; MaxLength cuts it from its end.
func (b *Builder) fromTokens(ex *Example) error {
	t := ex.Tokens
	if b.Template != nil || b.Conversation != nil {
		return ex.Row.Errorf("score_inputs", "want text for a template, got token ids")
	}
	for i, ids := range [][]int32{t.Context, t.Query, t.Answer} {
		if err := b.checkIDs(ex.Row, tokenFields[1+i], ids); err != nil {
			return err
		}
	}
	rest := len(t.Context) + len(t.Query) + len(t.Answer)
	if rest > b.MaxLength {
		return ex.Row.Errorf("query_inputs", "want context, query and answer within %d tokens, got %d", b.MaxLength, rest)
	}
	for i, passage := range t.Scores {
		if err := b.checkIDs(ex.Row, fmt.Sprintf("score_inputs[%d]", i), passage); err != nil {
			return err
		}
		if len(passage)+rest > b.MaxLength {
			passage = passage[:b.MaxLength-rest]
			ex.Cuts++
		}
		tokens := make([]int32, 0, len(passage)+rest)
		for _, part := range [][]int32{passage, t.Context, t.Query, t.Answer} {
			tokens = append(tokens, part...)
		}
		span := model.Span{From: len(tokens) - len(t.Answer), To: len(tokens)}
		if span.From < 1 {
			return ex.Row.Errorf("answer_inputs", "want tokens before the answer, got none")
		}
		ex.Sequences = append(ex.Sequences, model.Answer(tokens, span))
	}
	return nil
}

func (b *Builder) checkIDs(row *dataset.Row, field string, ids []int32) error {
	for i, id := range ids {
		if int(id) >= b.Vocab {
			return row.Errorf(fmt.Sprintf("%s[%d]", field, i), "want a token id below the model's vocabulary of %d, got %d", b.Vocab, id)
		}
	}
	return nil
}

// passageField names passage i as the row does: pos[0], neg[2], history[1].
func (ex *Example) passageField(i int) string {
	if ex.History {
		return fmt.Sprintf("history[%d]", i)
	}
	return dataset.PassageField(i, ex.Pos)
}
