package rank

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// bracketed is a number in brackets, or several, as a text may hold it that is
// shown to a teacher. Clean leaves no text that matches.
var bracketed = regexp.MustCompile(`[\[［【][` + space + `]*` + item +
	`(?:[` + space + `,;>=，；、＞]+` + item + `)*[` + space + `]*[\]］】]`)

const (
	space = `\x09-\x0d\x1c-\x20\x{85}\p{Z}` // isSpace
	item  = `(?:(?i:passage|document|doc|id)[` + space + `:#]*|#)?[0-9０-９]+`
)

// style is how an identifier is written, the clearest last.
type style int

const (
	bare     style = iota // 2
	round                 // (2)
	labelled              // Passage 2
	square                // [2]
)

// mention is a number that may name a passage, in a plainText.
type mention struct {
	number   int // -1 for one that is too large
	from, to int // label and brackets included
	style    style
	inside   bool // in brackets that it shares with the mention before
	asked    bool // written as the prompt asks: "[2]"
}

// What is written before a number. One letter stands right before it.
const (
	noun  = `(?:passages?|psg|para|documents?|docs?|texts?|paragraphs?|candidates?|items?|results?|snippets?|chunks?|contexts?|articles?|options?|entry|ids?|identifiers?|numbers?|no|nr|num|index|pid|docid|dokument|abschnitt|stelle|textstelle|pasajes?|passagens?|passagem|documentos?|documento|passaggio?|段落|文档|文章|篇章|文書|문서|단락|документ|отрывок)`
	label = `(?i:` + noun + `(?: ?` + noun + `)?\.?[ :#=-]{0,3}|[pd]#?|#)`
)

var (
	brackets = regexp.MustCompile(`[\[({] *` + labelledNumber + `(?:(?: *(?:[,;|/]|[-=]*>+=?|<+=?|=+|-|\.\.) *| +(?:(?:and|to|through) )?)` + labelledNumber + `)* *[\])}]`)
	number   = regexp.MustCompile(`[0-9]+`)
	named    = regexp.MustCompile(label + `?[0-9]+`)
)

const labelledNumber = `(?:` + label + `)?[0-9]+`

// mentions finds the numbers of a text.
func mentions(p plainText, original string) []mention {
	var out []mention
	at := 0
	for _, g := range brackets.FindAllStringIndex(p.text, -1) {
		out = append(p.loose(out, at, g[0]), p.inBrackets(g[0], g[1], original)...)
		at = g[1]
	}
	return p.loose(out, at, len(p.text))
}

// inBrackets returns the numbers of one pair of brackets.
func (p plainText) inBrackets(from, to int, original string) []mention {
	var out []mention
	kind := round
	if p.text[from] == '[' {
		kind = square
	}
	for i, d := range number.FindAllStringIndex(p.text[from:to], -1) {
		m := mention{number: value(p.text[from+d[0] : from+d[1]]), from: from + d[0], to: from + d[1], style: kind, inside: i > 0}
		if i == 0 {
			m.from = from
		}
		out = append(out, m)
	}
	out[len(out)-1].to = to
	if len(out) == 1 {
		id := identifier(out[0].number)
		out[0].asked = strings.HasPrefix(original[p.at[from]:], id) && p.text[from:to] == id
	}
	return out
}

// loose adds the numbers between from and to, which are in no brackets.
func (p plainText) loose(out []mention, from, to int) []mention {
	for _, d := range named.FindAllStringIndex(p.text[from:to], -1) {
		m := mention{from: from + d[0], to: from + d[1]}
		digits := number.FindStringIndex(p.text[m.from:m.to])
		if digits[0] > 0 && isWordEnd(p.text[:m.from], p.text[m.from]) {
			m.style = labelled
		} else {
			m.from += digits[0]
		}
		if p.isNumber(m.from, m.to, m.style) {
			m.number = value(p.text[m.to-digits[1]+digits[0] : m.to])
			out = append(out, m)
		}
	}
	return out
}

// isWordEnd says whether no word goes on from before into first.
func isWordEnd(before string, first byte) bool {
	r, _ := utf8.DecodeLastRuneInString(before)
	return first == '#' || first >= utf8.RuneSelf || before == "" || !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// isNumber says whether digits stand alone: no part of a word, of a decimal, a
// date, a fraction, a share or a price.
func (p plainText) isNumber(from, to int, s style) bool {
	if to == len(p.text) && strings.HasSuffix(strings.TrimRight(p.text[:from], " "), "[") { // cut: "[1" may become "[12]"
		return false
	}
	next, _ := utf8.DecodeRuneInString(p.text[to:])
	after := p.text[min(to+1, len(p.text)):]
	digitAfter := after != "" && after[0] >= '0' && after[0] <= '9'
	if unicode.IsLetter(next) || next == '%' || next == '/' || digitAfter && (next == '.' || next == ':') {
		return false
	}
	if s == labelled {
		return true
	}
	before := p.text[:from]
	r, size := utf8.DecodeLastRuneInString(before)
	r2, _ := utf8.DecodeLastRuneInString(before[:len(before)-size])
	switch {
	case unicode.IsLetter(r), unicode.IsDigit(r), r == '/', r == '€', r == '£', r == '\\':
		return false
	case r == '.':
		return r2 == '.'
	case r == ':':
		return !unicode.IsDigit(r2)
	case r == '-': // a negative number
		return unicode.IsDigit(r2) || r2 == ']' || r2 == ')' || r2 == '-' || r2 == '='
	}
	return true
}

// value reads a number, -1 where it is too large.
func value(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

// joint is how an identifier is joined to the one before it.
type joint int

const (
	apart   joint = iota // not at all: prose
	listed               // as in "[2], [0]"
	tied                 // "[2] = [0]"
	through              // "[3]-[5]": all from one to the other
	then                 // "[2], followed by [0]"
	elided               // "[2] > ... > [0]", or a sign that may mean this or that
	before               // "[2] < [0]"
	behind               // ranked behind it, in another form than " > "
	exact                // " > "
)

// What may stand round a joint: brackets and white space, a remark in brackets
// before it, a label behind it.
const (
	trim   = `[\s()\[\]{}:#.]*`
	remark = `(?:\([^()\[\]<>\n]{1,80}\)` + trim + `)?`
	tail   = trim + `(?:` + label + trim + `)?$`
)

// jointForms are tried in turn.
var jointForms = []struct {
	joint joint
	form  *regexp.Regexp
}{
	{elided, regexp.MustCompile(`^` + trim + `(?:[>,]` + trim + `)?(?:\.{3,}|(?i:etc)\.?)` + trim + `(?:[>,]` + trim + `)?` + tail)},
	{elided, regexp.MustCompile(`^` + trim + `~` + tail)},
	{behind, regexp.MustCompile(`^` + trim + remark + `[-=]{0,2}>{1,3}=?` + tail)},
	{before, regexp.MustCompile(`^` + trim + remark + `<{1,3}=?-{0,2}` + tail)},
	{tied, regexp.MustCompile(`^` + trim + `={1,2}` + tail)},
	{through, regexp.MustCompile(`^[\s()\[\]{}]*(?:-|\.\.|(?i:to|through|until|bis))[\s()\[\]{}]*(?:` + label + `)?$`)},
	{listed, regexp.MustCompile(`^[\s()\[\]{}:#]*(?:(?:[,;|/&]|(?i:and|und|et|y))[\s()\[\]{}:#]*)*(?:\n *- *)?` + `[\s()\[\]{}:#]*(?:` + label + `[\s()\[\]{}:#]*)?$`)},
	{then, regexp.MustCompile(`^[^\n.!?]{0,120}\b(?i:followed by|then|next|after that|finally|lastly|(?:better|higher|more \w+) than)[\s()\[\]{}:,]*(?:(?i:by|comes|is|the) ){0,2}(?:` + label + trim + `)?$`)},
}

// justThen is such a joint with no other words.
var justThen = regexp.MustCompile(`(?i)^[\s,;)\]]*(?:and )?(?:then|followed by|finally|lastly)[\s(\[]*$`)

// unlikeThen are words that turn round what "then" says.
var unlikeThen = regexp.MustCompile(`(?i)\b(?:not|no|never|neither|nor|isnt|irrelevant|unrelated|least|worst|less|lower|worse|before)\b`)

// jointOf reads what stands between two mentions.
func jointOf(p plainText, original string, a, b mention) joint {
	gap := p.text[a.to:b.from]
	if len(gap) > most {
		return apart
	}
	for _, f := range jointForms {
		if !f.form.MatchString(gap) {
			continue
		}
		switch {
		case f.joint == behind && strings.TrimFunc(original[p.at[a.to-1]+1:p.at[b.from]], isSpace) == ">":
			return exact
		case f.joint == then && unlikeThen.MatchString(gap):
			return apart
		}
		return f.joint
	}
	return apart
}
