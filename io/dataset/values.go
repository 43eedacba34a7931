package dataset

import (
	"fmt"
	"math"
)

// Has says whether the row has the field with a value other than null.
func (r *Row) Has(name string) bool {
	_, ok := r.value(name)
	return ok
}

// value gives a field's JSON. A null is as good as no field: a table written to
// JSON lines has one wherever a row lacks the column.
func (r *Row) value(name string) (json []byte, ok bool) {
	i, ok := r.index[name]
	if !ok {
		return nil, false
	}
	f := r.fields[i]
	return r.Raw[f.value:f.end], r.Raw[f.value] != 'n'
}

// String gives a text field; ok is false where it is absent or null. Text is
// without NUL and without half surrogate pairs, neither of which a tokenizer
// takes as it stands.
func (r *Row) String(name string) (v string, ok bool, err error) {
	json, ok := r.value(name)
	if !ok {
		return "", false, nil
	}
	v, err = r.text(name, json, "a string")
	return v, err == nil, err
}

// Strings gives a field that is a list of texts; ok is false where it is absent
// or null. An empty list is present.
func (r *Row) Strings(name string) (v []string, ok bool, err error) {
	json, ok := r.value(name)
	if !ok {
		return nil, false, nil
	}
	v, err = r.texts(name, json, "a list of strings")
	return v, err == nil, err
}

// StringOrStrings is Strings, with one string taken for a list of one.
func (r *Row) StringOrStrings(name string) (v []string, ok bool, err error) {
	json, ok := r.value(name)
	if !ok {
		return nil, false, nil
	}
	if json[0] != '"' {
		v, err = r.texts(name, json, "a string or a list of strings")
		return v, err == nil, err
	}
	one, err := r.text(name, json, "a string")
	if err != nil {
		return nil, false, err
	}
	return []string{one}, true, nil
}

// TokenIDs gives a field that is a list of integers from 0 to 2^31-1; ok is
// false where it is absent or null.
func (r *Row) TokenIDs(name string) (v []int32, ok bool, err error) {
	json, ok := r.value(name)
	if !ok {
		return nil, false, nil
	}
	v, err = r.ids(name, json)
	return v, err == nil, err
}

// TokenIDLists gives a field that is a list of such lists.
func (r *Row) TokenIDLists(name string) (v [][]int32, ok bool, err error) {
	json, ok := r.value(name)
	if !ok {
		return nil, false, nil
	}
	if json[0] != '[' {
		return nil, false, r.wrongKind(name, "a list of lists of integers", json)
	}
	v = [][]int32{}
	for i, element := range elements(json) {
		ids, err := r.ids(fmt.Sprintf("%s[%d]", name, i), element)
		if err != nil {
			return nil, false, err
		}
		v = append(v, ids)
	}
	return v, true, nil
}

// text decodes the string at json; place is its field and want what it should
// be, for the message.
func (r *Row) text(place string, json []byte, want string) (string, error) {
	if json[0] != '"' {
		return "", r.wrongKind(place, want, json)
	}
	v, err := unquote(json)
	if err != nil {
		return "", r.Errorf(place, "%v", err)
	}
	return v, nil
}

func (r *Row) texts(name string, json []byte, want string) ([]string, error) {
	if json[0] != '[' {
		return nil, r.wrongKind(name, want, json)
	}
	v := []string{}
	for i, element := range elements(json) {
		if element[0] == '"' {
			if one, err := unquote(element); err == nil {
				v = append(v, one)
				continue
			}
		}
		// Bad, so that the place is worth spelling out.
		_, err := r.text(fmt.Sprintf("%s[%d]", name, i), element, "a string")
		return nil, err
	}
	return v, nil
}

func (r *Row) ids(place string, json []byte) ([]int32, error) {
	if json[0] != '[' {
		return nil, r.wrongKind(place, "a list of integers", json)
	}
	v := []int32{}
	for i, element := range elements(json) {
		id, ok := tokenID(element)
		if !ok {
			got := kind(element)
			if got == "a number" {
				got = abridged(element)
			}
			return nil, r.Errorf(fmt.Sprintf("%s[%d]", place, i), "want an integer from 0 to %d, got %s", math.MaxInt32, got)
		}
		v = append(v, id)
	}
	return v, nil
}

func (r *Row) wrongKind(place, want string, json []byte) *Error {
	return r.Errorf(place, "want %s, got %s", want, kind(json))
}

// tokenID reads plain digits; 1.0 and 1e3 are not taken for integers.
func tokenID(number []byte) (id int32, ok bool) {
	var n int64
	for _, c := range number {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
		if n > math.MaxInt32 {
			return 0, false
		}
	}
	return int32(n), true
}

// abridged keeps a message readable where a number has a thousand digits.
func abridged(number []byte) string {
	const most = 24
	if len(number) <= most {
		return string(number)
	}
	return string(number[:most]) + "..."
}

// Elements gives the elements of a list as they stand in the line; none where the
// field is no list.
func (r *Row) Elements(name string) [][]byte {
	json, ok := r.value(name)
	if !ok || json[0] != '[' {
		return nil
	}
	var out [][]byte
	for _, element := range elements(json) {
		out = append(out, element)
	}
	return out
}
