package rank

import (
	"regexp"
	"slices"
	"strings"
)

var (
	// itemNumber is the number that a list gives an item: "1.", "2)", "(3)",
	// "Rank 1:", "#1", "1st:", "First:". A loose one could be an identifier as well.
	itemNumber = regexp.MustCompile(`^[\s|,;]*(?:- +)?(?:` +
		`(?i:rank|position|place|top|number|no)\b[ .#]*(?P<number1>[0-9]+)[\s:.)|]*(?:[=-]+>?)?|` +
		`(?P<number2>[0-9]+)(?:st|nd|rd|th)\b(?i: place)?[\s:.,)|]*(?:[=-]+>?)?|` +
		`(?P<word>(?i:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth))\b(?i: place)?[\s:.,)|]*(?:[=-]+>?)?|` +
		`第 ?(?P<number4>[0-9]+) ?[名位个]?[\s:.,)|]*|` +
		`#?\(?(?P<number3>[0-9]+)(?:[.)]+|(?P<loose> ?[:|,]?(?: ?[=-]+>?)?))[\s:.|-]*` +
		`)`)
	ordinals = []string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}
	// opening is what may stand between the number and the identifier.
	opening = regexp.MustCompile(`^[\s(\[{|:#-]*(?:` + label + `[\s(\[]*)?$`)
	// remarkAfter is what may follow an identifier without brackets.
	remarkAfter = regexp.MustCompile(`^[\s)\]}|.]*(?:$|[:(|\[,;]|[-=]+>? |[0-9]+\.[0-9]+\s*$)`)
	// rankColumn is the head of a table of ranks and identifiers.
	rankColumn = regexp.MustCompile(`(?m)^[ \t|]*(?i:rank|#|position|place|order|no)\.?[ \t]*\|[ \t]*(?i:` + noun + `)`)
	letters    = regexp.MustCompile(`\pL`)
)

// listItem is an identifier of a numbered list.
type listItem struct {
	place   int // its number in the list
	indent  int // white space before it, on its line
	mention mention
	words   bool // stand beside it
	unclear bool // it is not the only one
}

// numberedLists finds lists whose items are identifiers, with or without words
// beside them. Lines without a number of the list's are remarks.
func (r *finder) numberedLists() []candidate {
	var out []candidate
	var list []listItem
	end := func() {
		if c, ok := r.numbered(list); ok {
			out = append(out, c)
		}
		list = nil
	}
	start := 0
	for line := range strings.Lines(r.plain.text) {
		from, stop := start, start+len(line)
		for from < stop {
			item, ok := r.listItem(from, stop)
			goesOn := len(list) > 0 && item.place == list[len(list)-1].place+1
			inner := len(list) > 0 && item.indent > list[0].indent+1 // a list of remarks below an item
			if !ok || from > start && !goesOn || from == start && inner {
				break
			}
			if len(list) > 0 && !goesOn {
				end()
			}
			list = append(list, item)
			from = item.mention.to
		}
		start = stop
	}
	end()
	return out
}

// listItem reads an item that begins at from, on a line that ends at stop.
func (r *finder) listItem(from, stop int) (listItem, bool) {
	m := itemNumber.FindStringSubmatchIndex(r.plain.text[from:stop])
	if m == nil {
		return listItem{}, false
	}
	item := listItem{indent: m[1] - len(strings.TrimLeft(r.plain.text[from:from+m[1]], " \t"))}
	loose := false
	for g, name := range itemNumber.SubexpNames() {
		switch {
		case g == 0 || m[2*g] < 0:
		case name == "loose":
			loose = true
		case name == "word":
			item.place = 1 + slices.Index(ordinals, strings.ToLower(r.plain.text[from+m[2*g]:from+m[2*g+1]]))
		case name != "":
			item.place = value(r.plain.text[from+m[2*g] : from+m[2*g+1]])
		}
	}
	loose = loose && !(r.table && r.plain.text[from] == '|')
	from += m[1]
	var on []mention
	at, _ := slices.BinarySearchFunc(r.all, from+1, func(m mention, to int) int { return m.to - to })
	for _, o := range r.all[at:min(at+most, len(r.all))] {
		if o.to <= stop && (o.style > bare || len(on) == 0) {
			on = append(on, o)
		}
	}
	return r.identified(item, on, loose, from, stop)
}

// identified finds the identifier of an item among the mentions behind its number:
// the one right behind it, else the only one.
func (r *finder) identified(item listItem, on []mention, loose bool, from, stop int) (listItem, bool) {
	if len(on) == 0 {
		return item, false
	}
	item.mention = on[0]
	item.words = letters.MatchString(r.plain.text[on[0].to:stop])
	if on[0].from <= from || opening.MatchString(r.plain.text[from:on[0].from]) {
		if len(on) > 1 && r.joint(on[0], on[1]) >= elided {
			return item, false // "1. [2] > [0]"
		}
		if len(on) > 1 && on[1].style >= labelled && on[1].number != on[0].number {
			j := r.joint(on[0], on[1])
			item.unclear = j == listed || j == tied || j == through // "1. [0] and [1]"
		}
		clear := on[0].style >= labelled || !loose && (on[0].style == round || remarkAfter.MatchString(r.plain.text[on[0].to:stop]))
		return item, clear
	}
	item.words = true
	on = slices.DeleteFunc(on, func(m mention) bool { return m.style < labelled })
	if len(on) == 0 || loose {
		return item, false
	}
	if stepOfPlan.MatchString(r.plain.text[from:on[0].from]) {
		return item, false
	}
	item.mention = on[0]
	item.unclear = slices.ContainsFunc(on, func(m mention) bool { return m.number != on[0].number })
	return item, true
}

// numbered makes a candidate of a list's items.
func (r *finder) numbered(list []listItem) (candidate, bool) {
	if len(list) == 0 || len(list) < min(2, r.n) || list[0].place > 1 {
		return candidate{}, false
	}
	from, _ := r.line(list[0].mention.from)
	lead := falls.ReplaceAllString(r.lead(from), "")
	if negated.MatchString(lead) || turned.MatchString(lead) {
		return candidate{}, false
	}
	run := make([]mention, len(list))
	for i, item := range list {
		run[i] = item.mention
	}
	c := r.candidate(run, make([]joint, len(run)))
	c.form = listForm
	c.unclear = r.rising(run) || r.contradicted(run)
	for _, item := range list {
		c.prose = c.prose || item.words
		c.unclear = c.unclear || item.unclear
	}
	return c, true
}

// What the remarks of a list say of its passages, and what stands between an item's
// number and its identifier where the item is a step of a plan.
var (
	saidBest   = regexp.MustCompile(`(?i)\b(?:is|as|-|:) (?:clearly |by far )?(?:the )?(?:single )?(?:most relevant|best (?:answer|match|passage)|top)\b`)
	saidPoor   = regexp.MustCompile(`(?i)\b(?:not (?:at all )?(?:relevant|related)|irrelevant|unrelated|off[- ]topic|least relevant|not answer)\b`)
	stepOfPlan = regexp.MustCompile(`(?i)\b(?:i|we|let|look\w*|read\w*|check\w*|compar\w+|consider\w*|analy[sz]\w*|evaluat\w+|review\w*|identif\w+|will|then)\b`)
)

// contradicted says whether the remarks of a list call its first passage irrelevant
// while the last ones are not, or a later one the best.
func (r *finder) contradicted(run []mention) bool {
	poor := func(m mention) bool { return saidPoor.MatchString(r.remark(m)) }
	for _, m := range run[1:] {
		if saidBest.MatchString(r.remark(m)) && !saidBest.MatchString(r.remark(run[0])) || poor(run[0]) && !poor(m) {
			return true
		}
	}
	return false
}

// remark is what stands behind an identifier on its line.
func (r *finder) remark(m mention) string {
	line, _, _ := strings.Cut(r.rest(m), "\n")
	return line
}

// nextItem is the number of the next item of a list in one line.
var nextItem = regexp.MustCompile(`\(?[0-9]+[.):]\s*(?:` + label + `)?$`)

// rising says whether the scores behind identifiers are larger for a later one.
func (r *finder) rising(run []mention) bool {
	last := ""
	for i, m := range run {
		text := r.remark(m)
		if i+1 < len(run) && run[i+1].from-m.to < len(text) {
			text = nextItem.ReplaceAllString(r.plain.text[m.to:max(m.to, run[i+1].from)], "")
		}
		s := score.FindStringSubmatch(strings.TrimRight(text, " >=-,;[({"))
		if s == nil {
			continue
		}
		if last != "" && less(last, s[1]) {
			return true
		}
		last = s[1]
	}
	return false
}

// score is what may follow an identifier in a list that goes by scores.
var score = regexp.MustCompile(`(?i)^[\s:(|,=-]*(?:(?:relevance|relevancy|score|rating|confidence|of)[\s:=-]*)*([0-9]+(?:\.[0-9]+)?)(?: ?/ ?[0-9]+| ?%)?[\s)|]*$`)

// scored finds lines that begin with an identifier and go on with a score that
// falls from line to line, or with words under a title that says what they are.
func (r *finder) scored(ms []mention) []candidate {
	var out []candidate
	var run []mention
	end := func() {
		if c, ok := r.lines(run); ok {
			out = append(out, c)
		}
		run = nil
	}
	for _, m := range ms {
		from, _ := r.line(m.from)
		if !opening.MatchString(r.plain.text[from:m.from]) || m.style < labelled {
			continue
		}
		if len(run) > 0 && !r.follows(run[len(run)-1], from) {
			end()
		}
		run = append(run, m)
	}
	end()
	return out
}

// follows says whether no more than blank and indented lines stand between the line
// of a mention and the one that begins at from.
func (r *finder) follows(m mention, from int) bool {
	_, end := r.line(m.to)
	for line := range strings.Lines(r.plain.text[min(end+1, from):from]) {
		if strings.TrimSpace(line) != "" && line == strings.TrimLeft(line, " \t") {
			return false
		}
	}
	return end < from
}

// toRank is a title of passages that are yet to be ranked.
var toRank = regexp.MustCompile(`(?i)\b(?:following|given|provided|these) (?:\w+ ){0,2}(?:passages|documents|texts|candidates|items|results|list)\b|\b(?:will|to|would|must|should|going to|asked to|need to|lets|let me) (?:now )?(?:re-?)?(?:rank|order|sort)\b`)

// lines makes a candidate of lines that begin with an identifier.
func (r *finder) lines(run []mention) (candidate, bool) {
	if len(run) < 2 {
		return candidate{}, false
	}
	c := r.candidate(run, make([]joint, len(run)))
	c.form, c.prose = sequence, true
	if r.falling(run) {
		told, ok := r.told(run[0], c.style)
		c.doubtful = told == perhaps
		return c, ok
	}
	told, ok := r.told(run[0], c.style)
	lead := r.lead(run[0].from)
	c.unclear = c.unclear || r.contradicted(run)
	return c, ok && told == surely && lead != "" && !toRank.MatchString(lead)
}

// falling says whether scores stand behind all identifiers, and fall. Whole numbers
// that could be ranks are none.
func (r *finder) falling(run []mention) bool {
	last, ranks := "", true
	for i, m := range run {
		_, end := r.line(m.to)
		s := score.FindStringSubmatch(r.plain.text[m.to:end])
		if s == nil || i > 0 && less(last, s[1]) {
			return false
		}
		ranks = ranks && !strings.Contains(s[1], ".") && value(s[1]) <= r.n
		last = s[1]
	}
	return !ranks
}
