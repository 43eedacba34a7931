package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/floats"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/nll"
	"github.com/ortscore/ortscore/ort"
)

// Scores agree with the reference to this, in nats. The reference itself, torch
// in fp32, moves by about 1e-5 with its batch size.
const parity = 2e-4

// root is the repository, as seen from this package.
var root = filepath.Join("..", "..")

// teachers are the exports of SmolLM2-135M-Instruct that make setup makes.
var teachers = []string{"smollm2-135m-instruct", "smollm2-135m-instruct-explicit"}

// TestReferenceDumps holds ids, answer tokens and scores against what torch and
// transformers gave for the same rows (scripts/golden.py).
func TestReferenceDumps(t *testing.T) {
	needNative(t)
	for _, dump := range []string{"smollm2-135m-instruct/rows", "smollm2-135m-instruct/chat", "smollm2-135m-instruct/questions"} {
		for _, name := range teachers {
			t.Run(dump+" by "+name, func(t *testing.T) {
				compareDump(t, dump, filepath.Join(buildDir, "models", name))
			})
		}
	}
	for _, name := range []string{"tiny-gqa", "tiny-explicit"} {
		t.Run("tiny/rows by "+name, func(t *testing.T) {
			compareDump(t, "tiny/rows", filepath.Join(root, "testdata", name))
		})
	}
}

// dump is what scripts/golden.py writes.
type dump struct {
	Input string
	Rows  []struct {
		Sequences []struct {
			IDs       []int32
			NumAnswer int `json:"num_answer"`
			NLL       float64
			Logits    []struct { // at each answer position, of the first few sequences
				First     []float64 // the first words'
				Argmax    int
				LogSumExp float64
			}
		}
	}
}

func compareDump(t *testing.T, name, model string) {
	needFile(t, model)
	var d dump
	data, err := os.ReadFile(filepath.Join(root, "testdata", "goldens", name+".json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &d))
	input := filepath.Join(root, d.Input)

	compareIDs(t, d, input, model)
	compareLogits(t, d, model)
	var want [][]float64
	for _, row := range d.Rows {
		var scores []float64
		for _, s := range row.Sequences {
			scores = append(scores, -s.NLL)
		}
		want = append(want, scores)
	}
	compareScores(t, want, scoreFile(t, input, model, "--answer-span", "reference"))
}

// compareIDs tokenises the rows as nll does.
func compareIDs(t *testing.T, d dump, input, model string) {
	teacher, err := (&teacherFlags{onnx: model}).open()
	require.NoError(t, err)
	defer teacher.close()
	scorer := &nll.Scorer{Fields: nll.TeacherFields, Answers: nll.First, Builder: nll.Builder{
		Tokenizer: teacher.tokenizer, KeyMaxLength: 512, MaxLength: teacher.config.Context,
		Vocab: teacher.tokenizer.Size, Span: nll.Reference}}
	in, err := dataset.Open(input)
	require.NoError(t, err)
	defer in.Close()
	for _, row := range d.Rows {
		line, err := in.Next()
		require.NoError(t, err)
		built, _, err := scorer.Read(line)
		require.NoError(t, err)
		require.Len(t, built.Sequences, len(row.Sequences))
		for i, s := range built.Sequences {
			require.Equal(t, row.Sequences[i].IDs, s.Tokens)
			require.Equal(t, row.Sequences[i].NumAnswer, len(s.Asks))
		}
	}
}

// compareLogits holds single logits against the reference's, so that scores are
// not right for a wrong reason.
func compareLogits(t *testing.T, d dump, onnx string) {
	teacher := openTeacher(t, onnx, ort.FullGraph)
	defer teacher.close()
	var n int
	var largest float64
	for _, row := range d.Rows {
		for _, s := range row.Sequences {
			if len(s.Logits) == 0 {
				continue
			}
			logits, err := teacher.lms[0].Forward(context.Background(), oneRow(s.IDs))
			require.NoError(t, err)
			for i, want := range s.Logits {
				got := widen(logits.At(0, len(s.IDs)-s.NumAnswer-1+i, nil))
				for v, w := range want.First {
					largest = max(largest, math.Abs(w-got[v]))
				}
				largest = max(largest, math.Abs(want.LogSumExp-floats.LogSumExp(got)))
				require.Equal(t, want.Argmax, floats.MaxIdx(got))
				n += len(want.First) + 1
			}
		}
	}
	require.NotZero(t, n)
	t.Logf("%d logits and sums, largest difference %.2g", n, largest)
	require.LessOrEqual(t, largest, parity)
}

func oneRow(ids []int32) *model.Batch {
	b := &model.Batch{Rows: 1, Width: len(ids), Lens: []int{len(ids)}}
	for _, id := range ids {
		b.TokenIDs = append(b.TokenIDs, int64(id))
	}
	return b
}

func widen(values []float32) []float64 {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide
}

// scoreFile runs ortscore nll and reads the scores it wrote.
func scoreFile(t *testing.T, input, model string, args ...string) [][]float64 {
	out := filepath.Join(t.TempDir(), "out.jsonl")
	var summary bytes.Buffer
	args = append([]string{"nll", "--onnx", model, "--in", input, "--out", out, "--json"}, args...)
	require.Zero(t, run(context.Background(), &ui{out: &summary, err: os.Stderr}, args))
	var r report
	require.NoError(t, json.Unmarshal(summary.Bytes(), &r))
	padding := share(r.Padding, r.Tokens+r.Padding)
	t.Logf("%d tokens, %.0f a second, %.1f%% padding", r.Tokens, r.TokensPerSecond, 100*padding)
	if r.Sequences > 500 { // a small file has no rows of like length to put together
		require.Less(t, padding, 0.03)
	}
	return readScores(t, out)
}

func readScores(t *testing.T, path string) (scores [][]float64) {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, dataset.MaxLine)
	for lines.Scan() {
		var row struct {
			Scores []float64 `json:"teacher_scores"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &row))
		scores = append(scores, row.Scores)
	}
	require.NoError(t, lines.Err())
	return scores
}

func compareScores(t *testing.T, want, got [][]float64) {
	require.Len(t, got, len(want))
	var n int
	var largest float64
	for i := range want {
		require.Len(t, got[i], len(want[i]))
		for k := range want[i] {
			largest = max(largest, math.Abs(want[i][k]-got[i][k]))
			n++
		}
	}
	t.Logf("%d scores, largest difference %.2g nats", n, largest)
	require.LessOrEqual(t, largest, parity)
}

// TestReferenceScript holds scores against those of the reference script itself
// on FlagEmbedding's toy data. The data is not part of this repository.
func TestReferenceScript(t *testing.T) {
	shared := filepath.Join(root, "..", "shared")
	if _, err := os.Stat(shared); err != nil {
		t.Skip("needs the toy data and the reference's scores in ../shared, which are not part of this repository; TestReferenceDumps shows the same on rows that are")
	}
	if testing.Short() {
		t.Skip("takes some minutes")
	}
	needNative(t)
	for _, file := range []string{"chat", "qa"} {
		for _, name := range teachers {
			t.Run(file+" by "+name, func(t *testing.T) {
				model := filepath.Join(buildDir, "models", name)
				needFile(t, model)
				want := readScores(t, filepath.Join(shared, "goldens", "smollm2-135m-instruct", file+".teacher_scores.jsonl"))
				compareScores(t, want, scoreFile(t, filepath.Join(shared, "data", "llm-embedder-toy", file+".json"), model))
			})
		}
	}
}
