package rank

import (
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plainText is a text in few signs, so that one form is written in one way: no
// emphasis, quotes or escapes, digits, brackets and arrows of ASCII.
type plainText struct {
	text string
	at   []int // [len(text)+1] where in the original each byte comes from
}

// rewritten finds what becomes another text as a whole; the rest goes sign by sign.
var rewritten = regexp.MustCompile(strings.Join([]string{
	"(?P<nothing>(?m:^[ \t]*(?:```|~~~)[a-zA-Z]*[ \t]*$)|```(?:json|text|markdown|python|yaml)?|(?m:^[ \t]*#{1,6}[ \t]+)|" +
		`(?i:</?(?:b|i|u|em|strong|code|span|mark|s|del|ins|small|tt|kbd|font)(?:\s[^<>\n]*)?>)|` +
		`\\(?:text|textbf|textit|texttt|textrm|mathbf|mathrm|underline|boxed|operatorname)\s*\{)`,
	`(?P<line></?[a-zA-Z][\w:.-]*(?:\s[^<>\n]*)?/?>|<[|｜][^<>|｜\n]{1,40}[|｜]>)`,
	`(?P<behind>\\(?:succ|succeq|gt|ge|geq|to|rightarrow|Rightarrow|longrightarrow)\b)`,
	`(?P<before>\\(?:prec|preceq|lt|le|leq|gets|leftarrow|Leftarrow)\b)`,
	`(?P<tied>\\(?:approx|sim|simeq|equiv)\b)`,
	`(?P<entity>&(?:[a-zA-Z]{2,6}|#[0-9]{2,4}|#[xX][0-9a-fA-F]{2,4});)`,
	`(?P<angle><[ \t]*[0-9]+[ \t]*>)`,
	`(?P<bullet>(?m:^[ \t]*(?:[*•·●▪◦‣⁃–—+]|(?:[a-zA-Z]|[ivx]{2,4})[.)])[ \t]+))`,
}, "|"))

// plain rewrites a text.
func plain(text string) plainText {
	p := plainText{at: make([]int, 0, len(text)+1)}
	var out strings.Builder
	add := func(s string, at int) {
		out.WriteString(s)
		for range len(s) {
			p.at = append(p.at, at)
		}
	}
	quotes := quoteMarks(text)
	signs := func(from, to int) {
		for i := from; i < to; {
			r, size := utf8.DecodeRuneInString(text[i:])
			if !quotes[i] {
				add(sign(r), i)
			}
			i += size
		}
	}
	at := 0
	for _, m := range rewritten.FindAllStringSubmatchIndex(text, -1) {
		signs(at, m[0])
		for g, name := range rewritten.SubexpNames() {
			if g > 0 && m[2*g] >= 0 {
				add(rewrite(name, text[m[0]:m[1]]), m[0])
			}
		}
		at = m[1]
	}
	signs(at, len(text))
	p.text, p.at = out.String(), append(p.at, len(text))
	return p
}

// rewrite returns what stands for a match of rewritten.
func rewrite(name, match string) string {
	switch name {
	case "line":
		return "\n"
	case "behind":
		return ">"
	case "before":
		return "<"
	case "tied":
		return "="
	case "angle":
		return "(" + strings.Trim(match, "< \t>") + ")"
	case "bullet":
		return "- "
	case "entity":
		var out strings.Builder
		for _, r := range html.UnescapeString(match) {
			out.WriteString(sign(r))
		}
		return out.String()
	}
	return ""
}

// signs are what single signs become.
var signs = func() map[rune]string {
	all := map[rune]string{}
	for to, from := range map[string]string{
		"":    "*_`\"'\\$“”„‟″‘’‚´«»「」『』\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0e\ufe0f",
		"[":   "［【〔⟦",
		"]":   "］】〕⟧",
		"(":   "（",
		")":   "）\u20e3",
		"{":   "｛",
		"}":   "｝",
		">":   "＞≻≽≥›→⇒⟶⟹➔➜➝➞➡▶▸►⪰≫⟩",
		"<":   "＜≺≼≤‹←⇐⟵⟸⬅◀◂◄⪯≪⟨",
		"=":   "＝≈∼≡≃≅",
		",":   "，、",
		";":   "；",
		":":   "：",
		".":   "．。",
		"~":   "～〜",
		"#":   "＃",
		"|":   "｜│",
		"!>":  "≯⊁≱⋡",
		"!<":  "≮⊀≰⋠",
		"-":   "–—−‐‑‒―－",
		"!":   "\u0338", // strikes out the sign before it
		"...": "…",
		"\n":  "\r\u0085\u2028\u2029",
	} {
		for _, r := range from {
			all[r] = to
		}
	}
	return all
}()

// sign returns what stands for a rune.
func sign(r rune) string {
	switch {
	case r == '\n':
		return "\n"
	case r >= 0x1d7ce && r <= 0x1d7ff: // bold digits and the like, of mathematics
		return string((r-0x1d7ce)%10 + '0')
	case r == '⓪':
		return "(0)"
	case r >= '①' && r <= '⑳':
		return "(" + strconv.Itoa(int(r-'①')+1) + ")"
	case r > unicode.MaxASCII && unicode.IsDigit(r): // ten that follow one another
		d := rune(0)
		for d < 9 && unicode.IsDigit(r-d-1) {
			d++
		}
		return string('0' + d)
	}
	if s, ok := signs[r]; ok {
		return s
	}
	if isSpace(r) || unicode.IsControl(r) {
		return " "
	}
	return string(r)
}

var quoteMark = regexp.MustCompile(`^[ \t]*>[ \t]`)

// quoteMarks finds the ">" before lines that are quoted as a block: two or more
// behind an empty line. They are no arrows.
func quoteMarks(text string) map[int]bool {
	marks, block := map[int]bool{}, []int{}
	at, free := 0, true
	flush := func() {
		for _, i := range block {
			marks[i] = len(block) > 1
		}
		block = block[:0]
	}
	for line := range strings.Lines(text) {
		if m := quoteMark.FindStringIndex(line); m != nil && (free || len(block) > 0) {
			block = append(block, at+strings.IndexByte(line, '>'))
		} else {
			flush()
		}
		free = strings.TrimFunc(line, isSpace) == ""
		at += len(line)
	}
	flush()
	return marks
}
