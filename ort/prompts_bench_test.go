package ort

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// promptsEnv names the JSON file of promptsJob.
const promptsEnv = "ORTSCORE_BENCH_PROMPTS"

// promptsJob is what scripts/peers/rank.py asks of BenchmarkPrompts.
type promptsJob struct {
	Model   string // an .onnx file
	Threads int
	Rows    int       // prompts side by side
	New     int       // tokens after each
	Prompts [][]int32 // token ids
	Out     string    // where the seconds and the tokens are written, as JSON
}

// BenchmarkPrompts writes on from the prompts of a file, greedily. No token ends
// a text, so that each has exactly as many as asked, which `ortscore rank` would
// not write.
func BenchmarkPrompts(b *testing.B) {
	path := os.Getenv(promptsEnv)
	if path == "" {
		b.Skip("needs a file of prompts: make bench-rank")
	}
	data, err := os.ReadFile(path)
	require.NoError(b, err)
	var job promptsJob
	require.NoError(b, json.Unmarshal(data, &job))
	needLibrary(b)
	d, err := OpenDecoder(context.Background(), job.Model, Options{Threads: job.Threads, Asks: AskLikeliest})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, d.Close()) })

	job.generate(b, d, 1, 2) // the first run makes the buffers
	var result struct {
		Seconds float64   `json:"seconds"`
		Tokens  [][]int32 `json:"tokens"`
	}
	for b.Loop() {
		start := time.Now()
		result.Tokens = job.generate(b, d, len(job.Prompts), job.New)
		result.Seconds = time.Since(start).Seconds()
	}
	data, err = json.Marshal(result)
	require.NoError(b, err)
	require.NoError(b, os.WriteFile(job.Out, data, 0o644))
}

// generate returns the tokens after the first n prompts.
func (j *promptsJob) generate(b *testing.B, d model.Decoder, n, tokens int) [][]int32 {
	prompts := make([]model.Prompt, n)
	for i := range prompts {
		prompts[i] = model.Prompt{Tokens: j.Prompts[i], MaxNew: tokens}
	}
	// The prompt tokens that are read at once are rank's default.
	g := &model.Generator{Decoders: []model.Decoder{d}, Limits: model.Limits{Rows: j.Rows, Tokens: 1024}}
	out, err := modeltest.Generate(context.Background(), g, prompts)
	require.NoError(b, err)
	texts := make([][]int32, n)
	for i, o := range out {
		require.NoError(b, o.Err)
		texts[i] = o.Tokens
	}
	return texts
}
