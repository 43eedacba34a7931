package ort

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A session that is asked for a profile writes one when it is closed: JSON with an
// event for each run, here the probe's.
func TestProfile(t *testing.T) {
	needLibrary(t)
	folder := t.TempDir()
	lm, err := Open(context.Background(), fixture("tiny-gqa"), Options{Profile: filepath.Join(folder, "ort")})
	require.NoError(t, err)
	require.NoError(t, lm.Close())

	files, err := filepath.Glob(filepath.Join(folder, "ort_*.json"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	text, err := os.ReadFile(files[0])
	require.NoError(t, err)
	var events []struct{ Name string }
	require.NoError(t, json.Unmarshal(text, &events))
	require.Contains(t, events, struct{ Name string }{"model_run"})
}
