package rank

import (
	"regexp"
	"slices"
	"sort"
	"strings"
)

// The ends of an order, as a text names them.
const (
	lowEnd  = `(?:least|worst|lowest|weakest|poorest|last|bottom|low|less|smallest)`
	highEnd = `(?:most|best|highest|strongest|greatest|first|top|high|higher|more|largest)`
	upward  = `(?:ascending|increasing|rising|reversed?|inversed?|inverted|backwards?|bottom[- ]up)`
)

// backwards is an order that begins with the worst, in a few languages.
var backwards = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`\b` + lowEnd + `(?:[ -][\w-]+){0,3}?[ ,]*(?:\bto\b|[-=]*>+|-|\.\.+)[ ]*(?:the )?` + highEnd + `\b`,
	`\b` + lowEnd + `(?:[ -][\w-]+){0,3}? first\b`,
	`\b(?:start|begin)\w* (?:with|from|at) (?:the )?` + lowEnd + `\b`,
	`\b` + lowEnd + `(?:[ -][\w-]+){0,3}? (?:at|on) (?:the )?(?:top|beginning|start|front)\b`,
	`\b` + highEnd + `(?:[ -][\w-]+){0,3}? (?:last\b|(?:at|on) (?:the )?(?:end|bottom)\b)`,
	`\b` + upward + `(?:[ -]\w+){0,2}[ -](?:order|relevan\w+|rank\w*|importance|scores?)\b`,
	`\b(?:order|rank|sort)\w*\b[^.\n]{0,30}\b` + upward + `\b`,
	// The names of fields, without their "_".
	`(?:rank|order|sort)[a-z]*` + upward + `\b|\b` + upward + `(?:rank|order)|\b` + lowEnd + `(?:relevant)?(?:to` + highEnd + `|first)\b`,
	`\b(?:by|of) (?:irrelevance|unimportance|dissimilarity|distance)\b|\bbottom[- ]up\b|^\W*` + upward + `\W*$`,
	`\b(?:first|leftmost|top)(?:[ -]\w+){0,3} (?:is|are|being) (?:the )?(?:least|worst|lowest|weakest)\b|\b(?:last|rightmost|bottom)(?:[ -]\w+){0,3} (?:is|are|being) (?:the )?(?:most|best|highest|strongest)\b`,
	`\b(?:un\w+|schlecht\w+|niedrig\w+|gering\w+|wenigst\w+) zuerst|aufsteigend|umgekehrt|\b(?:vom?|von) (?:dem |der )?(?:am )?(?:un\w+|schlecht\w+|niedrig\w+|wenigst\w+|gering\w+)`,
	`\bdu moins\b|ordre croissant|\bdu pire\b|\bde menor a\b|\bde menos a\b|\b(?:del|de) peor\b|\bdal meno\b|\bdo menos\b|ascendente`,
	`[从從由自](?:最)?(?:不|低|差|坏|弱|小|后|後|末|下)|升序|倒序|逆序|反序|昇順|逆順|低い順|悪い順|오름차순|역순|возрастани|от (?:худш|наименее)`,
	`最不(?:相关|相關|重要)[^\n]{0,8}(?:在前|优先|優先|开始|開始|排)`,
}, "|"))

// What may stand before a ranking on its line and makes it one that is not meant:
// an example, the order of the input, somebody else's, or a guess.
var foreign = regexp.MustCompile(`(?i)\b(?:examples?|eg|sample|templates?|placeholders?|illustrat\w+|hypothetical\w*|suppose|formats?|in the forms?|please|must be|` +
	`look(?:s|ed)? like|like:?$|would(?:nt| not)|wrong|incorrect\w*|mistak\w+|bad|naive\w*|baselines?|bm25|originals?|originally|inputs?\W*$|input (?:order|rank\w*|sequence)|(?:as|was|were|order) given|given order|` +
	`default|previous\w*|prior|random\w*|alternatives?|alternatively|reject\w+|duplicat\w+|discard\w*|ignor\w+|dropp?(?:ed)?|remov\w+|skip\w*|` +
	`off-? ?topic|none|neither|maybe|thinks|thinking|doubt|for instance|you should|should (?:answer|respond|look)|sources?|references?|citations?|cited|refs|see$|other (?:ranking|order)s?|else|chatgpt\w*|users|proposed|perhaps|possibly|guess|unsure|drafts?|initial\w*|tentative\w*|attempt|` +
	`(?:passages|documents|texts|candidates|i|we) (?:i |we )?(?:read|saw|seen|reviewed|considered)|labels?|countdown|unlike|differs?|versus|vs|` +
	`presented|(?:as|order|passages|was|were) shown$|shown order|shuffled|unsorted|unranked|worse|cannot rank|cant (?:rank|produce|give|provide))\b|is it$|should be$|` +
	`\b(?:by|of|on) (?:the )?(?:publication )?(?:date|length|recency|popularity|time|size|author|name|title|readability|year|age)\b|\b(?:alphabetical|chronological)\w*|^\W*(?:date|length|recency|popularity|readability|size|age)\W*$|` +
	`不相关|不相關|无关|無關|例如|示例|比如|原始|错误|錯誤|格式|忽略|关联性低`)

// denied makes it one that is not meant in the last part of a sentence.
var denied = regexp.MustCompile(`(?i)\b(?:not|never|cannot|cant|unable|dont|doesnt|wont|isnt|arent|if|might|could|fails?|lacks?|irrelevant|unrelated|excluded|without)\b`)

// worstNamed is a title of the worst passages.
var worstNamed = regexp.MustCompile(`(?i)\b(?:least|worst|lowest|weakest|poorest|bottom|irrelevant|unrelated|schlechtesten?|peores?|pires?)\b|最不|最差`)

// takenBack is what stands behind a ranking, on its line, that is not meant.
var takenBack = regexp.MustCompile(`(?i)^[^.\n]{0,30}\?|\b(?:incorrect|wrong|reject\w*|mistaken?|worse|unsure|not sure|example|placeholder|hmm+|wait|i (?:cannot|cant|am unable)|` +
	`let me (?:check|verify|double|think|see|re\w*|look)|(?:is|was|be|are) not (?:right|correct|my|the (?:right|correct|ranking|order))|isnt (?:right|correct))\b`)

// takenBackBelow is the line below a ranking that is not meant.
var takenBackBelow = regexp.MustCompile(`(?i)^\W*(?:(?:but |oh,? )?wait\b|hmm+\b|no\b[,.:!]|(?:but )?(?:this|that|it|the above)(?: ranking| order)?(?: is|s| was| would be) (?:wrong|incorrect|not|only|just|an example|a mistake|the (?:input|original|wrong|reverse)))`)

// asAsked is said of a ranking that is meant.
var asAsked = regexp.MustCompile(`(?i)\b(?:in|using|following|as per) (?:the|your|this|that) (?:\w+ ){0,2}format\b|\bif you\b`)

// abbreviated is no end of a sentence.
var abbreviated = regexp.MustCompile(`(?i)\be\.g\.[, ]*`)

// sentenceEnd finds where a sentence ends.
var sentenceEnd = regexp.MustCompile(`[.;!?] `)

// doubt marks what is unclear by what stands round it: an order that begins with the
// worst, an example, the order of the input, or one that is taken back.
func (r *finder) doubt(c *candidate) {
	from, to := r.place(c.from), r.place(c.to)
	c.lead = r.lead(from)
	c.unclear = c.unclear || !c.rises && (backwards.MatchString(r.around(from, to)) || worstNamed.MatchString(lastSentence(falls.ReplaceAllString(c.lead, ""))))
	c.unclear = c.unclear || notMeant(falls.ReplaceAllString(c.lead, "")) || r.withdrawn(to)
}

// place returns where a place of the original is in the plain text.
func (r *finder) place(at int) int { return sort.SearchInts(r.plain.at, at) }

// around is the text within a few lines before and behind a candidate.
func (r *finder) around(from, to int) string {
	text := r.plain.text
	before := lastLines(text[max(0, from-2*most):from], 4)
	after := strings.Join(firstLines(text[to:min(len(text), to+most)], 3), "\n")
	return before + "\n" + after
}

// firstLines returns the first lines that are not blank.
func firstLines(text string, n int) []string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	return lines[:min(n, len(lines))]
}

// lastLines returns the last lines that are not blank, as one text.
func lastLines(text string, n int) string {
	lines := firstLines(text, len(text))
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// notMeant says whether what stands before a ranking says that it is another's, or
// none.
func notMeant(lead string) bool {
	lead = strings.TrimRight(asAsked.ReplaceAllString(lead, ""), " :")
	lead = lastSentence(lead)
	if foreign.MatchString(lead) {
		return true
	}
	if strings.HasSuffix(lead, ".") {
		return false // what it denies is something else
	}
	if comma := strings.LastIndexByte(lead, ','); rankWords.MatchString(lead[comma+1:]) {
		lead = lead[comma+1:]
	}
	return denied.MatchString(lead)
}

// lastSentence returns the last sentence of a text.
func lastSentence(text string) string {
	text = abbreviated.ReplaceAllString(text, "for example ")
	if ends := sentenceEnd.FindAllStringIndex(text, -1); len(ends) > 0 {
		return text[ends[len(ends)-1][1]:]
	}
	return text
}

// withdrawn says whether what stands behind a ranking takes it back.
func (r *finder) withdrawn(to int) bool {
	line, below, _ := strings.Cut(r.plain.text[to:min(len(r.plain.text), to+most)], "\n")
	if takenBack.MatchString(line) {
		return true
	}
	next := firstLines(below, 1)
	return len(next) > 0 && takenBackBelow.MatchString(next[0])
}
