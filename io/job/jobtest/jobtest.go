// Package jobtest is an output in memory for tests of scorers.
package jobtest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/ortscore/ortscore/io/dataset"
)

// Output holds what is written.
type Output struct {
	bytes.Buffer
	Fail    error  // of every Write
	Wrote   func() // if set, is called after each Write
	Rejects bool   // rows are rejected; else a bad one is the error of Reject
	Reasons []string
	Kept    map[int][]json.RawMessage // by row
}

// Write implements job.Output.
func (o *Output) Write(line []byte) error {
	if o.Fail != nil {
		return o.Fail
	}
	o.Buffer.Write(line)
	o.WriteByte('\n')
	if o.Wrote != nil {
		o.Wrote()
	}
	return nil
}

// Reject implements job.Output.
func (o *Output) Reject(bad *dataset.Error) error {
	if !o.Rejects {
		return bad
	}
	reason := bad.Msg
	if bad.Field != "" {
		reason = bad.Field + ": " + reason
	}
	if bad.Column > 0 {
		reason = fmt.Sprintf("column %d: %s", bad.Column, reason)
	}
	o.Reasons = append(o.Reasons, fmt.Sprintf("%d: %s", bad.Line, reason))
	return nil
}

// Keep implements job.Output.
func (o *Output) Keep(row int, answer any) error {
	text, err := json.Marshal(answer)
	if o.Kept == nil {
		o.Kept = map[int][]json.RawMessage{}
	}
	o.Kept[row] = append(o.Kept[row], text)
	return err
}

// Tell implements job.Output.
func (o *Output) Tell([]byte) error { return nil }

// EndBlock implements job.Output.
func (o *Output) EndBlock(int, any) error { return nil }
