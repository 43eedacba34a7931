package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/io/job/jobtest"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/nll"
	"github.com/ortscore/ortscore/ort"
)

// BenchmarkProfile scores the examples as nll does and leaves Go's profile and
// ONNX Runtime's in build/profile: cpu.pprof, ort_{time}.json. make profile reads
// them.
func BenchmarkProfile(b *testing.B) {
	needNative(b)
	onnx := filepath.Join(buildDir, "models", teachers[0])
	needFile(b, onnx)
	folder := filepath.Join(buildDir, "profile")
	require.NoError(b, os.RemoveAll(folder))
	require.NoError(b, os.MkdirAll(folder, 0o755))

	t, err := (&teacherFlags{onnx: onnx}).open()
	require.NoError(b, err)
	defer t.close() // writes ONNX Runtime's
	_, err = t.flags.loadLibrary()
	require.NoError(b, err)
	lm, err := ort.Open(context.Background(), t.files.Model, ort.Options{Profile: filepath.Join(folder, "ort")})
	require.NoError(b, err)
	t.lms = append(t.lms, lm)
	scorer := t.scorer()
	scorer.LM = &model.LM{Scorers: t.scorers(), Tuner: tuner(ort.CPU, math.MaxInt32)}
	in, err := dataset.Open(filepath.Join(root, "examples", "questions.jsonl"))
	require.NoError(b, err)
	defer in.Close()
	cpu, err := os.Create(filepath.Join(folder, "cpu.pprof"))
	require.NoError(b, err)
	defer cpu.Close()

	require.NoError(b, pprof.StartCPUProfile(cpu))
	start := time.Now()
	err = job.Run(context.Background(), scorer, in, &jobtest.Output{}, job.Options{}, job.Resume{}, &nll.Summary{})
	b.ReportMetric(time.Since(start).Seconds(), "s")
	pprof.StopCPUProfile()
	require.NoError(b, err)
}
