package ort

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// needLibrary loads the library that make setup puts in place. Where it is
// missing the test is skipped, but under make test it may not be.
func needLibrary(t testing.TB) {
	t.Helper()
	flag := ""
	if os.Getenv(LibraryEnv) == "" {
		flag = filepath.Join("..", "build", "lib", libraryName())
	}
	_, err := Load(flag)
	if err != nil && os.Getenv("ORTSCORE_TEST_NATIVE") == "" {
		t.Skipf("needs make setup: %v", err)
	}
	require.NoError(t, err)
}

// fixture is the path of a tiny model's graph.
func fixture(name string) string {
	return filepath.Join("..", "testdata", name, "model.onnx")
}

func openFixture(t testing.TB, name string, opts Options) *LM {
	t.Helper()
	needLibrary(t)
	lm, err := Open(context.Background(), fixture(name), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, lm.Close()) })
	return lm
}

func anyContains(texts []string, part string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, part) })
}
