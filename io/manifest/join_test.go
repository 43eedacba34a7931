package manifest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/manifest"
)

func shards() []*manifest.Manifest {
	return []*manifest.Manifest{sample(2), sample(0), sample(1)}
}

func concat(command string, all []json.RawMessage) (json.RawMessage, error) {
	return json.Marshal(map[string]any{command: all})
}

func TestJoin(t *testing.T) {
	all := shards()
	all[0].Machine[0].Value = "NVIDIA A100"
	m, err := manifest.Join(all, concat)
	require.NoError(t, err)
	require.Equal(t, manifest.Shard{Index: 0, Of: 0, From: 0, To: 300, Total: 300, Block: 128}, m.Shard)
	require.Equal(t, manifest.Counts{Rows: 294, Rejected: 6, Passages: 5 * 294}, m.Counts)
	require.Equal(t, []string{"--onnx=llama", "in<&>.jsonl"}, m.Arguments)
	require.Equal(t, []manifest.Fact{{Name: "device", Value: "NVIDIA H100; NVIDIA A100"}}, m.Machine)
	require.Equal(t, sample(0).Identity, m.Identity)
	require.Equal(t, sample(0).Files, m.Files)
	require.Equal(t, time.Date(2026, 11, 25, 22, 0, 0, 0, time.UTC), m.Started)
	require.Equal(t, time.Date(2026, 11, 25, 23, 2, 0, 0, time.UTC), m.Finished)
	require.Equal(t, 3*3600.0, m.Seconds)
	require.JSONEq(t, `{"nll": [{"rows":1},{"rows":1},{"rows":1}]}`, string(m.Summary))
	require.Len(t, m.Shards, 3)
	require.Zero(t, m.Output)
	for i, s := range shards() {
		require.Equal(t, i, m.Shards[i].Index)
		require.Equal(t, s.Arguments, all[i].Arguments, "the shards keep theirs")
	}

	_, err = manifest.Join(shards(), func(string, []json.RawMessage) (json.RawMessage, error) { return nil, errors.New("no sum") })
	require.EqualError(t, err, "no sum")
}

// What stands in the identity and among the files differs once.
func TestJoinNamesADifferenceOnce(t *testing.T) {
	all := shards()
	for i, s := range all {
		s.Identity = append(s.Identity, manifest.Fact{Name: "version", Value: s.Version}, manifest.Fact{Name: "input", Value: fmt.Sprint(i / 2)})
		s.Files[1].SHA256 = fmt.Sprint(i)
	}
	_, err := manifest.Join(all, concat)
	require.EqualError(t, err, "out.jsonl: want a shard of the same run as out.jsonl, got another: input: want 0, got 1")
}

func TestJoinRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func([]*manifest.Manifest) []*manifest.Manifest
		want   string
	}{
		"a gap":           {func(all []*manifest.Manifest) []*manifest.Manifest { return all[:2] }, "want all 3 shards, got 2: 1 missing"},
		"no last shard":   {func(all []*manifest.Manifest) []*manifest.Manifest { return all[1:] }, "want all 3 shards, got 2: 2 missing"},
		"most missing":    {func(all []*manifest.Manifest) []*manifest.Manifest { return all[2:] }, "want all 3 shards, got 1: 0, 2 missing"},
		"a shard twice":   {func(all []*manifest.Manifest) []*manifest.Manifest { return append(all, sample(1)) }, "got shard 1 of 3 twice"},
		"rows twice":      {one(func(m *manifest.Manifest) { m.Shard.From = 100 }), "want rows from 256 on, got rows from 100 on"},
		"rows left out":   {one(func(m *manifest.Manifest) { m.Shard.From = 260 }), "want rows from 256 on, got rows from 260 on"},
		"rows at the end": {one(func(m *manifest.Manifest) { m.Shard.To = 299 }), "want rows up to 300, got rows up to 299"},
		"a whole run":     {one(func(m *manifest.Manifest) { m.Shard.Of = 0 }), "got the output of a run without --shard"},
		"another count":   {one(func(m *manifest.Manifest) { m.Shard.Of = 4 }), "shards: want 3, got 4"},
		"another length":  {one(func(m *manifest.Manifest) { m.Shard.Total = 301 }), "rows of the input: want 300, got 301"},
		"another block":   {one(func(m *manifest.Manifest) { m.Shard.Block = 64 }), "rows of a block: want 128, got 64"},
		"another command": {one(func(m *manifest.Manifest) { m.Command = "rank" }), "command: want nll, got rank"},
		"another version": {one(func(m *manifest.Manifest) { m.Version = "v2" }), "got another: version: want v1, got v2"},
		"another seed":    {one(func(m *manifest.Manifest) { m.Identity[0].Value = "43" }), "seed: want 42, got 43"},
		"a fact more":     {one(func(m *manifest.Manifest) { m.Identity = append(m.Identity, manifest.Fact{Name: "limit", Value: "5"}) }), "limit: want none, got 5"},
		"another input":   {one(func(m *manifest.Manifest) { m.Files[1].SHA256 = "00" }), "input file: want sha256 " + sum + ", got sha256 00"},
		"more of weights": {one(func(m *manifest.Manifest) { m.Files = append(m.Files, m.Files[0]) }), "model 2 file: want none"},
		"several things":  {one(func(m *manifest.Manifest) { m.Version, m.Command = "v2", "rank" }), "command: want nll, got rank; version: want v1, got v2"},
	} {
		_, err := manifest.Join(c.change(shards()), concat)
		require.ErrorContains(t, err, c.want, name)
	}
}

// one changes the last shard alone, which comes first in shards.
func one(change func(*manifest.Manifest)) func([]*manifest.Manifest) []*manifest.Manifest {
	return func(all []*manifest.Manifest) []*manifest.Manifest {
		change(all[0])
		return all
	}
}
