package dataset

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// RejectLine is the line of a bad row, without its line end: {"file", "line",
// "error", "row"}. The row is the JSON as it stood in its file, so that the mended
// ones can be scored later; a string of the line, with U+FFFD for bytes that are
// not UTF-8, if it was not valid JSON; null if it was too long to keep.
func RejectLine(bad *Error) []byte {
	row := []byte("null")
	if bad.Raw != nil {
		row = bytes.TrimSpace(bad.Raw)
		if !utf8.Valid(row) || !json.Valid(row) {
			row = quote(string(bad.Raw))
		}
	}
	reason := bad.reason()
	if bad.Column > 0 {
		reason = fmt.Sprintf("column %d: %s", bad.Column, reason)
	}
	return fmt.Appendf(nil, `{"file": %s, "line": %d, "error": %s, "row": %s}`,
		quote(bad.File), bad.Line, quote(reason), row)
}

// quote writes a JSON string that stays readable: no \u003c for "<".
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string in memory: nothing can fail
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
