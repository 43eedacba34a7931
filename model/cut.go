package model

import "unicode/utf8"

// CutAfter returns the text of the first n tokens; enc is the text's encoding.
// A character whose bytes are spread over tokens on both sides of the cut goes
// with the rest. Offsets need not rise: a normaliser may reorder characters.
func CutAfter(text string, enc Encoding, n int) string {
	end := 0
	for i, o := range enc.Offsets {
		switch {
		case i < n:
			end = max(end, o.To)
		case o.Len() > 0: // not white space with its offsets trimmed
			end = min(end, o.From)
		}
	}
	end = min(end, len(text))
	for end > 0 && end < len(text) && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
