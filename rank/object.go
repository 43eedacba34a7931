package rank

import (
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// field is a field of a JSON object, whose order tells something.
type field struct {
	name  string
	value any // string, json.Number, bool, nil, []any or []field
}

// mostObjects bounds the places of a text where JSON is looked for, since each may
// be read to the end of the text.
const mostObjects = 16

// objects finds the JSON objects of a text, and lists of them, as candidates; rest
// is the text with blanks in their places.
func objects(text string, n, first int) (found []candidate, rest string) {
	out := []byte(text)
	var lines []any // objects one behind the other
	from, last := 0, 0
	end := func() {
		if len(lines) > 0 {
			found = append(found, fromJSON(lines, from, last, n, first)...)
		}
		lines = nil
	}
	for at, tries := 0, 0; at < len(text) && tries < mostObjects; at++ {
		if !opensObject(text[at:]) {
			continue
		}
		value, size, err := decodeJSON(text[at:])
		if err != nil {
			tries++
			continue
		}
		if lines == nil || strings.Trim(text[last:at], " \t\r\n,") != "" {
			end()
			from = at
		}
		if list, ok := value.([]any); ok {
			lines = append(lines, list...)
		} else {
			lines = append(lines, value)
		}
		last = at + size
		for i := at; i < last; i++ {
			out[i] = ' '
		}
		at = last - 1
	}
	end()
	return found, string(out)
}

// opensObject says whether text begins with an object or a list of objects.
func opensObject(text string) bool {
	if text[0] == '[' {
		text = strings.TrimLeft(text[1:], " \t\r\n")
	}
	return strings.HasPrefix(text, "{")
}

// decodeJSON reads the value that text begins with, and its size.
func decodeJSON(text string) (any, int, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := decodeValue(d, 0)
	return v, int(d.InputOffset()), err
}

// mostDepth bounds how deep values are nested.
const mostDepth = 32

func decodeValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil || depth > mostDepth {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		fields := []field{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			fields = append(fields, field{name.(string), v})
		}
		_, err = d.Token()
		return fields, err
	}
	return t, nil
}

// The names of fields.
var (
	idField     = regexp.MustCompile(`(?i)^(?:passage|document|doc|candidate|item|text)?s?[ _-]?(?:id|identifier|number|no|num|index|idx)?$`)
	rankField   = regexp.MustCompile(`(?i)^(?:rank|ranking|position|place|order)$`)
	scoreField  = regexp.MustCompile(`(?i)score|relevance|rating|confidence`)
	orderField  = regexp.MustCompile(`(?i)rank|order|sort|answer|result|output|final|response`)
	remarkField = regexp.MustCompile(`(?i)reason|thought|think|explanation|analysis|rationale|justif|comment|note|score|relevance|rating|grade|confidence|input|original|irrelevant|excluded|query|ignore|discard|example|error|refus|initial|draft|baseline|previous|before|wrong|incorrect|alternative|rejected|duplicate|skip|not_|worst$|format|schema|template`)
	ranksField  = regexp.MustCompile(`(?i)^(?:ranks?|positions?|places?|passage_ranks|labels?)$`)
	failField   = regexp.MustCompile(`(?i)^(?:error|errors|refusal)$`)
	backField   = regexp.MustCompile(`(?i)worst|least|lowest|weakest|ascending|\basc\b|increasing|reverse|invers|bottom`)
	placeField  = regexp.MustCompile(`(?i)^(?:rank|position|place)?[ _-]?([0-9]+)$`)
)

// fromJSON returns the candidates in objects that stand at from to to.
func fromJSON(list []any, from, to, n, first int) []candidate {
	var found []candidate
	if c, ok := fromRecords(list); ok {
		found = []candidate{c}
	} else {
		for _, v := range list {
			found = append(found, fromValue(v, n, first)...)
		}
	}
	for i := range found {
		found[i].from, found[i].to, found[i].form = from, to, object
	}
	return found
}

// fromValue returns the candidates in one value.
func fromValue(v any, n, first int) []candidate {
	switch v := v.(type) {
	case string:
		return newFinder(v, n, first).candidates()
	case []any:
		if c, ok := fromList(v); ok {
			return []candidate{c}
		}
		if c, ok := fromRecords(v); ok {
			return []candidate{c}
		}
	case []field:
		return fromFields(v, n, first)
	}
	return nil
}

// fromFields looks in the fields that by their names hold a ranking, else in those
// that do not hold something else.
func fromFields(fields []field, n, first int) []candidate {
	if c, ok := fromPlaces(fields); ok {
		return []candidate{c}
	}
	var named, others []candidate
	empty := false
	for _, f := range fields {
		if remarkField.MatchString(f.name) {
			continue
		}
		more := fromValue(f.value, n, first)
		for i := range more {
			more[i].unclear = more[i].unclear || byRank(f) || unlike(more[i], fields)
		}
		list, isList := f.value.([]any)
		empty = empty || orderField.MatchString(f.name) && isList && len(list) == 0
		if orderField.MatchString(f.name) {
			named = append(named, more...)
		} else {
			others = append(others, more...)
		}
	}
	if empty && len(named) == 0 {
		return nil
	}
	for i := range others {
		others[i].doubtful = true
	}
	if len(named) == 0 {
		named = others
	}
	for i := range named {
		named[i].unclear = named[i].unclear || slices.ContainsFunc(fields, fromWorst)
	}
	return named
}

// byRank says whether a field holds the passages' ranks, in the order shown.
func byRank(f field) bool {
	list, isList := f.value.([]any)
	if !isList || !ranksField.MatchString(f.name) {
		return false
	}
	_, ok := fromList(list)
	return ok
}

// unlike says whether another field lists passages, and others than a candidate: its
// numbers are ranks then.
func unlike(c candidate, fields []field) bool {
	for _, f := range fields {
		list, _ := f.value.([]any)
		other, ok := fromList(list)
		if !ok || !idField.MatchString(strings.TrimSuffix(f.name, "s")) || len(other.items) != len(c.items) {
			continue
		}
		for _, e := range c.items {
			if !slices.ContainsFunc(other.items, func(o entry) bool { return o.number == e.number }) {
				return true
			}
		}
	}
	return false
}

// fromWorst says whether a field is of an order that begins with the worst, or says
// so, or tells of an error.
func fromWorst(f field) bool {
	text, isText := f.value.(string)
	return backField.MatchString(f.name) || isText && backwards.MatchString(text) || failField.MatchString(f.name) && f.value != nil && f.value != "" && f.value != false ||
		isText && !remarkField.MatchString(f.name) && len(text) < 60 && backField.MatchString(falls.ReplaceAllString(text, ""))
}

// fromList reads a list of identifiers.
func fromList(list []any) (candidate, bool) {
	c := candidate{style: square}
	for _, v := range list {
		number, _, ok := scalar(v)
		if !ok {
			return c, false
		}
		c.items = append(c.items, entry{number: number})
	}
	return c, len(c.items) > 0
}

// fromPlaces reads fields that are named by their places, as {"1": "Passage 2"}. A
// plain number may be a score.
func fromPlaces(fields []field) (candidate, bool) {
	c := candidate{style: square}
	for i, f := range fields {
		place := placeField.FindStringSubmatch(f.name)
		inWords := i < len(ordinals) && strings.EqualFold(f.name, ordinals[i])
		number, dressed, ok := scalar(f.value)
		if !ok || !inWords && (place == nil || value(place[1]) != i+1 || !dressed && place[1] == f.name) {
			return c, false
		}
		c.items = append(c.items, entry{number: number})
	}
	return c, len(c.items) > 0
}

// scalar reads one identifier, and says whether it is more than digits.
func scalar(v any) (number int, dressed, ok bool) {
	var text string
	if list, is := v.([]any); is && len(list) == 1 {
		v = list[0]
	}
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	p := plain(text)
	all := mentions(p, text)
	if len(all) != 1 || !opening.MatchString(p.text[:all[0].from]) || !nothing.MatchString(p.text[all[0].to:]) {
		return 0, false, false
	}
	return all[0].number, strings.TrimFunc(text, isDigit) != "", true
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// record is an object with an identifier.
type record struct {
	id, rank int
	ranked   bool
	score    string
}

// readRecord reads an object; ok is false where it names no passage, or two.
func readRecord(v any) (r record, ok bool) {
	fields, _ := v.([]field)
	for _, f := range fields {
		number, _, isNumber := scalar(f.value)
		switch {
		case rankField.MatchString(f.name) && isNumber:
			r.rank, r.ranked = number, true
		case idField.MatchString(f.name) && isNumber:
			if ok && number != r.id {
				return r, false
			}
			r.id, ok = number, true
		case scoreField.MatchString(f.name):
			if n, isScore := f.value.(json.Number); isScore {
				r.score = n.String()
			}
		}
	}
	return r, ok
}

// fromRecords reads a list of objects, each with an identifier. They go by their
// ranks, if all have one; else their order counts, unless their scores contradict
// it.
func fromRecords(list []any) (candidate, bool) {
	c := candidate{style: square}
	var records []record
	ranks, rises := map[int]bool{}, false
	for i, v := range list {
		r, ok := readRecord(v)
		if !ok {
			return c, false
		}
		if r.ranked {
			ranks[r.rank] = true
		}
		rises = rises || i > 0 && less(records[i-1].score, r.score)
		records = append(records, r)
	}
	if len(ranks) == len(list) {
		slices.SortFunc(records, func(a, b record) int { return a.rank - b.rank })
	} else {
		c.unclear = rises || len(ranks) > 0
	}
	for _, r := range records {
		c.items = append(c.items, entry{number: r.id})
	}
	return c, len(records) > 0
}

// less compares numbers; what is none is less than nothing.
func less(a, b string) bool {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x < y
}
