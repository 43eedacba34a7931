package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/ort"
)

// buildDir is what make setup fills.
var buildDir = filepath.Join("..", "..", "build")

// needNative sees to it that the ONNX Runtime library is found. Where make setup
// has not run the test is skipped, but under make test it may not be.
func needNative(t testing.TB) {
	t.Helper()
	if os.Getenv(ort.LibraryEnv) == "" {
		lib, err := filepath.Abs(filepath.Join(buildDir, "lib"))
		require.NoError(t, err)
		t.Setenv(ort.LibraryEnv, lib)
	}
	needFile(t, filepath.Join(os.Getenv(ort.LibraryEnv), "libonnxruntime.so"))
}

func needFile(t testing.TB, path string) {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && os.Getenv("ORTSCORE_TEST_NATIVE") == "" {
		t.Skipf("needs make setup: %v", err)
	}
	require.NoError(t, err)
}

// openTeacher opens a teacher as the flags' defaults do, and starts it to score.
func openTeacher(t testing.TB, onnx string, g ort.Graph) *teacher {
	t.Helper()
	teacher, err := (&teacherFlags{onnx: onnx, graph: g, devices: []int{0}, replicas: 1}).open()
	require.NoError(t, err)
	require.NoError(t, teacher.start(context.Background()))
	return teacher
}
