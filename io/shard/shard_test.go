package shard_test

import (
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/shard"
)

type env map[string]string

func (e env) get(name string) string { return e[name] }

// slurm is what a task of an array finds, as Slurm 22.05 sets it.
func slurm(task, first, last, count string) env {
	return env{"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_MIN": first, "SLURM_ARRAY_TASK_MAX": last,
		"SLURM_ARRAY_TASK_COUNT": count, "SLURM_ARRAY_TASK_STEP": "1"}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		env  env
		want shard.Shard
		note string
	}{
		{"0/1", nil, shard.Shard{Index: 0, Of: 1}, ""},
		{"3/64", slurm("5", "0", "63", "64"), shard.Shard{Index: 3, Of: 64}, ""},
		{"99998/99999", nil, shard.Shard{Index: 99998, Of: 99999}, ""},
		{"auto/64", slurm("0", "0", "63", "64"), shard.Shard{Index: 0, Of: 64}, "shard 0/64, from SLURM_ARRAY_TASK_ID=0 less SLURM_ARRAY_TASK_MIN=0"},
		{"auto/64", slurm("64", "1", "64", "64"), shard.Shard{Index: 63, Of: 64}, "shard 63/64, from SLURM_ARRAY_TASK_ID=64 less SLURM_ARRAY_TASK_MIN=1"},
		// A part of an array, run again: --array=0,3,5, of which Slurm counts three; and
		// the first and the last task of 1-64.
		{"auto/64", slurm("5", "0", "5", "3"), shard.Shard{Index: 5, Of: 64}, "shard 5/64, from SLURM_ARRAY_TASK_ID=5 less SLURM_ARRAY_TASK_MIN=0"},
		{"auto/64", slurm("3", "1", "64", "3"), shard.Shard{Index: 2, Of: 64}, "shard 2/64, from SLURM_ARRAY_TASK_ID=3 less SLURM_ARRAY_TASK_MIN=1"},
		{"auto/3", env{"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_MIN": "4"}, shard.Shard{Index: 1, Of: 3}, "shard 1/3, from SLURM_ARRAY_TASK_ID=5 less SLURM_ARRAY_TASK_MIN=4"},
		{"auto/8", env{"JOB_COMPLETION_INDEX": "7"}, shard.Shard{Index: 7, Of: 8}, "shard 7/8, from JOB_COMPLETION_INDEX=7"},
	} {
		got, note, err := shard.Parse(c.text, c.env.get)
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, got, c.text)
		require.Equal(t, c.note, note)
	}
}

func TestParseRefuses(t *testing.T) {
	step := slurm("2", "0", "6", "4")
	step["SLURM_ARRAY_TASK_STEP"] = "2"
	both := slurm("0", "0", "3", "4")
	both["JOB_COMPLETION_INDEX"] = "0"
	for _, c := range []struct {
		text, want string
		env        env
	}{
		{"", "want i/n or auto/n", nil},
		{"3", "want i/n or auto/n", nil},
		{"3/", "want i/n or auto/n", nil},
		{"/3", "from 0 to n-1", nil},
		{"3/3", "from 0 to n-1", nil},
		{"-1/3", "from 0 to n-1", nil},
		{"+1/3", "from 0 to n-1", nil},
		{"1/3/5", "want i/n or auto/n", nil},
		{" 1/3", "from 0 to n-1", nil},
		{"0/0", "want i/n or auto/n", nil},
		{"0/100000", "want i/n or auto/n, with n from 1 to 99999", nil},
		{"1/99999999999999999999", "want i/n or auto/n", nil},
		{"Auto/4", "from 0 to n-1", nil},
		{"auto/4", "got neither", nil},
		{"auto/4", "got both", both},
		{"auto/0", "want i/n or auto/n", slurm("0", "0", "3", "4")},
		// Tasks 3 and 5 of 64, run again: nobody can tell whether they are of 0-63.
		{"auto/64", "shard 0's number cannot be told", slurm("3", "3", "5", "2")},
		{"auto/64", "shard 0's number cannot be told", slurm("7", "7", "7", "1")},
		{"auto/4", "give --array=0-3", slurm("0", "0", "7", "8")},
		{"auto/4", "without a step", step},
		{"auto/4", "SLURM_ARRAY_TASK_MIN: want a whole number", env{"SLURM_ARRAY_TASK_ID": "1"}},
		{"auto/4", "SLURM_ARRAY_TASK_ID: want a number from 0 to 3", slurm("4", "0", "3", "4")},
		{"auto/4", "SLURM_ARRAY_TASK_ID: want a whole number", slurm("x", "0", "3", "4")},
		{"auto/4", "JOB_COMPLETION_INDEX: want a number from 0 to 3", env{"JOB_COMPLETION_INDEX": "4"}},
		{"auto/4", "JOB_COMPLETION_INDEX: want a number from 0 to 3", env{"JOB_COMPLETION_INDEX": "-1"}},
	} {
		_, _, err := shard.Parse(c.text, c.env.get)
		require.ErrorContains(t, err, c.want, "%q with %v", c.text, c.env)
	}
}

// Whatever the text and the environment, a shard is one of those that there are, and is
// read again as it is written.
func FuzzParse(f *testing.F) {
	f.Add("3/64", "", "", "", "")
	f.Add("auto/64", "3", "1", "64", "")
	f.Add("auto/8", "", "", "", "7")
	f.Fuzz(func(t *testing.T, text, task, first, last, index string) {
		s, _, err := shard.Parse(text, env{"SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_MIN": first, "SLURM_ARRAY_TASK_MAX": last,
			"JOB_COMPLETION_INDEX": index}.get)
		if err != nil {
			return
		}
		require.True(t, 0 <= s.Index && s.Index < s.Of && s.Of <= shard.Most)
		again, _, err := shard.Parse(s.String(), nil)
		require.NoError(t, err)
		require.Equal(t, s, again)
		out, of, ok := shard.Split(s.Path("out.jsonl"))
		require.True(t, ok)
		require.Equal(t, "out.jsonl", out)
		require.Equal(t, s, of)
	})
}

func TestPath(t *testing.T) {
	s := shard.Shard{Index: 3, Of: 64}
	for out, want := range map[string]string{
		"out.jsonl":         "out.00003-of-00064.jsonl",
		"d/out.x.jsonl.gz":  "d/out.x.00003-of-00064.jsonl.gz",
		"../d.e/o.json.zst": "../d.e/o.00003-of-00064.json.zst",
		"out.jsonl.partial": "out.jsonl.partial.00003-of-00064",
	} {
		require.Equal(t, want, s.Path(out))
		if out == "out.jsonl.partial" {
			continue
		}
		back, of, ok := shard.Split(want)
		require.True(t, ok, want)
		require.Equal(t, out, back)
		require.Equal(t, s, of)
	}
	require.Equal(t, "out.jsonl", shard.Shard{}.Path("out.jsonl"))
	for _, path := range []string{"out.jsonl", "out.3-of-64.jsonl", "out.00064-of-00064.jsonl", "out.00003-of-00064.jsonl.manifest.json",
		"out.00003-of-00064.jsonl.partial", "00003-of-00064.jsonl", "a.00000-of-00002.jsonl/out.jsonl"} {
		_, _, ok := shard.Split(path)
		require.False(t, ok, path)
	}
}

// Whatever the sizes: the shards follow each other from the first row to the last,
// begin where a block begins, and their numbers of blocks differ by one at most.
func TestRows(t *testing.T) {
	property := func(rows uint16, of uint8, blockSize uint8) bool {
		total, n, block := int(rows), int(of)+1, int(blockSize)+1
		next, least, most := 0, total, 0
		for i := range n {
			from, to := shard.Shard{Index: i, Of: n}.Rows(total, block)
			if from != next || to < from || from%block != 0 && from != total || to%block != 0 && to != total {
				return false
			}
			blocks := (to - from + block - 1) / block
			least, most = min(least, blocks), max(most, blocks)
			next = to
		}
		return next == total && most-least <= 1
	}
	require.NoError(t, quick.Check(property, &quick.Config{MaxCount: 5000}))

	for _, c := range []struct{ index, of, total, from, to int }{
		{0, 0, 1000, 0, 1000},
		{0, 1, 1000, 0, 1000},
		{0, 3, 1000, 0, 384}, // 8 blocks: 3, 3, 2
		{1, 3, 1000, 384, 768},
		{2, 3, 1000, 768, 1000},
		{0, 3, 100, 0, 100}, // one block: the others are empty
		{1, 3, 100, 100, 100},
		{2, 3, 100, 100, 100},
		{1, 2, 0, 0, 0},
	} {
		from, to := shard.Shard{Index: c.index, Of: c.of}.Rows(c.total, 128)
		require.Equal(t, [2]int{c.from, c.to}, [2]int{from, to}, "%+v", c)
	}
}
