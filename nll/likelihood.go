package nll

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Answer is the likelihoods of some of a row's sequences.
type Answer struct {
	At     []int       `json:"at"` // of the sequences
	Values Likelihoods `json:"values"`
}

// Likelihoods are the mean log-likelihoods of a row's answers in nats: for each
// passage, one for each scored answer. As JSON they are exact, and those that are not
// finite are strings.
type Likelihoods []float32

// check returns the error of the first that is not finite. One such answer spoils its
// passage, even where another is better or the mean of all is asked.
func (l Likelihoods) check(ex *Example) error {
	answers := len(l) / ex.count()
	for i, s := range l {
		if !finite(s) {
			return ex.Row.Errorf(ex.passageField(i/answers), "want a finite score, got %v: the model's logits are not finite", s)
		}
	}
	return nil
}

func finite(v float32) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }

// MarshalJSON implements json.Marshaler.
func (l Likelihoods) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, v := range l {
		if i > 0 {
			out = append(out, ',')
		}
		text := strconv.FormatFloat(float64(v), 'g', -1, 32)
		if !finite(v) {
			text = strconv.Quote(text)
		}
		out = append(out, text...)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *Likelihoods) UnmarshalJSON(data []byte) error {
	var all []json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	*l = make(Likelihoods, len(all))
	for i, text := range all {
		v, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 32)
		if err != nil {
			return fmt.Errorf("want a number, got %s", text)
		}
		(*l)[i] = float32(v)
	}
	return nil
}

var _ json.Marshaler = Likelihoods{}
