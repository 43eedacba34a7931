package rank

import (
	"bytes"
	"encoding/json"
)

// told is an answer as Tell writes it.
type told struct {
	File        string `json:"file"`
	Line        int    `json:"line"`
	Permutation int    `json:"permutation"` // of the row, from 0
	List        int    `json:"list"`        // of the permutation, from 0: windows, then passes
	Text        string `json:"text"`
	Failure     string `json:"failure,omitempty"` // why it is no ranking
}

// Tell implements job.Teller: what the teacher wrote about each list of a row. Where
// nothing but a ranking could be written, that is its text.
func (s *Scorer) Tell(ex *Example) (lines [][]byte, err error) {
	for k, p := range ex.permutations {
		for i, r := range p.read {
			t := told{ex.Row.File, ex.Row.Line, k, i, r.Text, r.failure()}
			if t.Text == "" && t.Failure == "" {
				t.Text = Format(r.Order, s.Fitter.First)
			}
			var line bytes.Buffer
			enc := json.NewEncoder(&line)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(t); err != nil {
				return nil, err
			}
			lines = append(lines, bytes.TrimSuffix(line.Bytes(), []byte("\n")))
		}
	}
	return lines, nil
}
