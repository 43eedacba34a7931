package manifest_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/manifest"
	"github.com/ortscore/ortscore/io/shard"
)

// An input of the tests; every hundredth row of it is bad.
const (
	totalRows = 1000
	blockRows = 128
)

// lines are what a run over some rows writes, block by block, and rejects.
func lines(from, to int) (blocks [][]byte, rejected []byte, rows int) {
	for at := from; at < to; at += blockRows {
		var block []byte
		for i := at; i < min(at+blockRows, to); i++ {
			if i%100 == 7 {
				rejected = fmt.Appendf(rejected, "{\"line\": %d}\n", i+1)
				continue
			}
			block = fmt.Appendf(block, "{\"n\": %d, \"teacher_scores\": [%.4f]}\n", i, -float64(i)/7)
			rows++
		}
		blocks = append(blocks, block)
	}
	return blocks, rejected, rows
}

// pack compresses as a run does: a member or frame for each block, and one for none.
func pack(t testing.TB, ext string, blocks [][]byte) []byte {
	if len(blocks) == 0 && ext != ".jsonl" {
		blocks = [][]byte{nil}
	}
	var out bytes.Buffer
	for _, block := range blocks {
		switch ext {
		case ".jsonl":
			out.Write(block)
		case ".jsonl.gz":
			w := gzip.NewWriter(&out)
			_, err := w.Write(block)
			require.NoError(t, err)
			require.NoError(t, w.Close())
		case ".jsonl.zst":
			w, err := zstd.NewWriter(&out)
			require.NoError(t, err)
			_, err = w.Write(block)
			require.NoError(t, err)
			require.NoError(t, w.Close())
		}
	}
	return out.Bytes()
}

// writeRun writes what a run over the rows of a shard leaves at its path.
func writeRun(t testing.TB, out, ext string, s shard.Shard, total int) string {
	path := s.Path(out)
	from, to := s.Rows(total, blockRows)
	blocks, rejected, rows := lines(from, to)
	m := sample(0)
	m.Shard = manifest.Shard{Index: s.Index, Of: s.Of, From: from, To: to, Total: total, Block: blockRows}
	m.Counts = manifest.Counts{Rows: rows, Rejected: to - from - rows, Passages: rows}
	m.Output, m.Rejected = writeFile(t, path, pack(t, ext, blocks), rows), nil
	if len(rejected) > 0 {
		w := writeFile(t, path+".rejected.jsonl", rejected, to-from-rows)
		m.Rejected = &w
	}
	require.NoError(t, manifest.Write(manifest.Path(path), m))
	return path
}

func writeFile(t testing.TB, path string, data []byte, rows int) manifest.Written {
	require.NoError(t, os.WriteFile(path, data, 0o666))
	n, sum, err := manifest.Hash(context.Background(), path)
	require.NoError(t, err)
	return manifest.Written{Name: filepath.Base(path), Bytes: n, Lines: int64(rows), SHA256: sum}
}

func writeShards(t testing.TB, out, ext string, of, total int) (paths []string) {
	for i := range of {
		paths = append(paths, writeRun(t, out, ext, shard.Shard{Index: i, Of: of}, total))
	}
	return paths
}

func requireSameFile(t *testing.T, want, got string) {
	a, err := os.ReadFile(want)
	require.NoError(t, err)
	b, err := os.ReadFile(got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(a, b), "%s and %s", want, got)
}

// Merged is single, byte for byte: whatever the shards' number (more than blocks as
// well), their compression, and the order in which they are named.
func TestMerge(t *testing.T) {
	for _, ext := range []string{".jsonl", ".jsonl.gz", ".jsonl.zst"} {
		for _, total := range []int{0, 3, totalRows} {
			for _, of := range []int{1, 2, 3, 8, 13} {
				dir := t.TempDir()
				whole, out := filepath.Join(dir, "whole"+ext), filepath.Join(dir, "out"+ext)
				writeRun(t, whole, ext, shard.Shard{}, total)
				paths := writeShards(t, out, ext, of, total)
				slices.Reverse(paths)
				joined, err := manifest.Merge(t.Context(), out, false, paths, concat, silent)
				require.NoError(t, err)
				requireSameFile(t, whole, out)

				m, err := manifest.Read(manifest.Path(out))
				require.NoError(t, err)
				require.Len(t, m.Shards, of)
				single, err := manifest.Read(manifest.Path(whole))
				require.NoError(t, err)
				require.Equal(t, single.Counts, m.Counts)
				require.Equal(t, single.Shard, m.Shard)
				require.Equal(t, joined.Output, m.Output)
				single.Output.Name = m.Output.Name
				require.Equal(t, single.Output, m.Output)
				if single.Rejected != nil {
					requireSameFile(t, whole+".rejected.jsonl", out+".rejected.jsonl")
					single.Rejected.Name = m.Rejected.Name
					require.Equal(t, single.Rejected, m.Rejected)
				} else {
					require.Nil(t, m.Rejected)
					require.NoFileExists(t, out+".rejected.jsonl")
				}
			}
		}
	}
}

func silent(string) {}

// Answers are kept by some shards at least, and joined where they are.
func TestMergeAnswers(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.jsonl")
	paths := writeShards(t, out, ".jsonl", 3, totalRows)
	for _, i := range []int{0, 2} {
		m, err := manifest.Read(manifest.Path(paths[i]))
		require.NoError(t, err)
		w := writeFile(t, paths[i]+".answers.jsonl", fmt.Appendf(nil, "answers of %d\n", i), 1)
		m.Answers = &w
		require.NoError(t, manifest.Write(manifest.Path(paths[i]), m))
	}
	joined, err := manifest.Merge(t.Context(), out, false, paths, concat, silent)
	require.NoError(t, err)
	require.EqualValues(t, 2, joined.Answers.Lines)
	text, err := os.ReadFile(out + ".answers.jsonl")
	require.NoError(t, err)
	require.Equal(t, "answers of 0\nanswers of 2\n", string(text))
}

// What keeps shards from being joined is said, and leaves every file as it was.
func TestMergeRefuses(t *testing.T) {
	remove := func(suffix string) func(*testing.T, string, []string) {
		return func(t *testing.T, _ string, paths []string) { require.NoError(t, os.Remove(paths[1]+suffix)) }
	}
	write := func(suffix, text string) func(*testing.T, string, []string) {
		return func(t *testing.T, _ string, paths []string) {
			require.NoError(t, os.WriteFile(paths[1]+suffix, []byte(text), 0o666))
		}
	}
	beside := func(suffix string) func(*testing.T, string, []string) {
		return func(t *testing.T, out string, _ []string) {
			require.NoError(t, os.WriteFile(out+suffix, []byte("old"), 0o666))
		}
	}
	edit := func(suffix string, at int) func(*testing.T, string, []string) {
		return func(t *testing.T, _ string, paths []string) {
			data, err := os.ReadFile(paths[2] + suffix)
			require.NoError(t, err)
			data[(at+len(data))%len(data)] ^= 1
			require.NoError(t, os.WriteFile(paths[2]+suffix, data, 0o666))
		}
	}
	for name, c := range map[string]struct {
		change func(t *testing.T, out string, paths []string)
		want   string
	}{
		"no manifest":           {remove(".manifest.json"), "out.00001-of-00003.jsonl has no manifest"},
		"no file":               {remove(""), "out.00001-of-00003.jsonl is not there"},
		"a run under way":       {write(".partial", ""), "out.00001-of-00003.jsonl is being written, or its run was cut"},
		"a finish that was cut": {write(".journal", ""), "out.00001-of-00003.jsonl is being written, or its run was cut"},
		"a damaged manifest":    {write(".manifest.json", "{"), "manifest.json: want a manifest of ortscore: unexpected end"},
		"no rejected rows":      {remove(".rejected.jsonl"), "out.00001-of-00003.jsonl.rejected.jsonl: no such file"},
		"a byte changed":        {edit("", 20), "out.00002-of-00003.jsonl: want sha256 "},
		"the last byte changed": {edit("", -1), "out.00002-of-00003.jsonl: want sha256 "},
		"a rejected row":        {edit(".rejected.jsonl", 5), "out.00002-of-00003.jsonl.rejected.jsonl: want sha256 "},
		"a file cut short":      {write("", "{}\n"), "out.00001-of-00003.jsonl: want 1"},
		"a pipe":                {pipe, "want a regular file, got a pipe"},
		"an output":             {beside(""), "out.jsonl: want a new file, got one that exists"},
		"rejected rows of old":  {beside(".rejected.jsonl"), "out.jsonl.rejected.jsonl: want a new file"},
		"answers of old":        {beside(".answers.jsonl"), "out.jsonl.answers.jsonl: want a new file"},
		"an old manifest":       {beside(".manifest.json"), "out.jsonl.manifest.json: want a new file"},
		"a run to the output":   {beside(".journal"), "out.jsonl: want an output that no run writes"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out.jsonl")
			paths := writeShards(t, out, ".jsonl", 3, totalRows)
			c.change(t, out, paths)
			before := listing(t, filepath.Dir(out))
			_, err := manifest.Merge(t.Context(), out, false, paths, concat, silent)
			require.ErrorContains(t, err, c.want)
			require.Equal(t, before, listing(t, filepath.Dir(out)))
		})
	}
}

func pipe(t *testing.T, _ string, paths []string) {
	require.NoError(t, os.Remove(paths[1]))
	require.NoError(t, syscall.Mkfifo(paths[1], 0o666))
}

// listing is every file of a folder with its bytes.
func listing(t *testing.T, dir string) map[string]string {
	out := map[string]string{}
	found, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range found {
		text := []byte{}
		if f.Type().IsRegular() {
			text, err = os.ReadFile(filepath.Join(dir, f.Name()))
			require.NoError(t, err)
		}
		out[f.Name()] = string(text)
	}
	return out
}

// Whatever is missing is named at once.
func TestMergeNamesAllUnfinished(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.jsonl")
	var paths []string
	for i := range 20 {
		paths = append(paths, shard.Shard{Index: i, Of: 20}.Path(out))
	}
	_, err := manifest.Merge(t.Context(), out, false, paths, concat, silent)
	require.ErrorIs(t, err, manifest.ErrUnfinished)
	require.ErrorContains(t, err, "00007-of-00020.jsonl is not there, 12 more")
}

func TestMergeReplaces(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.jsonl")
	paths := writeShards(t, out, ".jsonl", 2, 5) // of which no row is bad
	for _, path := range []string{out, out + ".rejected.jsonl", out + ".answers.jsonl", manifest.Path(out)} {
		require.NoError(t, os.WriteFile(path, []byte("old"), 0o666))
	}
	_, err := manifest.Merge(t.Context(), out, false, paths, concat, silent)
	require.ErrorIs(t, err, fs.ErrExist)
	_, err = manifest.Merge(t.Context(), out, true, paths, concat, silent)
	require.NoError(t, err)
	_, err = manifest.Read(manifest.Path(out))
	require.NoError(t, err)
	require.NoFileExists(t, out+".rejected.jsonl", "it would tell of other rows")
	require.NoFileExists(t, out+".answers.jsonl")

	// A shard itself, and what its run has read, are never replaced.
	_, err = manifest.Merge(t.Context(), paths[1], true, paths, concat, silent)
	require.ErrorContains(t, err, "got the same file")
	m, err := manifest.Read(manifest.Path(paths[0]))
	require.NoError(t, err)
	m.Files[1].Path = filepath.Join(filepath.Dir(out), "in.jsonl")
	require.NoError(t, os.WriteFile(m.Files[1].Path, nil, 0o666))
	require.NoError(t, manifest.Write(manifest.Path(paths[0]), m))
	_, err = manifest.Merge(t.Context(), m.Files[1].Path, true, paths, concat, silent)
	require.ErrorContains(t, err, "got the same file")

	_, err = manifest.Merge(t.Context(), out+".gz", true, paths, concat, silent)
	require.ErrorContains(t, err, "want an output that ends as")
}

func TestMergeCleansUp(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.jsonl")
	paths := writeShards(t, out, ".jsonl", 2, totalRows)
	var want, notes []string
	for _, name := range []string{".out.jsonl.rejected.jsonl.tmp-01234567", ".out.jsonl.answers.jsonl.tmp-01234567", ".out.jsonl.manifest.json.tmp-01234567", ".out.jsonl.tmp-01234567"} {
		path := filepath.Join(filepath.Dir(out), name)
		require.NoError(t, os.WriteFile(path, nil, 0o666))
		want = append(want, path+": removed, left by a run that was cut")
	}
	_, err := manifest.Merge(t.Context(), out, false, paths, concat, func(text string) { notes = append(notes, text) })
	require.NoError(t, err)
	require.Equal(t, want, notes)
}

func TestMergeEndsWithItsContext(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.jsonl")
	paths := writeShards(t, out, ".jsonl", 2, totalRows)
	before := listing(t, filepath.Dir(out))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := manifest.Merge(ctx, out, false, paths, concat, silent)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, listing(t, filepath.Dir(out)))
}
