package job

import "github.com/ortscore/ortscore/io/dataset"

// Scores is what a scorer makes of a row.
type Scores struct {
	Row    *dataset.Row
	Lists  []List          // the fields of scores, in the order in which they are added
	Fields []dataset.Field // what else is set, before these
	Drop   []string        // fields that are removed
}

// List is a field of scores.
type List struct {
	Name   string
	Values []float32
}

// line is the row's line with its scores.
func (s *Scores) line() ([]byte, error) {
	fields := s.Fields
	for _, l := range s.Lists {
		value, err := dataset.Floats(l.Values)
		if err != nil {
			return nil, s.Row.Errorf(l.Name, "%v", err)
		}
		fields = append(fields, dataset.Field{Name: l.Name, Value: value})
	}
	return s.Row.Splice(fields, s.Drop), nil
}
