package openai

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Extra are fields that go into every request as they are, such as
// reasoning_effort or chat_template_kwargs. The zero Extra has none.
type Extra struct{ fields map[string]json.RawMessage }

// reserved are the fields that Extra may not have: with them a request would be
// another than the one whose answer is read.
var reserved = []string{"messages", "model", "n", "stream"}

// ParseExtra reads a JSON object.
func ParseExtra(text string) (Extra, error) {
	var e Extra
	var kind *json.UnmarshalTypeError
	err := json.Unmarshal([]byte(text), &e.fields)
	switch {
	case errors.As(err, &kind), err == nil && e.fields == nil:
		return Extra{}, errors.New("want a JSON object, got other JSON")
	case err != nil:
		return Extra{}, fmt.Errorf("want a JSON object, got %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(e.fields)) {
		if slices.Contains(reserved, name) {
			return Extra{}, fmt.Errorf("%s: must not be set, since every request has its own", name)
		}
	}
	return e, nil
}

// Has says whether a field of this name is there.
func (e Extra) Has(name string) bool { _, ok := e.fields[name]; return ok }

// limitFields are the names of the field that bounds an answer's tokens.
var limitFields = []string{"max_tokens", "max_completion_tokens"}

// limits says whether an answer's tokens are bounded by one of the fields.
func (e Extra) limits() bool { return slices.ContainsFunc(limitFields, e.Has) }

// MaxTokens returns that bound; 0 where there is none.
func (e Extra) MaxTokens() int {
	for _, name := range limitFields {
		var n int
		if json.Unmarshal(e.fields[name], &n) == nil && n > 0 {
			return n
		}
	}
	return 0
}

// merge puts the fields into a request, in place of those of the same name.
func (e Extra) merge(body []byte) ([]byte, error) {
	if len(e.fields) == 0 {
		return body, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, err
	}
	maps.Copy(all, e.fields)
	return json.Marshal(all)
}
