// Package manifest writes down beside a file of scores, in {out}.manifest.json, how
// it was made and what it holds, reads that again, and joins what the shards of one
// output say.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/ortscore/ortscore/io/atomicfile"
	"github.com/ortscore/ortscore/io/regular"
)

// Format is the number of the format that is written, and the highest that is read.
// It changes when an older ortscore would misread a manifest; fields may be added
// without.
const Format = 1

// maxSize is the most bytes of a manifest, that of many shards joined.
const maxSize = 256 << 20

// Manifest says how a file of scores was made and what it holds.
type Manifest struct {
	Format  int    `json:"manifest_format"`
	Version string `json:"ortscore_version"`

	// Command is nll or rank, and Arguments its flags and inputs, without secrets; Folder
	// is where it ran, to which relative paths among them lead.
	Command   string   `json:"command"`
	Arguments []string `json:"arguments"`
	Folder    string   `json:"folder"`

	// Identity decides the output's bytes: two runs of one identity over the same rows
	// write the same, on a CPU. Machine is what else they ran on.
	Identity []Fact `json:"identity"`
	Machine  []Fact `json:"machine"`
	Files    []File `json:"files"`

	Shard    Shard           `json:"shard"`
	Counts   Counts          `json:"counts"`
	Summary  json.RawMessage `json:"summary,omitempty"` // the command's, as its --json writes it
	Started  time.Time       `json:"started"`
	Finished time.Time       `json:"finished"`
	Seconds  float64         `json:"seconds"` // of work: those of all starts and all shards, added up

	Output   Written  `json:"output"`
	Rejected *Written `json:"rejected,omitempty"` // {out}.rejected.jsonl; nil where there is none
	Answers  *Written `json:"answers,omitempty"`  // {out}.answers.jsonl; nil where there is none

	// Shards are those that the output was joined of, in order; none for a run's.
	Shards []Part `json:"shards,omitempty"`
}

// Shard says which rows of the input were read: From <= row < To of Total, counted
// from 0 without blank lines, as shard Index of Of. Of is 0 for a run without shards.
type Shard struct {
	Index int `json:"index"`
	Of    int `json:"of"`
	From  int `json:"from"`
	To    int `json:"to"`
	Total int `json:"total"`
	Block int `json:"block"` // rows that are scored together, from a multiple of it on
}

// Counts are those of a run.
type Counts struct {
	Rows     int `json:"rows"`     // with scores
	Rejected int `json:"rejected"` // without
	Passages int `json:"passages"` // scores
}

// Input is the role of the input among the files of a manifest.
const Input = "input"

// File is a file that was read.
type File struct {
	Role   string `json:"role"` // model, weights, tokenizer, config and so on, or Input
	Path   string `json:"path"` // absolute
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // in hexadecimal
}

// Written is a file that was written, in the folder of the manifest.
type Written struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	Lines  int64  `json:"lines"` // unpacked
	SHA256 string `json:"sha256"`
}

// Part is a shard of an output that was joined.
type Part struct {
	Index    int       `json:"index"`
	Name     string    `json:"name"` // of its file
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Seconds  float64   `json:"seconds"`
	SHA256   string    `json:"sha256"`
}

// Path is where the manifest of an output lies.
func Path(out string) string { return out + ".manifest.json" }

// Marshal returns the text of a manifest's file.
func Marshal(m *Manifest) ([]byte, error) {
	m.Format = Format
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(m)
	return text.Bytes(), err
}

// Write puts a manifest at path, whole or not at all, in place of one that is there.
func Write(path string, m *Manifest) error {
	text, err := Marshal(m)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	f, err := atomicfile.Create(path, true)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Commit()
}

// Read reads the manifest at path. errors.Is(err, fs.ErrNotExist) holds where there
// is none.
func Read(path string) (*Manifest, error) {
	text, err := regular.Read(path, maxSize)
	if err != nil {
		return nil, err
	}
	m, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: want a manifest of ortscore: %w", path, err)
	}
	return m, nil
}

// Parse reads the text of a manifest's file. Fields that it does not know are passed
// over.
func Parse(text []byte) (*Manifest, error) {
	m := &Manifest{}
	err := json.Unmarshal(text, m)
	if m.Format > Format {
		return nil, fmt.Errorf("manifest_format: want at most %d, got %d: take a newer ortscore", Format, m.Format)
	}
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

var hexSum = regexp.MustCompile(`^[0-9a-f]{64}$`)

// check refuses what no run writes.
func (m *Manifest) check() error {
	switch s, c := m.Shard, m.Counts; {
	case m.Format < 1:
		return fmt.Errorf("manifest_format: want at least 1, got %d", m.Format)
	case m.Command == "":
		return errors.New("command: want a name, got none")
	case s.Of < 0 || s.Index < 0 || s.Of == 0 && s.Index > 0 || s.Of > 0 && s.Index >= s.Of:
		return fmt.Errorf("shard: want an index from 0 to one less than of, got %d of %d", s.Index, s.Of)
	case s.From < 0 || s.To < s.From || s.Total < s.To:
		return fmt.Errorf("shard: want rows with 0 <= from <= to <= total, got %d, %d, %d", s.From, s.To, s.Total)
	case c.Rows < 0 || c.Rejected < 0 || c.Rows+c.Rejected != s.To-s.From:
		return fmt.Errorf("counts: want %d rows, rejected ones included, got %d and %d", s.To-s.From, c.Rows, c.Rejected)
	case m.Output.Lines != int64(c.Rows):
		return fmt.Errorf("output: lines: want one for each of %d rows, got %d", c.Rows, m.Output.Lines)
	case (m.Rejected != nil) != (c.Rejected > 0) || m.Rejected != nil && m.Rejected.Lines != int64(c.Rejected):
		return fmt.Errorf("rejected: want a file with a line for each of %d rows", c.Rejected)
	}
	for _, w := range m.Written("") {
		if w.Bytes < 0 || !hexSum.MatchString(w.SHA256) {
			return fmt.Errorf("%s: want bytes and sha256, got %d and %q", w.Name, w.Bytes, w.SHA256)
		}
	}
	return nil
}

// What follows an output's name in those of the files beside it.
const (
	RejectedSuffix = ".rejected.jsonl"
	AnswersSuffix  = ".answers.jsonl"
)

// RejectedPath is where the rejected rows of an output lie.
func RejectedPath(out string) string { return out + RejectedSuffix }

// At is a file that was written, and where it lies.
type At struct {
	Path string
	Written
}

// Written lists the files of an output at out, itself first.
func (m *Manifest) Written(out string) []At {
	all := []At{{out, m.Output}}
	if m.Rejected != nil {
		all = append(all, At{out + RejectedSuffix, *m.Rejected})
	}
	if m.Answers != nil {
		all = append(all, At{out + AnswersSuffix, *m.Answers})
	}
	return all
}
