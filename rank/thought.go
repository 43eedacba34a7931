package rank

import (
	"regexp"
	"slices"
	"strings"
)

// thoughtWord is what families of models call their thoughts.
const thoughtWord = `(?:think|thinking|thoughts?|reason|reasoning|rationale|explanation|justification|commentary|critique|plan|planning|draft|internal|analysis|scratch_?pad|reflections?|(?:inner_)?monologue|deliberation|cot|chain_of_thought|tool_calls?|tool_response|function_call)(?:[_-](?:process|steps?|block|content))?`

// thoughtMark is what opens or closes a thought, at the place where it begins. Each
// alternative names its groups: close is empty in a mark that opens, and channel is
// a channel of the harmony format.
var thoughtMark = regexp.MustCompile(`(?i)^(?:` + strings.Join([]string{
	// <think> </think>, <seed:think>, <longcat_think>, <think id="1">, <think/>, &lt;think&gt;
	`(?:<|＜|&lt;)\s*(?P<close1>[/／]?)\s*(?:\w+[:_.|-])?` + thoughtWord + `(?:\s[^<>]*?)?(?P<empty>/?)(?:>|＞|&gt;)`,
	// <details type="reasoning">, in which some servers fold thoughts
	`<(?P<close2>/?)details(?:\s[^<>]*)?>`,
	// [THINK] [/THINK]
	`\[(?P<close3>/?)(?:think|thinking|thought|reasoning)\]`,
	// ◁think▷ ◁/think▷
	`◁(?P<close4>/?)think(?:ing)?▷`,
	// <|think|> <|/think|>, <|START_THINKING|>, <|begin_of_thought|>, <|end_of_thought|>, <|thought_end|>
	`<[|｜](?:start_of_|start_|begin_of_|begin_|(?P<close5>/|end_of_|end_))?` + thoughtWord + `(?:[_:](?:start|begin)|(?P<close6>[_:]end))?[|｜]>`,
	// <unused94>thought ... <unused95>; [unused16] ... [unused17]
	`<unused94>(?:thought)?`, `(?P<close7><unused95>)`, `\[unused16\]`, `(?P<close8>\[unused17\])`,
	// <|inner_prefix|> ... <|inner_suffix|>; <|im_start|>think ... <|im_start|>answer
	`<\|inner_prefix\|>`, `(?P<close11><\|inner_suffix\|>)`, `<\|im_start\|>\s*think(?:ing)?\b`, `(?P<close12><\|im_start\|>\s*answer\b)`,
	// <|channel>thought ... <channel|>
	`<\|channel>\s*(?:thoughts?|analysis)`, `(?P<close9><channel\|>)`,
	// harmony: <|channel|>analysis<|message|>...<|end|>
	`<\|channel\|>\s*(?P<channel>[a-z]+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>`, `(?P<end><\|end\|>)`,
}, "|") + `)`)

// Marks that are words: harmony whose marks were dropped ("analysisWe need
// ...assistantfinal[2] > [0]"), and what stands before the answer in some families.
var (
	gluedThought = regexp.MustCompile(`^\s*(?:(?:analysis|commentary)[A-Z0-9"'(\[]|thoughts?[ \t]*\n)`)
	wordCloses   = regexp.MustCompile(`assistant\s?final|(?m:^#+ Final Response[ \t]*$)|(?m:^Here is my response:)`)
)

// thoughtKind is what a mark does.
type thoughtKind int

const (
	opens thoughtKind = iota
	closes
	ends  // closes a thought, if there is one
	holds // a thought without anything in it
)

// mark is a mark in a text.
type mark struct {
	from, to int
	kind     thoughtKind
}

// marksOf finds the marks of a text.
func marksOf(text string) []mark {
	var marks []mark
	if m := gluedThought.FindString(text); m != "" {
		marks = append(marks, mark{0, len(m) - 1, opens})
	}
	for _, m := range wordCloses.FindAllStringIndex(text, -1) {
		marks = append(marks, mark{m[0], m[1], closes})
	}
	for at := 0; at < len(text); {
		next := strings.IndexAny(text[at:], "<＜[◁&")
		if next < 0 {
			break
		}
		at += next
		if m, ok := markAt(text, at); ok {
			marks = append(marks, m)
			at = m.to
		} else {
			at++
		}
	}
	slices.SortStableFunc(marks, func(a, b mark) int { return a.from - b.from })
	return marks
}

// markAt reads the mark at a place, if there is one.
func markAt(text string, at int) (mark, bool) {
	g := thoughtMark.FindStringSubmatchIndex(text[at:])
	if g == nil {
		return mark{}, false
	}
	m := mark{from: at, to: at + g[1]}
	for i, name := range thoughtMark.SubexpNames() {
		if g[2*i] < 0 || g[2*i] == g[2*i+1] {
			continue
		}
		switch {
		case strings.HasPrefix(name, "close"), name == "channel" && strings.EqualFold(text[at+g[2*i]:at+g[2*i+1]], "final"):
			m.kind = closes
		case name == "end":
			m.kind = ends
		case name == "empty" && m.kind == opens:
			m.kind = holds
		}
	}
	return m, true
}

// withoutThoughts returns the text without the thoughts that its marks enclose,
// and the mark that opens a thought without an end, which reaches to the end of
// the text. A mark that closes what was not opened, as the prompt may have done
// that, closes a thought from the beginning.
func withoutThoughts(text string) (rest, open string) {
	var out strings.Builder
	at := 0
	for _, m := range marksOf(text) {
		if open == "" {
			if m.kind == closes {
				out.Reset()
			} else {
				out.WriteString(text[at:m.from] + "\n") // two lines never become one
			}
		}
		switch {
		case m.kind == opens && open == "":
			open = text[m.from:m.to]
		case m.kind == closes || m.kind == ends:
			open = ""
		}
		at = m.to
	}
	if open == "" {
		out.WriteString(text[at:])
	}
	return out.String(), open
}

// OpenThought returns the mark, such as <think>, of a thought that text opens and
// does not close; "" where there is none.
func OpenThought(text string) string {
	_, open := withoutThoughts(text)
	return open
}
