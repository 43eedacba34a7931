package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/io/job/jobtest"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
	"github.com/ortscore/ortscore/nll"
	"github.com/ortscore/ortscore/ort"
)

// BenchmarkCommandAgainstModel runs, in turn, the model alone over batches that
// are ready, and the whole command over the file they came from: checking,
// reading, tokenising, packing, the log-softmax and writing. It reports the
// medians, and the share of the model's speed that the command loses, pair by
// pair, so that a machine whose speed drifts tells the truth all the same. The
// loss is given without the second or two in which the model is loaded, which
// days of scoring do not notice, and with it, which a minute's file does.
func BenchmarkCommandAgainstModel(b *testing.B) {
	needNative(b)
	onnx := filepath.Join(buildDir, "models", teachers[0])
	needFile(b, onnx)
	input := manyQuestions(b)
	batches, tokens := recordBatches(b, onnx, input)

	var alone, scoring, loss, withLoading []float64
	for b.Loop() {
		a := tokens / runBatches(b, onnx, batches)
		seconds, whole := runCommand(b, onnx, input)
		alone, scoring = append(alone, a), append(scoring, tokens/seconds)
		loss = append(loss, 100*(1-tokens/seconds/a))
		withLoading = append(withLoading, 100*(1-tokens/whole/a))
	}
	b.ReportMetric(median(alone), "model-tokens/s")
	b.ReportMetric(median(scoring), "command-tokens/s")
	b.ReportMetric(median(loss), "%loss")
	b.ReportMetric(median(withLoading), "%loss-with-loading")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkScoringGraph scores the examples by full logits and by the rewritten
// graph in turn, in both forms that the exporter gives. It reports the median of
// the ratios, pair by pair, and the largest difference of a score.
func BenchmarkScoringGraph(b *testing.B) {
	needNative(b)
	for _, name := range teachers {
		onnx := filepath.Join(buildDir, "models", name)
		needFile(b, onnx)
		b.Run(name, func(b *testing.B) {
			full, auto := openTeacher(b, onnx, ort.FullGraph), openTeacher(b, onnx, ort.AutoGraph)
			defer full.close()
			defer auto.close()
			seqs, tokens := questionSequences(b, full)
			score := func(t *teacher) (scores []float32, seconds float64) {
				lm := &model.LM{Scorers: t.scorers(), Limits: model.Limits{Tokens: 1024}}
				start := time.Now()
				scores, err := modeltest.LogLikelihoods(context.Background(), lm, seqs)
				require.NoError(b, err)
				return scores, time.Since(start).Seconds()
			}
			var before, after, ratio []float64
			var largest float64
			for b.Loop() {
				want, s0 := score(full)
				got, s1 := score(auto)
				before, after, ratio = append(before, tokens/s0), append(after, tokens/s1), append(ratio, s0/s1)
				for i := range want {
					largest = max(largest, math.Abs(float64(want[i])-float64(got[i])))
				}
			}
			b.ReportMetric(median(before), "full-tokens/s")
			b.ReportMetric(median(after), "auto-tokens/s")
			b.ReportMetric(median(ratio), "ratio")
			b.ReportMetric(largest, "difference")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// questionSequences are those that nll makes of the examples.
func questionSequences(b *testing.B, t *teacher) (seqs []model.Sequence, tokens float64) {
	in, err := dataset.Open(filepath.Join(root, "examples", "questions.jsonl"))
	require.NoError(b, err)
	defer in.Close()
	scorer := t.scorer()
	for {
		row, err := in.Next()
		if err == io.EOF {
			return seqs, tokens
		}
		require.NoError(b, err)
		ex, _, err := scorer.Read(row)
		require.NoError(b, err)
		for _, s := range ex.Sequences {
			tokens += float64(len(s.Tokens))
		}
		seqs = append(seqs, ex.Sequences...)
	}
}

// scorer is nll's with its defaults.
func (t *teacher) scorer() *nll.Scorer {
	return &nll.Scorer{Fields: nll.TeacherFields, Answers: nll.First, Builder: nll.Builder{
		Tokenizer: t.tokenizer, KeyMaxLength: 512, MaxLength: t.config.Context, Vocab: t.tokenizer.Size, Span: nll.Offsets}}
}

// manyQuestions is the examples four times over, about a minute's work: each time
// with a mark in the queries, since what is identical runs once.
func manyQuestions(b *testing.B) string {
	questions, err := os.ReadFile(filepath.Join(root, "examples", "questions.jsonl"))
	require.NoError(b, err)
	var many []byte
	for i := range 4 {
		many = append(many, bytes.ReplaceAll(questions, []byte(`"query": "`), fmt.Appendf(nil, `"query": "%d: `, i))...)
	}
	require.NotContains(b, string(many), `"query":"`, "a row without a mark")
	path := filepath.Join(b.TempDir(), "questions.jsonl")
	require.NoError(b, os.WriteFile(path, many, 0o644))
	return path
}

// recorder is a Scorer that keeps copies of what it is asked.
type recorder struct {
	model.Scorer
	asked []asked
}

type asked struct {
	batch *model.Batch
	at    []model.Position
}

func (r *recorder) LogProbs(ctx context.Context, b *model.Batch, at []model.Position, out []float32) error {
	r.asked = append(r.asked, asked{modeltest.Clone(b), slices.Clone(at)})
	return r.Scorer.LogProbs(ctx, b, at, out)
}

// recordBatches returns the batches that nll makes of the file, with the real
// tokens in them.
func recordBatches(b *testing.B, onnx, input string) (batches []asked, tokens float64) {
	t := openTeacher(b, onnx, ort.AutoGraph)
	defer t.close()
	r := &recorder{Scorer: t.lms[0]}
	lm := &model.LM{Scorers: []model.Scorer{r}, Limits: model.Limits{Tokens: 1024},
		OnBatch: func(s model.BatchStats) { tokens += float64(s.Tokens) }}
	scorer := t.scorer()
	scorer.LM = lm
	in, err := dataset.Open(input)
	require.NoError(b, err)
	defer in.Close()
	err = job.Run(context.Background(), scorer, in, &jobtest.Output{}, job.Options{}, job.Resume{}, &nll.Summary{})
	require.NoError(b, err)
	return r.asked, tokens
}

// runBatches returns the seconds that the model alone takes.
func runBatches(b *testing.B, onnx string, batches []asked) float64 {
	t := openTeacher(b, onnx, ort.AutoGraph)
	defer t.close()
	start := time.Now()
	for _, a := range batches {
		require.NoError(b, t.lms[0].LogProbs(context.Background(), a.batch, a.at, make([]float32, len(a.at))))
	}
	return time.Since(start).Seconds()
}

// runCommand returns the seconds that the command takes to score, as its summary
// says, and those from its first to its last instruction.
func runCommand(b *testing.B, onnx, input string) (scoring, whole float64) {
	out := filepath.Join(b.TempDir(), "out.jsonl")
	var summary bytes.Buffer
	start := time.Now()
	code := run(context.Background(), &ui{out: &summary, err: io.Discard}, []string{"nll", "--onnx", onnx, "--in", input, "--out", out, "--json"})
	whole = time.Since(start).Seconds()
	require.Zero(b, code)
	var r report
	require.NoError(b, json.Unmarshal(summary.Bytes(), &r))
	return r.runStats.Seconds, whole
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
