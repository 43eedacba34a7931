package graph

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, data, 0o644))
}

// withExternal is a model whose one weight of 16 bytes lies in the file named.
func withExternal(location string) []byte {
	return onnxModel(initializer(tensor("w", Float32, []int64{4}, "location", location, "offset", "8", "length", "16")), logits())
}

func TestReadExternal(t *testing.T) {
	for _, c := range []struct {
		name, location string
		size           int // of the file at location; -1 for none
		want           string
	}{
		{"beside the model", "model.data", 24, ""},
		{"larger than needed", "model.data", 4096, ""},
		{"in a folder below", "weights/model.data", 24, ""},
		{"through a folder and back", "weights/../model.data", 24, ""},
		{"missing", "model.data", -1, `external data: want "model.data" beside the model, got no such file`},
		{"one byte short", "model.data", 23, `external data: want at least 24 bytes in "model.data", got 23: the file is cut off`},
		{"empty", "model.data", 0, `external data: want at least 24 bytes in "model.data", got 0: the file is cut off`},
		{"absolute", "/etc/passwd", -1, `external data: want a file inside the model's folder, got "/etc/passwd"`},
		{"a folder up", "../outside.data", 24, `external data: want a file inside the model's folder, got "../outside.data"`},
		{"a folder up, hidden", "a/../../outside.data", 24, `external data: want a file inside the model's folder, got "a/../../outside.data"`},
		{"no name", "", -1, `external data: want a file inside the model's folder, got ""`},
		{"the folder itself", ".", -1, `external data: want a file, got ".", which is none`},
	} {
		dir := filepath.Join(t.TempDir(), "model")
		path := filepath.Join(dir, "model.onnx")
		write(t, path, withExternal(c.location))
		if c.size >= 0 {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "weights"), 0o755))
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "a"), 0o755))
			write(t, filepath.Join(dir, c.location), make([]byte, c.size))
		}
		m, err := Read(path)
		if c.want != "" {
			require.EqualError(t, err, path+": "+c.want, c.name)
			require.Nil(t, m)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, []External{{c.location, 24}}, m.External)
	}
}

// The model's folder, and files in it, may be links to anywhere.
func TestReadThroughLinks(t *testing.T) {
	root := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{root}, parts...)...) }

	write(t, at("real", "model.onnx"), withExternal("model.data"))
	write(t, at("real", "model.data"), make([]byte, 24))
	require.NoError(t, os.Symlink("real", at("link")))
	_, err := Read(at("link", "model.onnx"))
	require.NoError(t, err, "a folder that is a link")

	// The Hugging Face cache: names link to ../../blobs/{hash}.
	write(t, at("cache", "blobs", "aaaa"), withExternal("model.onnx_data"))
	write(t, at("cache", "blobs", "bbbb"), make([]byte, 24))
	snapshot := at("cache", "snapshots", "0123", "onnx")
	require.NoError(t, os.MkdirAll(snapshot, 0o755))
	require.NoError(t, os.Symlink("../../../blobs/aaaa", filepath.Join(snapshot, "model.onnx")))
	require.NoError(t, os.Symlink("../../../blobs/bbbb", filepath.Join(snapshot, "model.onnx_data")))
	_, err = Read(filepath.Join(snapshot, "model.onnx"))
	require.NoError(t, err, "files that are links")

	require.NoError(t, os.Remove(at("cache", "blobs", "bbbb")))
	_, err = Read(filepath.Join(snapshot, "model.onnx"))
	require.ErrorContains(t, err, `want "model.onnx_data" beside the model, got no such file`, "a link to nothing")
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := Read(filepath.Join(dir, "none.onnx"))
	require.ErrorIs(t, err, os.ErrNotExist)

	_, err = Read(dir)
	require.EqualError(t, err, dir+": want a file, got a folder")

	empty := filepath.Join(dir, "empty.onnx")
	write(t, empty, nil)
	_, err = Read(empty)
	require.EqualError(t, err, empty+": want an ONNX model of 1 byte to 2 GiB, got 0 bytes")

	large := filepath.Join(dir, "large.onnx") // a hole, so that no disk is used
	write(t, large, nil)
	require.NoError(t, os.Truncate(large, maxFile+1))
	_, err = Read(large)
	require.EqualError(t, err, large+": want an ONNX model of 1 byte to 2 GiB, got 2147483649 bytes")

	cut := filepath.Join(dir, "cut.onnx")
	data := readFixture(t, "tiny-gqa")
	write(t, cut, data[:len(data)/2])
	_, err = Read(cut)
	require.EqualError(t, err, cut+": want a whole ONNX model, got a broken or cut off file")

	loop := filepath.Join(dir, "loop.data")
	require.NoError(t, os.Symlink("loop.data", loop))
	model := filepath.Join(dir, "model.onnx")
	write(t, model, withExternal("loop.data"))
	_, err = Read(model)
	require.ErrorIs(t, err, syscall.ELOOP)
}
