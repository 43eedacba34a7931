package rank

import (
	"regexp"
	"strings"
)

// most bounds what is looked at before and behind an identifier, since it is looked
// at for each.
const most = 256

// rest is what stands behind a mention, as far as it is looked at.
func (r *finder) rest(m mention) string {
	return r.plain.text[m.to:min(m.to+most, len(r.plain.text))]
}

// ahead is what stands before a mention on its line, as far as it is looked at.
func (r *finder) ahead(m mention) string {
	from, _ := r.line(m.from)
	return r.plain.text[max(from, m.from-most):m.from]
}

// lead is what stands before a place: on its line, or else the line above it,
// where that ends with a colon.
func (r *finder) lead(at int) string {
	from, _ := r.line(at)
	from = max(from, at-most)
	if lead := strings.Trim(r.plain.text[from:at], " \t->|([{"); lead != "" {
		return lead
	}
	above := strings.TrimSpace(r.plain.text[max(0, from-2*most):from])
	above = strings.TrimSpace(above[strings.LastIndexByte(above, '\n')+1:])
	if strings.HasSuffix(above, ":") {
		return above
	}
	return ""
}

var (
	// goesOn and comesFrom are arrows to and from what is no identifier; one that was
	// begun where the text ends is only missing.
	goesOn     = regexp.MustCompile(`^` + trim + `[!/]?[-=]{0,2}[<>]{1,3}=?[^\S\n]*[^\s]`)
	incomplete = regexp.MustCompile(`^` + trim + `[-=]{0,2}[<>]{1,3}=?` + trim + `(?:` + label + `)?` + trim + `[0-9]*\s*$`)
	theRest    = regexp.MustCompile(`^` + trim + `[-=]{0,2}>{1,3}=?[\s(\[{]*(?i:(?:all|the|any) ){0,2}(?i:rest|others?|remaining|remainder|everything else)\b`)
	comesFrom  = regexp.MustCompile(`[\pL\pN)\]][^\S\n]*[!/]?[-=]{0,2}[<>]{1,3}=?!?[\s\[({]*$`)
	// remarks are what a title calls them.
	remarks = regexp.MustCompile(`(?i)\b(?:reasons?|reasoning|explanations?|rationale|justifications?|notes?|thoughts?)\b[^:\n]*:`)
	finals  = regexp.MustCompile(`(?i)\b(?:final|answer|revised|corrected|conclusion|actual|actually|rather|instead)\b`)
	// falls is an order that begins with the best.
	falls      = regexp.MustCompile(`(?i)\b(?:most|best|highest|strongest|top)\b[^.\n]*?\b(?:least|worst|lowest|weakest|bottom)\b|从最?(?:相|好|佳|高|重|优)[^\n]*?最?(?:不|低|差)\pL*|\b(?:least|worst|lowest|weakest)\b[^.,\n]*\blast\b`)
	nothing    = regexp.MustCompile(`^[^\pL\pN<>=]*$`)
	remarkLast = regexp.MustCompile(`^[\s.,:]*\(([^()<>0-9]*)\)[\s.]*$`)
	// negated is what makes a ranking one that is not meant.
	negated = regexp.MustCompile(`(?i)\b(?:(?:not|isnt|wasnt|never)(?: \w+)?|instead of|rather than|such as|for example|e\.g\.)[\s:({\[]*$`)
	// worstFirst is what makes a ranking one that begins with the worst.
	worstFirst = regexp.MustCompile(`(?i)\b(?:least|worst|lowest|weakest)\b.*\b(?:to|first|comes?)\b|\b(?:ascending|increasing|reversed?)\b`)
	// turned is what makes a list none, or one of another order.
	turned    = regexp.MustCompile(`(?i)\b(?:not|cannot|cant|unable|impossible|hard|difficult|irrelevant|unrelated|unranked|(?:particular|any|no|random|original|given|input|same|numerical) order|reasons?|explanations?|rationale|justifications?|notes?|least|worst|lowest|weakest|ascending|increasing|reversed?|excluded|omitted|excluding|except)\b`)
	leadsOn   = regexp.MustCompile(`(?i)(?:[:=]|\b(?:is|are|be))\s*$`)
	listing   = regexp.MustCompile(`(?i)\b(?:passages?|documents?|docs?|identifiers?|ids?|sources?|references?|candidates?)\b[^:\n]*:?$`)
	rankWords = regexp.MustCompile(`(?i)rank|order|sort|answer|final|result|response|output|list|relevan|best|top|prefer|priorit|排序|排名|顺序|答案|结果`)
	// byPlace is what numbers are that stand in the order of the passages.
	byPlace   = regexp.MustCompile(`(?i)^\W*(?:rank|position|place|relevance|relevancy)\W*$|\b(?:ranks|positions|places|labels|(?:relevance|relevancy) ?\([0-9])|\b[0-9]+ ?(?:-|to) ?[0-9]+\b`)
	ranksWord = regexp.MustCompile(`(?i)\b(?:rank(?:ing|ings|ed)?|order\w*|sort\w*|top|best)\b`)
	// states is a sentence, whose citations are no ranking.
	states = regexp.MustCompile(`(?i)[0-9]|\b(?:is|are|was|were|has|had|came|comes|said|says|by|from|in)\b`)
	graded = regexp.MustCompile(`(?i)\b(?:scores?|ratings?|grades?|confidences?|points?)\b`)
)

// certainty is how sure it is that a list is a ranking.
type certainty int

const (
	surely certainty = iota
	perhaps
)

// told asks what stands before a list whether it is a ranking.
func (r *finder) told(first mention, s style) (certainty, bool) {
	lead := r.lead(first.from)
	plainly := falls.ReplaceAllString(lead, "")
	colon := leadsOn.MatchString(lead)
	says := rankWords.MatchString(lead)
	switch {
	case lead == "":
		return surely, true
	case byPlace.MatchString(lead), graded.MatchString(lead) && !ranksWord.MatchString(lead), !colon && s > bare && states.MatchString(lead):
		return 0, false
	case turned.MatchString(plainly), negated.MatchString(lead), graded.MatchString(lead) && !says, s == bare && !colon, !colon && !says:
		return 0, false
	case colon && says && !(s == bare && number.MatchString(lead)):
		return surely, true
	}
	return perhaps, true
}
