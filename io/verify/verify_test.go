package verify_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/durable"
	"github.com/ortscore/ortscore/io/manifest"
	"github.com/ortscore/ortscore/io/verify"
)

const block = 8

// made is an input and what a run made of some of its rows.
type made struct {
	dir, in, out string
	m            *manifest.Manifest
}

// score is what stands for a run: a row with "bad" in it is rejected.
func score(t *testing.T, in, out string, from, to int) *manifest.Manifest {
	reader, err := dataset.Open(in)
	require.NoError(t, err)
	defer reader.Close()
	w, err := durable.Open(durable.Options{Path: out, Force: true, Sides: []string{manifest.RejectedSuffix}})
	require.NoError(t, err)
	m := &manifest.Manifest{Command: "nll", Shard: manifest.Shard{From: from, To: to, Total: to, Block: block}}
	for i := range to {
		row, err := reader.Next()
		if i < from {
			continue
		}
		var bad *dataset.Error
		if err != nil {
			require.ErrorAs(t, err, &bad)
			require.NoError(t, w.WriteSide(0, dataset.RejectLine(bad)))
			m.Counts.Rejected++
			continue
		}
		require.NoError(t, w.Write([]byte(strings.Replace(string(row.Raw), "}", fmt.Sprintf(`, "teacher_scores": [%d.5, -1.0]}`, -len(row.Raw)), 1))))
		m.Counts.Rows++
	}
	require.NoError(t, w.EndBlock(to, nil))
	require.NoError(t, w.Finish(nil))
	m.Output = written(t, out, m.Counts.Rows)
	if m.Counts.Rejected > 0 {
		w := written(t, manifest.RejectedPath(out), m.Counts.Rejected)
		m.Rejected = &w
	}
	n, sum, err := manifest.Hash(context.Background(), in)
	require.NoError(t, err)
	m.Files = []manifest.File{{Role: manifest.Input, Path: in, Bytes: n, SHA256: sum}}
	return m
}

func written(t *testing.T, path string, rows int) manifest.Written {
	n, sum, err := manifest.Hash(context.Background(), path)
	require.NoError(t, err)
	return manifest.Written{Name: filepath.Base(path), Bytes: n, Lines: int64(rows), SHA256: sum}
}

// run makes an output of rows from to to of an input with blank lines, bad rows, and a
// mark at its beginning.
func run(t *testing.T, name string, from, to int) made {
	dir := t.TempDir()
	r := made{dir: dir, in: filepath.Join(dir, "in.jsonl"), out: filepath.Join(dir, name)}
	text := []byte("\ufeff")
	for i := range 50 {
		switch i % 7 {
		case 3:
			text = append(text, "\n  \n"...)
		case 5:
			text = append(text, "{\"bad\": \r\n"...)
			continue
		}
		text = fmt.Appendf(text, "{\"n\": %d, \"null\": null}\n", i)
	}
	require.NoError(t, os.WriteFile(r.in, text, 0o666))
	r.m = score(t, r.in, r.out, from, to)
	return r
}

// A sample is whole blocks, and made again it is the same.
func TestSample(t *testing.T) {
	for _, c := range []struct {
		name              string
		from, to, n, want int
	}{
		{"out.jsonl", 0, 50, 1, 8},
		{"out.jsonl", 0, 50, 8, 8},
		{"out.jsonl.gz", 0, 50, 9, 16},
		{"out.jsonl", 0, 50, 1000, 50},
		{"out.jsonl.zst", 16, 40, 1000, 24},
		{"out.jsonl", 48, 50, 64, 2},
		{"out.jsonl", 0, 3, 64, 3},
		{"out.jsonl", 50, 50, 64, 0},
	} {
		for seed := range uint64(5) {
			r := run(t, c.name, c.from, c.to)
			sample, err := verify.Sample(t.Context(), r.out, r.m, c.n, seed)
			require.NoError(t, err)
			// The last block of 50 rows has two.
			require.Contains(t, []int{c.want, c.want - 6}, len(sample), "%+v, seed %d", c, seed)
			again, err := verify.Sample(t.Context(), r.out, r.m, c.n, seed)
			require.NoError(t, err)
			require.Equal(t, sample, again)

			in, out := filepath.Join(r.dir, "sample.jsonl"), filepath.Join(r.dir, "again.jsonl")
			require.NoError(t, verify.WriteInput(in, sample))
			score(t, in, out, 0, len(sample))
			d, err := verify.Compare(sample, out)
			require.NoError(t, err)
			require.Equal(t, verify.Difference{Rows: len(sample)}, d)
		}
	}
	r := run(t, "out.jsonl", 0, 50)
	one, err := verify.Sample(t.Context(), r.out, r.m, 8, 1)
	require.NoError(t, err)
	other, err := verify.Sample(t.Context(), r.out, r.m, 8, 2)
	require.NoError(t, err)
	require.NotEqual(t, one, other, "another seed, another sample")
}

func TestCompare(t *testing.T) {
	r := run(t, "out.jsonl", 0, 8)
	sample, err := verify.Sample(t.Context(), r.out, r.m, 8, 0)
	require.NoError(t, err)
	text, err := os.ReadFile(r.out)
	require.NoError(t, err)
	for _, c := range []struct {
		old, new string
		want     verify.Difference
	}{
		{`"n": 1, "null": null, "teacher_scores": [-22.5`, `"n": 1, "null": null, "teacher_scores": [-22.25`, verify.Difference{Rows: 8, Differ: 1, Largest: 0.25, Line: 2}},
		{`-1.0`, `-1.00`, verify.Difference{Rows: 8, Differ: 7, Largest: 0, Line: 1}},
		{`-1.0`, `-0.5`, verify.Difference{Rows: 8, Differ: 7, Largest: 0.5, Line: 1}},
		{`, -1.0]}` + "\n" + `{"n": 2`, `]}` + "\n" + `{"n": 2`, verify.Difference{Rows: 8, Differ: 1, Largest: math.Inf(1), Line: 2}},
		{`"n": 4`, `"m": 4`, verify.Difference{Rows: 8, Differ: 1, Largest: math.Inf(1), Line: 7}},
		{`"null": null`, `"null": []`, verify.Difference{Rows: 8, Differ: 7, Largest: math.Inf(1), Line: 1}},
		{`"null": null`, `"null": 0`, verify.Difference{Rows: 8, Differ: 7, Largest: math.Inf(1), Line: 1}},
	} {
		changed := bytes.ReplaceAll(text, []byte(c.old), []byte(c.new))
		require.NotEqual(t, string(text), string(changed), c.old)
		require.NoError(t, os.WriteFile(r.out, changed, 0o666))
		d, err := verify.Compare(sample, r.again(t, sample))
		require.NoError(t, err)
		require.Equal(t, c.want, d, c.old)
	}
}

// again puts the output and rejected rows of the run where those made again would be:
// rejected rows by the sample's lines.
func (r made) again(t *testing.T, sample []verify.Row) string {
	var rejected []byte
	for i, row := range sample {
		if row.Output == nil {
			rejected = fmt.Appendf(rejected, "{\"line\": %d}\n", i+1)
		}
	}
	require.NoError(t, os.WriteFile(manifest.RejectedPath(r.out), rejected, 0o666))
	return r.out
}

// A row that was rejected and is not any more, or the other way round, is another.
func TestCompareRejected(t *testing.T) {
	r := run(t, "out.jsonl", 0, 8)
	sample, err := verify.Sample(t.Context(), r.out, r.m, 8, 0)
	require.NoError(t, err)
	out := r.again(t, sample)
	lines := strings.SplitAfter(readAll(t, out), "\n")
	require.NoError(t, os.WriteFile(out, []byte(strings.Join(lines[1:], "")), 0o666))
	require.NoError(t, os.WriteFile(manifest.RejectedPath(out), []byte("{\"line\": 1}\n{\"line\": 6}\n"), 0o666))
	d, err := verify.Compare(sample, out)
	require.NoError(t, err)
	require.Equal(t, verify.Difference{Rows: 8, Differ: 1, Largest: math.Inf(1), Line: 1}, d)

	require.NoError(t, os.Remove(manifest.RejectedPath(out)))
	_, err = verify.Compare(sample, out)
	require.ErrorContains(t, err, "want 8 rows, rejected ones included, got 6")
	require.NoError(t, os.WriteFile(out, []byte(strings.Repeat("{}\n", 9)), 0o666))
	_, err = verify.Compare(sample, out)
	require.ErrorContains(t, err, "want 8 rows, rejected ones included, got more")
}

func readAll(t *testing.T, path string) string {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

func TestSampleRefuses(t *testing.T) {
	r := run(t, "out.jsonl", 0, 50)
	m := *r.m
	m.Files = nil
	_, err := verify.Sample(t.Context(), r.out, &m, 8, 0)
	require.ErrorContains(t, err, "standard input cannot be read again")
	m = *r.m
	m.Shard.To, m.Shard.Total = 60, 60
	_, err = verify.Sample(t.Context(), r.out, &m, 8, 0)
	require.ErrorContains(t, err, "want 60 rows, got 50")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = verify.Sample(ctx, r.out, r.m, 8, 0)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, os.WriteFile(r.out, []byte("{}\n"), 0o666))
	_, err = verify.Sample(t.Context(), r.out, r.m, 8, 0)
	require.ErrorContains(t, err, "want a row for line 2 of")
}

func TestFiles(t *testing.T) {
	r := run(t, "out.jsonl", 0, 50)
	model := filepath.Join(r.dir, "model.onnx")
	require.NoError(t, os.WriteFile(model, []byte("m"), 0o666))
	n, sum, err := manifest.Hash(t.Context(), model)
	require.NoError(t, err)
	r.m.Files = append(r.m.Files, manifest.File{Role: "model", Path: model, Bytes: n, SHA256: sum})

	require.Equal(t, "output "+r.out+"\nbeside it "+r.out+".rejected.jsonl\ninput "+r.in+"\nmodel "+model+"\n", r.files(t))

	require.NoError(t, os.Remove(model))
	require.Contains(t, r.files(t), "model "+model+" absent\n")
	require.NoError(t, os.Mkdir(model, 0o777))
	require.Contains(t, r.files(t), "model "+model+": "+model+": want a file, got a folder\n")

	require.NoError(t, os.WriteFile(r.in, []byte("{}\n"), 0o666))
	require.Contains(t, r.files(t), "input "+r.in+": "+r.in+": want ")

	// A missing file of the output itself is bad.
	require.NoError(t, os.Remove(manifest.RejectedPath(r.out)))
	require.Contains(t, r.files(t), ".rejected.jsonl: no such file")

	// Whatever its manifest says of the lines, each is a row.
	r.m.Output.Lines++
	require.Contains(t, r.files(t), "output "+r.out+": "+r.out+": want 44 lines, as its manifest says, got 43\n")
	require.NoError(t, os.WriteFile(r.out, []byte("{}\n[]\n"), 0o666))
	r.m.Output = written(t, r.out, 2)
	require.Contains(t, r.files(t), "out.jsonl:2: want a JSON object, got a list\n")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = verify.Files(ctx, r.out, r.m)
	require.ErrorIs(t, err, context.Canceled)
}

// files writes what Files finds, a line for each file.
func (r made) files(t *testing.T) string {
	findings, err := verify.Files(t.Context(), r.out, r.m)
	require.NoError(t, err)
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s %s", f.Role, f.Path)
		if f.Absent {
			b.WriteString(" absent")
		}
		if f.Bad != nil {
			fmt.Fprintf(&b, ": %v", f.Bad)
		}
		b.WriteString("\n")
	}
	return b.String()
}
