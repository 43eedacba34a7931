package dataset

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Field is a field to write. Value is its JSON, valid and on one line.
type Field struct {
	Name  string
	Value []byte
}

// Splice gives the line with fields set and dropped; every other byte is kept. A
// field that is there has its value replaced where it stands. The others are
// added at the end in the order given, spaced as Python's json.dumps does, or
// without spaces if that is how the line is written. The names in set differ; a
// name in both set and drop is set. Names in drop that the row lacks are no
// error.
func (r *Row) Splice(set []Field, drop []string) []byte {
	size := len(r.Raw)
	for _, f := range set {
		size += len(f.Name) + len(f.Value) + len(`, "": `)
	}
	out := make([]byte, 0, size)
	at, written := skipSpace(r.Raw, 0)+1, false
	if len(r.fields) > 0 {
		at = r.fields[0].key
	}
	out = append(out, r.Raw[:at]...)
	for i, f := range r.fields {
		at = f.end
		change := slices.IndexFunc(set, func(s Field) bool { return s.Name == f.name })
		if change < 0 && slices.Contains(drop, f.name) {
			continue
		}
		if written { // the comma before it, with its white space, belongs to a field
			out = append(out, r.Raw[r.fields[i-1].end:f.key]...)
		}
		written = true
		if change < 0 {
			out = append(out, r.Raw[f.key:f.end]...)
			continue
		}
		out = append(out, r.Raw[f.key:f.value]...)
		out = append(out, set[change].Value...)
	}
	comma, colon := r.separators()
	for _, f := range set {
		if _, there := r.index[f.Name]; there {
			continue
		}
		if written {
			out = append(out, comma...)
		}
		written = true
		name, _ := json.Marshal(f.Name) // a string always marshals
		out = append(append(append(out, name...), colon...), f.Value...)
	}
	return append(out, r.Raw[at:]...)
}

// separators gives what goes before a field added to the line and after its key.
// The first colon tells the line's style.
func (r *Row) separators() (comma, colon string) {
	if len(r.fields) > 0 {
		f := r.fields[0]
		if r.Raw[f.value-1] == ':' {
			return ",", ":"
		}
	}
	return ", ", ": "
}

// Floats writes a list of numbers, spaced as Python's json.dumps does, each in
// the shortest form that reads back as the same float32. Every number has a
// point or an exponent: readers that guess a column's type from its first rows
// take 1 for an integer and then fail on 1.5. NaN and infinities, which JSON
// does not have, are an error.
func Floats(v []float32) ([]byte, error) {
	out := make([]byte, 0, 2+14*len(v))
	out = append(out, '[')
	for i, x := range v {
		wide := float64(x)
		if math.IsNaN(wide) || math.IsInf(wide, 0) {
			return nil, fmt.Errorf("want finite numbers, got %v at index %d", x, i)
		}
		if i > 0 {
			out = append(out, ", "...)
		}
		// Python's own bounds for the plain form.
		if size := math.Abs(wide); size != 0 && (size < 1e-4 || size >= 1e16) {
			out = strconv.AppendFloat(out, wide, 'e', -1, 32)
			continue
		}
		start := len(out)
		out = strconv.AppendFloat(out, wide, 'f', -1, 32)
		if !slices.Contains(out[start:], '.') {
			out = append(out, ".0"...)
		}
	}
	return append(out, ']'), nil
}
