package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/ort"
)

var update = flag.Bool("update", false, "write the output that the scripts compare with anew")

// TestMain lets the scripts run this test binary under the command's name: what
// they test is main itself, with the real ONNX Runtime and tokenizer.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ortscore": main, "crash": crash})
}

// crash ends as ortscore does where a goroutine panics.
func crash() {
	abortCrashes()
	go panic("a fault")
	select {}
}

// TestScript runs testdata/script/*.txtar. A script starts in an empty folder,
// $WORK, with the tiny models of testdata in $MODELS. Besides testscript's own
// commands (go doc github.com/rogpeppe/go-internal/testscript) there are those of
// script_commands_test.go and script_rank_test.go.
func TestScript(t *testing.T) {
	needNative(t)
	models, err := filepath.Abs(filepath.Join(root, "testdata"))
	require.NoError(t, err)
	command, err := exeInPath("ortscore")
	require.NoError(t, err)
	library := os.Getenv(ort.LibraryEnv)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		Cmds:                scriptCommands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Condition:           scriptCondition,
		Setup: func(env *testscript.Env) error {
			env.Setenv("MODELS", models)
			env.Setenv("ORTSCORE", command)
			env.Setenv(ort.LibraryEnv, library)
			// Scripts run side by side.
			env.Setenv("ORTSCORE_THREADS", "1")
			if os.Getenv("GORACE") == "" {
				env.Setenv("GORACE", "atexit_sleep_ms=10")
			}
			return nil
		},
	})
}

func exeInPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", os.ErrNotExist
}

// scriptCondition settles [root], under which no permission is ever denied, and
// [cuda], for a library that comes with the CUDA provider.
func scriptCondition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Getuid() == 0, nil
	case "cuda":
		_, err := os.Stat(filepath.Join(os.Getenv(ort.LibraryEnv), "libonnxruntime_providers_cuda.so"))
		return err == nil, nil
	}
	return false, os.ErrInvalid
}
