package ort

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlacesInOrder(t *testing.T) {
	t.Setenv(LibraryEnv, "")
	exe, err := os.Executable()
	require.NoError(t, err)
	require.Equal(t, []Place{
		{"lib beside the executable", filepath.Join(filepath.Dir(exe), "lib", libraryName())},
		{"the loader's path", libraryName()},
	}, places(""))

	t.Setenv(LibraryEnv, "/opt/a.so")
	require.Equal(t, []Place{{LibraryEnv, "/opt/a.so"}}, places(""))
	require.Equal(t, []Place{{"--ort-lib", "/opt/b.so"}}, places("/opt/b.so"), "the flag goes before the environment")

	dir := t.TempDir()
	require.Equal(t, []Place{{"--ort-lib", filepath.Join(dir, libraryName())}}, places(dir), "a folder stands for the library in it")
}

func TestLoadNamesEveryPlace(t *testing.T) {
	_, err := load([]Place{{"here", "/nowhere/a.so"}, {"there", "b.so"}}, func(path string) error {
		return errors.New("cannot open " + path)
	})
	require.EqualError(t, err, "onnx runtime library not found; looked at\n"+
		"  /nowhere/a.so (here): no such file\n"+
		"  b.so (there): cannot open b.so")

	place, err := load([]Place{{"here", "/nowhere/a.so"}, {"there", "b.so"}}, func(string) error { return nil })
	require.NoError(t, err)
	require.Equal(t, Place{"there", "b.so"}, place)
}

func TestLoadRealErrors(t *testing.T) {
	notALibrary := filepath.Join(t.TempDir(), "a.so")
	require.NoError(t, os.WriteFile(notALibrary, []byte("no library"), 0o644))
	if loaded != nil {
		t.Skip("the library is loaded already: Load looks at nothing more")
	}
	_, err := Load(notALibrary)
	require.ErrorContains(t, err, notALibrary+" (--ort-lib): ")
	require.NotContains(t, err.Error(), "Platform-specific")
}
