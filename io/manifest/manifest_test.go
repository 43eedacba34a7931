package manifest_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/manifest"
)

const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// sample is shard index of three, of 128, 128 and 44 rows; each has rejected two.
func sample(index int) *manifest.Manifest {
	from, to := 128*index, min(128*index+128, 300)
	start := time.Date(2026, 11, 25, 22, index, 0, 0, time.UTC)
	return &manifest.Manifest{
		Format: manifest.Format, Version: "v1", Command: "nll", Folder: "/w",
		Arguments: []string{"--onnx=llama", "--shard=auto/3", "in<&>.jsonl"},
		Identity:  []manifest.Fact{{Name: "seed", Value: "42"}, {Name: "provider", Value: "cuda"}},
		Machine:   []manifest.Fact{{Name: "device", Value: "NVIDIA H100"}},
		Files:     []manifest.File{{Role: "model", Path: "/m/model.onnx", Bytes: 0, SHA256: sum}, {Role: "input", Path: "/w/in.jsonl", Bytes: 0, SHA256: sum}},
		Shard:     manifest.Shard{Index: index, Of: 3, From: from, To: to, Total: 300, Block: 128},
		Counts:    manifest.Counts{Rows: to - from - 2, Rejected: 2, Passages: 5 * (to - from - 2)},
		Summary:   json.RawMessage(`{"rows":1}`),
		Started:   start, Finished: start.Add(time.Hour), Seconds: 3600,
		Output:   manifest.Written{Name: "out.jsonl", Bytes: 9, Lines: int64(to - from - 2), SHA256: sum},
		Rejected: &manifest.Written{Name: "out.jsonl.rejected.jsonl", Bytes: 3, Lines: 2, SHA256: sum},
	}
}

func TestWriteAndRead(t *testing.T) {
	path := manifest.Path(filepath.Join(t.TempDir(), "out.jsonl"))
	require.Equal(t, "out.jsonl.manifest.json", filepath.Base(path))
	for i := range 2 { // the second replaces the first
		want := sample(i)
		require.NoError(t, manifest.Write(path, want))
		got, err := manifest.Read(path)
		require.NoError(t, err)
		require.JSONEq(t, string(want.Summary), string(got.Summary))
		got.Summary = want.Summary
		require.Equal(t, want, got)
	}
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(text), "\n  \"manifest_format\": 1,\n")
	require.Contains(t, string(text), "in<&>.jsonl")
}

func TestReadRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.json")
	_, err := manifest.Read(path)
	require.ErrorIs(t, err, fs.ErrNotExist)

	good, err := manifest.Marshal(sample(1))
	require.NoError(t, err)
	for _, c := range []struct{ old, new, want string }{
		{`"manifest_format": 1`, `"manifest_format": 2, "shard": []`, "want at most 1, got 2: take a newer ortscore"},
		{`"manifest_format": 1`, `"manifest_format": 0`, "manifest_format: want at least 1"},
		{`"manifest_format": 1,`, ``, "manifest_format: want at least 1"},
		{`"command": "nll"`, `"command": ""`, "command: want a name"},
		{`"of": 3`, `"of": 1`, "shard: want an index"},
		{`"of": 3`, `"of": 0`, "shard: want an index"},
		{`"from": 128`, `"from": 257`, "shard: want rows"},
		{`"total": 300`, `"total": 255`, "shard: want rows"},
		{`"to": 256`, `"to": 257`, "counts: want 129 rows"},
		{`"rows": 126`, `"rows": 125`, "counts: want 128 rows"},
		{`"lines": 126`, `"lines": 127`, "output: lines: want one for each of 126 rows, got 127"},
		{`"lines": 2`, `"lines": 1`, "rejected: want a file with a line for each of 2 rows"},
		{`"bytes": 9`, `"bytes": -9`, "out.jsonl: want bytes and sha256"},
		{`"bytes": 3`, `"bytes": "3"`, "want a manifest of ortscore: json: cannot unmarshal string"},
		{string(good[len(good)-3:]), ``, "want a manifest of ortscore: unexpected end"},
	} {
		bad := strings.Replace(string(good), c.old, c.new, 1)
		require.NotEqual(t, string(good), bad, c.old)
		require.NoError(t, os.WriteFile(path, []byte(bad), 0o666))
		_, err := manifest.Read(path)
		require.ErrorContains(t, err, c.want, c.old)
		require.ErrorContains(t, err, path)
	}
	bad := strings.ReplaceAll(string(good), `"sha256": "`+sum+`"`, `"sha256": "E3"`)
	require.NoError(t, os.WriteFile(path, []byte(bad), 0o666))
	_, err = manifest.Read(path)
	require.ErrorContains(t, err, `out.jsonl: want bytes and sha256, got 9 and "E3"`)
}

// What is read is written again as it was.
func FuzzParse(f *testing.F) {
	for i := range 3 {
		text, err := manifest.Marshal(sample(i))
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"manifest_format": 1, "command": "rank", "output": {"sha256": "` + sum + `"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := manifest.Parse(text)
		if err != nil {
			return
		}
		text, err = manifest.Marshal(m)
		require.NoError(t, err)
		m, err = manifest.Parse(text)
		require.NoError(t, err)
		again, err := manifest.Marshal(m)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}

func TestDifferences(t *testing.T) {
	want := []manifest.Fact{{Name: "seed", Value: "42"}, {Name: "model", Value: "a"}, {Name: "limit", Value: "3"}}
	require.Empty(t, manifest.Differences(want, want))
	require.Empty(t, manifest.Differences(nil, nil))
	got := []manifest.Fact{{Name: "model", Value: "b"}, {Name: "seed", Value: "42"}, {Name: "date", Value: "2024-07-26"}}
	require.Equal(t, []string{"model: want a, got b", "limit: want 3, got none", "date: want none, got 2024-07-26"}, manifest.Differences(want, got))
}
