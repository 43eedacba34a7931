package rank

import (
	"regexp"
	"strconv"
	"strings"
)

// The pieces of the patterns below.
const (
	space  = `\x09-\x0d\x1c-\x20\x{85}\p{Z}` // isSpace
	digits = `[0-9０-９]+`
	label  = `(?i:passage|document|doc|id)`
)

var (
	// bracketed is a number in brackets, or several. Clean leaves no text that
	// matches.
	bracketed = regexp.MustCompile(`[\[［【][` + space + `]*` + item +
		`(?:[` + space + `,;>=，；、＞]+` + item + `)*[` + space + `]*[\]］】]`)
	number = regexp.MustCompile(digits)

	// arrow and tie are what may stand between two identifiers of one ranking.
	arrow = regexp.MustCompile(`^` + trim + `(?:>{1,3}|>=|≥|＞|≻|→|-{1,2}>|=>|&gt;)` + trim + `(?:` + label + trim + `)?$`)
	tie   = regexp.MustCompile(`^` + trim + `=` + trim + `(?:` + label + trim + `)?$`)

	thinking = regexp.MustCompile(`(?i)<(/?)(?:think|thinking|reasoning)>`)
)

const (
	item = `(?:` + label + `[` + space + `:#]*|#)?` + digits
	trim = "[" + space + "*_`\"'()\\[\\]#:]*" // white space, quotes and markdown
)

// joint is how an identifier is joined to the one before it.
type joint int

const (
	apart  joint = iota // not at all: prose, a comma, nothing
	beside              // part of the same ranking, as in "[2, 0]" or "[2] = [0]"
	behind              // the same, and ranked behind it, in another form than " > "
	exact               // " > "
)

// mention is an identifier that stands in a text.
type mention struct {
	passage int   // from 0; -1 where there is none of this number
	plain   bool  // written as in the prompt: "[2]"
	joint   joint // to the mention before; of the first it says nothing
}

// mentions finds the numbers in brackets.
func mentions(text string, n, first int) []mention {
	var out []mention
	end := 0
	for _, g := range bracketed.FindAllStringIndex(text, -1) {
		group := text[g[0]:g[1]]
		how, at := between(text[end:g[0]]), 0
		for i, d := range number.FindAllStringIndex(group, -1) {
			if i > 0 {
				how = within(group[at:d[0]])
			}
			m := mention{passage: passageOf(group[d[0]:d[1]], n, first), joint: how}
			m.plain = m.passage >= 0 && group == identifier(first+m.passage)
			out = append(out, m)
			at = d[1]
		}
		end = g[1]
	}
	return out
}

// passageOf returns the passage that a number names, and -1 if none.
func passageOf(number string, n, first int) int {
	id, err := strconv.Atoi(plainDigits(number))
	if err != nil || id < first || id-first >= n {
		return -1
	}
	return id - first
}

// between reads the text between two brackets.
func between(text string) joint {
	switch {
	case strings.TrimFunc(text, isSpace) == ">":
		return exact
	case arrow.MatchString(text):
		return behind
	case tie.MatchString(text):
		return beside
	}
	return apart
}

// within reads the text between two numbers that share their brackets.
func within(text string) joint {
	if strings.ContainsAny(text, ">＞") {
		return behind
	}
	return beside
}

// The forms of a ranking without brackets: numbers joined by ">", wherever they
// stand, or lines of nothing but numbers. Before the first there may be a word
// such as "Ranking:".
var (
	bareChain = regexp.MustCompile(`(?:^|[^\pL\pN_.,])(` + digits + `(?:[` + space + `]*[>＞][` + space + `]*` + digits + `)+)`)
	bareLine  = regexp.MustCompile(`^([^0-9０-９:]*:)?[` + space + `]*` + digits + `(?:[` + space + `,;=，；、]+` + digits + `)*[` + space + `]*\.?[` + space + `]*$`)
)

// bareMentions finds rankings in numbers without brackets. It is strict, as most
// numbers are prose: "I found 3 relevant passages" and "1. The second passage"
// rank nothing. A chain has at least three numbers, lines that follow one another
// have two in all, or as many as there are passages.
func bareMentions(text string, n, first int) []mention {
	var out []mention
	for _, m := range bareChain.FindAllStringSubmatch(text, -1) {
		out = appendBare(out, m[1], min(n, 3), n, first)
	}
	if len(out) > 0 {
		return out
	}
	lines := ""
	for line := range strings.Lines(text) {
		m := bareLine.FindStringSubmatch(line)
		if m == nil || m[1] != "" {
			if strings.TrimFunc(line, isSpace) == "" {
				continue
			}
			out = appendBare(out, lines, min(n, 2), n, first)
			lines = ""
		}
		if m != nil {
			lines += line
		}
	}
	return appendBare(out, lines, min(n, 2), n, first)
}

// appendBare adds the numbers of text as one ranking, if they are so many.
func appendBare(out []mention, text string, least, n, first int) []mention {
	found := number.FindAllString(text, -1)
	if len(found) < max(least, 1) {
		return out
	}
	for i, d := range found {
		m := mention{passage: passageOf(d, n, first), joint: behind}
		if i == 0 {
			m.joint = apart
		}
		out = append(out, m)
	}
	return out
}

// withoutThinking returns the text without what stands in think tags. A tag that
// is not closed opens thinking to the end; one that was not opened, as the prompt
// may have done that, closes thinking from the start.
func withoutThinking(text string) string {
	var out strings.Builder
	at, inside := 0, false
	for _, m := range thinking.FindAllStringSubmatchIndex(text, -1) {
		closing := m[3] > m[2]
		switch {
		case closing && !inside:
			out.Reset()
		case !closing && !inside:
			out.WriteString(text[at:m[0]])
		}
		at, inside = m[1], !closing
	}
	if !inside {
		out.WriteString(text[at:])
	}
	return out.String()
}
