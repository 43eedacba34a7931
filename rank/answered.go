package rank

import (
	"regexp"
	"strings"
)

var (
	// unsaid is what a text holds and does not say: comments, what is struck out, and
	// blocks of thoughts.
	unsaid = regexp.MustCompile("(?is)<!--.*?(?:-->|$)|~~[^~\n]+~~|<(?:del|s|strike)>.*?</(?:del|s|strike)>|```" + thoughtWord + "[ \t]*\n.*?(?:```|$)")
	// nextTurn begins what somebody else says, which the teacher made up.
	nextTurn = regexp.MustCompile(`(?i)(?:\n[ \t]*(?:#+ *|\*\*)?(?:human|user|instructions?|input)(?: ?[0-9]+)?(?:\*\*)? ?:|<\|(?:im_start|start_header_id|start)\|>\s*user\b|<start_of_turn>\s*user\b|<\|user\|>|\[INST\])`)
	// newTask begins another task.
	newTask = regexp.MustCompile(`(?im)^\W*(?:(?:search |user |next |new )?query|question|task|problem|example|assistant|response)\b[^:\n]{0,20}:`)
)

// said returns a text without what it does not say, and without the turns of a
// conversation that follow it; whole is false where it ends within a comment.
func said(text string) (rest string, whole bool) {
	var out strings.Builder
	at := 0
	whole = true
	for _, m := range unsaid.FindAllStringIndex(text, -1) {
		out.WriteString(text[at:m[0]] + "\n")
		at = m[1]
		end := text[m[0]:m[1]]
		whole = at < len(text) || strings.HasSuffix(end, "-->") || strings.HasSuffix(end, "~~") || strings.HasSuffix(end, "```") || end[1] != '!' && end[0] != '`'
	}
	out.WriteString(text[at:])
	rest = out.String()
	if m := nextTurn.FindStringIndex(rest); m != nil {
		rest = rest[:m[0]]
	}
	return rest, whole
}

var (
	answerTags = regexp.MustCompile(`(?is)<(?:final_?)?answer>(.*?)</(?:final_?)?answer>`)
	// takesBack is what may follow a marked answer that no longer stands.
	takesBack = regexp.MustCompile(`(?i)\b(?:final|revised|corrected|correction|actually|wait|mistake|sorry|wrong|incorrect|instead|my|should|rather|better|however|no)\b`)
)

const boxMark = `\boxed{`

// span is a part of a text.
type span struct{ from, to int }

// answerOf returns what a text marks as its answer, with tags or in a box; ok is
// false where nothing is, or it does not stand.
func answerOf(text string) (s span, ok bool) {
	start, end := 0, 0
	if all := answerTags.FindAllStringSubmatchIndex(text, -1); len(all) > 0 {
		m := all[len(all)-1]
		start, end, s = m[0], m[1], span{m[2], m[3]}
	} else if start = strings.LastIndex(text, boxMark); start >= 0 {
		s = span{start + len(boxMark), closingBrace(text, start+len(boxMark))}
		end = min(s.to+1, len(text))
	}
	if s.to <= s.from || takesBack.MatchString(text[end:]) {
		return s, false
	}
	lead := text[max(0, start-most):start]
	return s, !notMeant(lead[strings.LastIndexByte(lead, '\n')+1:])
}

// closingBrace returns where the brace is closed that is open at a place; -1 where
// it is not.
func closingBrace(text string, at int) int {
	for depth := 1; at < len(text); at++ {
		switch text[at] {
		case '{':
			depth++
		case '}':
			depth--
		}
		if depth == 0 {
			return at
		}
	}
	return -1
}
