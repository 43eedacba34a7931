package nll

import (
	"fmt"
	"strings"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// AnswerChoice says which of a row's answers are scored.
type AnswerChoice string

// The choices. Random draws one answer, the same for all passages of a row and
// the same in every run with the same seed; Best and Mean score all of them and
// keep, for each passage, the highest or the mean.
const (
	First  AnswerChoice = "first"
	Random AnswerChoice = "random"
	Best   AnswerChoice = "best"
	Mean   AnswerChoice = "mean"
)

// ParseAnswerChoice checks the name of a choice.
func ParseAnswerChoice(name string) (AnswerChoice, error) {
	switch c := AnswerChoice(name); c {
	case First, Random, Best, Mean:
		return c, nil
	}
	return "", fmt.Errorf("want first, random, best or mean, got %q", name)
}

// choose returns the answers that are scored.
func (c AnswerChoice) choose(answers []string, query string, seed uint64) []string {
	switch {
	case c == Best || c == Mean:
		return answers
	case c == Random && len(answers) > 1:
		i := dataset.Draw(seed, query, answers).IntN(len(answers))
		return answers[i : i+1]
	}
	return answers[:1]
}

// combine folds the scores of one passage, one for each scored answer.
func (c AnswerChoice) combine(scores []float32) float32 {
	best, sum := scores[0], 0.0
	for _, s := range scores {
		best = max(best, s)
		sum += float64(s)
	}
	if c == Mean {
		return float32(sum / float64(len(scores)))
	}
	return best
}

// LogLikelihood is the mean log-likelihood of an answer's tokens, in nats.
func LogLikelihood(logProbs []float32) float32 {
	sum := 0.0
	for _, v := range logProbs {
		sum += float64(v)
	}
	return float32(sum / float64(len(logProbs)))
}

// AnswerSpan is the answer's place in a sequence that a Builder made.
func AnswerSpan(seq model.Sequence) model.Span {
	return model.Span{From: seq.Asks[0].At, To: seq.Asks[len(seq.Asks)-1].At + 1}
}

// SpanRule says which tokens are the answer's.
type SpanRule string

const (
	// Offsets takes the tokens that cover a character of the answer.
	Offsets SpanRule = "offsets"
	// Reference takes as many tokens from the end as "Answer: " + answer has more
	// than "Answer:", for every task, as the reference does.
	Reference SpanRule = "reference"
)

// ParseSpanRule checks the name of a rule.
func ParseSpanRule(name string) (SpanRule, error) {
	switch r := SpanRule(name); r {
	case Offsets, Reference:
		return r, nil
	}
	return "", fmt.Errorf("want offsets or reference, got %q", name)
}

// offsetSpan returns the tokens that cover any byte of the answer. A token that
// begins before the answer and reaches into it (a space before a word, as a
// rule) is the answer's: it cannot be predicted without knowing the answer.
//
// Some tokenizers trim white space off a token's offsets. A token of nothing
// else then has none left and stands at its own end, so that it is the answer's
// where that lies behind the answer's start.
func offsetSpan(enc model.Encoding, answer model.Span) model.Span {
	span := model.Span{From: len(enc.IDs), To: len(enc.IDs)}
	for i, o := range enc.Offsets {
		inside := o.To > answer.From && o.From < answer.To
		if o.Len() == 0 {
			inside = o.To > answer.From && o.To <= answer.To
		}
		if inside {
			span.From = min(span.From, i)
			span.To = i + 1
		}
	}
	return span
}

// referenceLen is the answer's length by the reference's rule.
func referenceLen(tok model.Tokenizer, answer string) (int, error) {
	with, err := tok.Encode("Answer: "+strings.TrimLeft(answer, " "), false)
	if err != nil {
		return 0, err
	}
	without, err := tok.Encode("Answer:", false)
	if err != nil {
		return 0, err
	}
	return len(with.IDs) - len(without.IDs), nil
}
