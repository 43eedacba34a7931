package rank

import (
	"strings"
	"unicode"
)

// Clean makes a text safe to stand among numbered passages. What looks like the
// identifier of one, such as [3], [ 1, 2 ] or 【３】, stands in round brackets then,
// with plain digits; runs of white space, newlines among them, become one space, so
// that a passage is one line; none is left at the edges. Clean text stays as it is.
func Clean(text string) string {
	text = bracketed.ReplaceAllStringFunc(text, func(group string) string {
		return "(" + plainDigits(strings.TrimFunc(group, func(r rune) bool { return isSpace(r) || isBracket(r) })) + ")"
	})
	return strings.Join(strings.FieldsFunc(text, isSpace), " ")
}

// isSpace says what white space is: besides what Unicode calls so, as in the
// lists of Python, the separators U+001C to U+001F.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

func isBracket(r rune) bool { return strings.ContainsRune("[]［］【】", r) }

// plainDigits turns full-width digits into those of ASCII.
func plainDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '０' && r <= '９' {
			return r - '０' + '0'
		}
		return r
	}, s)
}
