// Package dataset reads and writes JSON lines: one JSON object a line, each a
// query with its passages. A line that is read and written again keeps its
// bytes; only the fields that were set or dropped differ.
//
// Bad data is an *Error, which names the file, the line and the field. Any other
// error, a full disk or a damaged archive, is final.
package dataset

import "fmt"

// Error is bad data at a place. Its text is "file:line: field: want X, got Y",
// without the field where the line as a whole is bad, and "file:line:column: "
// where the place in the line is known.
type Error struct {
	File   string
	Line   int
	Column int    // 1-based, in bytes; 0 if there is none
	Field  string // with the element's index if there is one: "neg[3]", from 0
	Msg    string // "want X, got Y"
	Raw    []byte // the line without its end; nil if it was too long to keep
}

func (e *Error) Error() string {
	place := fmt.Sprintf("%s:%d:", e.File, e.Line)
	if e.Column > 0 {
		place += fmt.Sprintf("%d:", e.Column)
	}
	return place + " " + e.reason()
}

// reason is the text without the place.
func (e *Error) reason() string {
	if e.Field == "" {
		return e.Msg
	}
	return e.Field + ": " + e.Msg
}
