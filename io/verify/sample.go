package verify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/manifest"
)

// Row is a row of a sample, and what became of it.
type Row struct {
	Line   int    // of the input
	Input  []byte // the line; nil for one that is too long to be a row
	Output []byte // nil where it was rejected
}

// Sample draws at least n rows of an output by a seed: those of whole blocks, since
// what is scored together is decided by the block. A file with these rows alone is
// scored as they were.
func Sample(ctx context.Context, out string, m *manifest.Manifest, n int, seed uint64) ([]Row, error) {
	input, err := inputOf(m)
	if err != nil {
		return nil, err
	}
	rejected, err := rejectedLines(out, m)
	if err != nil {
		return nil, err
	}
	in, err := dataset.Open(input)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	scored, err := dataset.Open(out)
	if err != nil {
		return nil, err
	}
	defer scored.Close()
	var sample []Row
	drawn := drawBlocks(m.Shard, n, seed)
	for i := range m.Shard.To {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		row, err := nextRow(in)
		if err != nil {
			return nil, fmt.Errorf("%s: want %d rows, got %d: %w", input, m.Shard.To, i, err)
		}
		if i >= m.Shard.From && !rejected[row.Line] {
			made, err := scored.Next()
			if err != nil {
				return nil, fmt.Errorf("%s: want a row for line %d of %s: %w", out, row.Line, input, err)
			}
			row.Output = made.Raw
		}
		if i >= m.Shard.From && drawn[i/m.Shard.Block] {
			sample = append(sample, row)
		}
	}
	return sample, nil
}

func inputOf(m *manifest.Manifest) (string, error) {
	for _, f := range m.Files {
		if f.Role == manifest.Input {
			return f.Path, nil
		}
	}
	return "", errors.New("want the input's file in the manifest, got none: standard input cannot be read again")
}

// drawBlocks draws blocks of the input that lie in the rows of a shard.
func drawBlocks(s manifest.Shard, n int, seed uint64) map[int]bool {
	drawn := map[int]bool{}
	if s.Block < 1 || s.From == s.To {
		return drawn
	}
	first, last := s.From/s.Block, (s.To-1)/s.Block
	order := rand.New(rand.NewPCG(seed, 0)).Perm(last - first + 1)
	for _, block := range order[:min(len(order), (n+s.Block-1)/s.Block)] {
		drawn[first+block] = true
	}
	return drawn
}

// nextRow reads the next row of an input, be it good or bad.
func nextRow(in *dataset.Reader) (Row, error) {
	row, err := in.Next()
	var bad *dataset.Error
	if errors.As(err, &bad) {
		return Row{Line: bad.Line, Input: bad.Raw}, nil
	}
	if err != nil {
		return Row{}, err
	}
	return Row{Line: row.Line, Input: row.Raw}, nil
}

// rejectedLines are the lines of the input that have no row in the output.
func rejectedLines(out string, m *manifest.Manifest) (map[int]bool, error) {
	lines := map[int]bool{}
	if m.Rejected == nil {
		return lines, nil
	}
	return lines, eachRejected(out, func(line int) { lines[line] = true })
}

func eachRejected(out string, each func(line int)) error {
	for row, err := range rows(manifest.RejectedPath(out)) {
		var reject struct {
			Line int `json:"line"`
		}
		if err == nil {
			err = json.Unmarshal(row.Raw, &reject)
		}
		if err != nil {
			return err
		}
		each(reject.Line)
	}
	return nil
}

// WriteInput writes a file with the rows of a sample alone.
func WriteInput(path string, sample []Row) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, row := range sample {
		line := row.Input
		if line == nil {
			line = []byte("{") // as bad a row
		}
		_, _ = w.Write(line)
		_ = w.WriteByte('\n') // bufio keeps the first error
	}
	return errors.Join(w.Flush(), f.Close())
}

// Difference is how far the scores of a sample are from those that were made again.
type Difference struct {
	Rows    int
	Differ  int     // rows that are not the same to the byte
	Largest float64 // between two scores; infinite where a row is another in more than its numbers
	Line    int     // of the input, where the largest is
}

// Compare holds a sample against the output that was made of WriteInput's file.
func Compare(sample []Row, out string) (Difference, error) {
	d := Difference{Rows: len(sample)}
	rejected := map[int]bool{}
	err := eachRejected(out, func(line int) { rejected[line] = true })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d, err
	}
	in, err := dataset.Open(out)
	if err != nil {
		return d, err
	}
	defer in.Close()
	for i, row := range sample {
		var again []byte
		if !rejected[i+1] {
			made, err := in.Next()
			if err != nil {
				return d, fmt.Errorf("%s: want %d rows, rejected ones included, got %d: %w", out, len(sample), i, err)
			}
			again = made.Raw
		}
		d.add(row, again)
	}
	if _, err := in.Next(); err != io.EOF {
		return d, fmt.Errorf("%s: want %d rows, rejected ones included, got more", out, len(sample))
	}
	return d, nil
}

// add compares a row with what was made of it again.
func (d *Difference) add(row Row, again []byte) {
	if bytes.Equal(row.Output, again) { // no row is empty: nil is as nil alone
		return
	}
	d.Differ++
	by := math.Inf(1)
	if row.Output != nil && again != nil {
		by = farthest(decode(row.Output), decode(again))
	}
	if d.Line == 0 || by > d.Largest {
		d.Largest, d.Line = by, row.Line
	}
}

func decode(line []byte) (value any) {
	_ = json.Unmarshal(line, &value) // which dataset has passed as JSON
	return value
}

// farthest is the largest difference of two numbers at the same place; infinite where
// anything else is not the same.
func farthest(a, b any) float64 {
	switch a := a.(type) {
	case float64:
		if b, ok := b.(float64); ok {
			return math.Abs(a - b)
		}
	case []any:
		if b, ok := b.([]any); ok && len(a) == len(b) {
			most := 0.0
			for i := range a {
				most = max(most, farthest(a[i], b[i]))
			}
			return most
		}
	case map[string]any:
		if b, ok := b.(map[string]any); ok && len(a) == len(b) {
			most := 0.0
			for name := range a {
				other, ok := b[name]
				if !ok {
					return math.Inf(1)
				}
				most = max(most, farthest(a[name], other))
			}
			return most
		}
	default:
		if a == b {
			return 0
		}
	}
	return math.Inf(1)
}
