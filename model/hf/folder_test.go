package hf

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree makes a folder with empty files of these names.
func tree(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o644))
	}
	return root
}

func TestLocate(t *testing.T) {
	several := []string{"m/tokenizer.json", "m/onnx/model.onnx", "m/onnx/model_fp16.onnx", "m/onnx/model_q4.onnx", "m/onnx/model_quantized.onnx"}
	const commit = "hub/models--some-org--Some-Model-1B/snapshots/0123abcd"
	hub := func(files ...string) []string {
		paths := []string{commit + "/tokenizer.json"}
		for _, name := range files {
			paths = append(paths, commit+"/"+name)
		}
		return paths
	}
	for _, c := range []struct {
		name             string
		files            []string
		path, dtype, tok string
		model, tokenizer string
		modelName        string
	}{
		{"a file", []string{"m/model.onnx", "m/tokenizer.json"}, "m/model.onnx", "", "", "m/model.onnx", "m/tokenizer.json", "m"},
		{"a file of any name", []string{"m/decoder.bin", "m/tokenizer.json"}, "m/decoder.bin", "", "", "m/decoder.bin", "m/tokenizer.json", "m"},
		{"a folder", []string{"m/model.onnx", "m/tokenizer.json"}, "m", "", "", "m/model.onnx", "m/tokenizer.json", "m"},
		{"a folder with one of another name", []string{"m/decoder.onnx", "m/tokenizer.json"}, "m", "", "", "m/decoder.onnx", "m/tokenizer.json", "m"},
		{"the sub-folder onnx", []string{"m/onnx/model.onnx", "m/tokenizer.json"}, "m", "", "", "m/onnx/model.onnx", "m/tokenizer.json", "m"},
		{"in onnx itself", []string{"m/onnx/model.onnx", "m/tokenizer.json"}, "m/onnx", "", "", "m/onnx/model.onnx", "m/tokenizer.json", "m"},
		{"a file in onnx", []string{"m/onnx/model.onnx", "m/tokenizer.json"}, "m/onnx/model.onnx", "", "", "m/onnx/model.onnx", "m/tokenizer.json", "m"},
		{"the tokenizer beside goes before the one above", []string{"m/onnx/model.onnx", "m/onnx/tokenizer.json", "m/tokenizer.json"}, "m", "", "", "m/onnx/model.onnx", "m/onnx/tokenizer.json", "m"},
		{"several: full precision", several, "m", "", "", "m/onnx/model.onnx", "m/tokenizer.json", "m"},
		{"several: fp32", several, "m", "fp32", "", "m/onnx/model.onnx", "m/tokenizer.json", "m"},
		{"several: fp16", several, "m", "fp16", "", "m/onnx/model_fp16.onnx", "m/tokenizer.json", "m"},
		{"several: by another word", several, "m", "Float16", "", "m/onnx/model_fp16.onnx", "m/tokenizer.json", "m"},
		{"several: int4", several, "m", "int4", "", "m/onnx/model_q4.onnx", "m/tokenizer.json", "m"},
		{"several: quantized", several, "m", "quantized", "", "m/onnx/model_quantized.onnx", "m/tokenizer.json", "m"},
		{"model_fp32.onnx", []string{"m/model_fp32.onnx", "m/model_q4.onnx", "m/tokenizer.json"}, "m", "", "", "m/model_fp32.onnx", "m/tokenizer.json", "m"},
		{"the folder goes before its onnx", []string{"m/model.onnx", "m/onnx/model.onnx", "m/tokenizer.json"}, "m", "", "", "m/model.onnx", "m/tokenizer.json", "m"},
		{"a dtype that is the one there", []string{"m/model_q4.onnx", "m/tokenizer.json"}, "m", "q4", "", "m/model_q4.onnx", "m/tokenizer.json", "m"},
		{"brackets and stars in the name", []string{"m[1]*?/onnx/model.onnx", "m[1]*?/tokenizer.json"}, "m[1]*?", "", "", "m[1]*?/onnx/model.onnx", "m[1]*?/tokenizer.json", "m[1]*?"},
		{"a backslash in the name", []string{`m\n/model.onnx`, `m\n/tokenizer.json`}, `m\n`, "", "", `m\n/model.onnx`, `m\n/tokenizer.json`, `m\n`},
		{"a tokenizer by name", []string{"m/model.onnx", "t/my.json"}, "m", "", "t/my.json", "m/model.onnx", "t/my.json", "m"},
		{"a tokenizer's folder", []string{"m/model.onnx", "m/tokenizer.json", "t/tokenizer.json"}, "m", "", "t", "m/model.onnx", "t/tokenizer.json", "m"},
		{"a snapshot of the hub", hub("model.onnx"), commit, "", "", commit + "/model.onnx", commit + "/tokenizer.json", "Some-Model-1B"},
		{"a snapshot's file", hub("model.onnx"), commit + "/model.onnx", "", "", commit + "/model.onnx", commit + "/tokenizer.json", "Some-Model-1B"},
		{"a snapshot with onnx", hub("onnx/model.onnx"), commit, "", "", commit + "/onnx/model.onnx", commit + "/tokenizer.json", "Some-Model-1B"},
		{"a snapshot's onnx", hub("onnx/model.onnx"), commit + "/onnx", "", "", commit + "/onnx/model.onnx", commit + "/tokenizer.json", "Some-Model-1B"},
		{"a file in a snapshot's onnx", hub("onnx/model_q4.onnx"), commit + "/onnx/model_q4.onnx", "", "", commit + "/onnx/model_q4.onnx", commit + "/tokenizer.json", "Some-Model-1B"},
		{"one of several folders of a snapshot", hub("cpu/int4/model.onnx", "cpu/int4/tokenizer.json"), commit + "/cpu/int4", "", "", commit + "/cpu/int4/model.onnx", commit + "/cpu/int4/tokenizer.json", "Some-Model-1B-int4"},
		{"a repository of no organisation", []string{"models--gpt2/snapshots/main/model.onnx", "models--gpt2/snapshots/main/tokenizer.json"}, "models--gpt2/snapshots/main", "", "", "models--gpt2/snapshots/main/model.onnx", "models--gpt2/snapshots/main/tokenizer.json", "gpt2"},
		{"a folder that is named like one of the hub's", []string{"models--a--b/m/model.onnx", "models--a--b/m/tokenizer.json"}, "models--a--b/m", "", "", "models--a--b/m/model.onnx", "models--a--b/m/tokenizer.json", "m"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, c.files...)
			tok := c.tok
			if tok != "" {
				tok = filepath.Join(dir, tok)
			}
			got, err := Locate(filepath.Join(dir, c.path), c.dtype, tok)
			require.NoError(t, err)
			require.Equal(t, filepath.Join(dir, c.model), got.Model)
			require.Equal(t, filepath.Join(dir, c.tokenizer), got.Tokenizer)
			require.Equal(t, c.modelName, got.Name)
			require.Equal(t, filepath.Dir(got.Model), got.Dirs[0])
			require.Equal(t, filepath.Dir(filepath.Dir(got.Model)), got.Dirs[1])
		})
	}
}

// Names that are relative to the current folder, which itself has no name.
func TestLocateHere(t *testing.T) {
	t.Chdir(filepath.Join(tree(t, "some-model/model.onnx", "some-model/tokenizer.json"), "some-model"))
	for _, path := range []string{".", "model.onnx", "./model.onnx", "../some-model"} {
		got, err := Locate(path, "", "")
		require.NoError(t, err, path)
		require.Equal(t, "some-model", got.Name, path)
	}
}

func TestLocateRefuses(t *testing.T) {
	dir := tree(t, "none/readme.md", "q4/model_q4.onnx", "q4/tokenizer.json", "several/onnx/a.onnx", "several/onnx/b.onnx", "several/tokenizer.json",
		"x/y/bare/model.onnx", "t/other.json",
		"parts/onnx/decoder_model.onnx", "parts/onnx/decoder_model_merged.onnx", "parts/onnx/decoder_model_merged_fp16.onnx", "parts/onnx/decoder_with_past_model.onnx",
		"two/decoder_model.onnx", "two/decoder_with_past_model.onnx", "both/encoder_model.onnx", "both/decoder_model.onnx", "both/decoder_model_merged.onnx")
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct{ name, path, dtype, tok, want string }{
		{"no such path", "nowhere", "", "", "model: stat " + at("nowhere") + ": no such file or directory"},
		{"no model", "none", "", "", "model: want an .onnx file in " + at("none") + " or " + at("none/onnx") + ", got none"},
		{"not that dtype", "q4", "fp16", "", "model: want model_fp16.onnx in " + at("q4") + ", got model_q4.onnx"},
		{"several, none the default", "several", "", "", "model: want model.onnx or model_fp32.onnx in " + at("several") + ", got onnx/a.onnx, onnx/b.onnx"},
		{"an unknown dtype", "q4", "fp12", "", `dtype: want fp32, fp16, bf16, q4, q4f16, int8, uint8, quantized or bnb4, got "fp12"`},
		{"no tokenizer", "x/y/bare", "", "", "tokenizer: want tokenizer.json in " + at("x/y/bare") + " or " + at("x/y") + ", got none"},
		{"a tokenizer that is not there", "q4", "", "gone.json", "tokenizer: stat " + at("gone.json") + ": no such file or directory"},
		{"a folder without tokenizer", "q4", "", "t", "tokenizer: want tokenizer.json in " + at("t") + ", got none"},
		{"parts of a causal model", "parts", "", "", "model: want model.onnx or model_fp32.onnx in " + at("parts") +
			", got onnx/decoder_model.onnx, onnx/decoder_model_merged.onnx, onnx/decoder_model_merged_fp16.onnx, onnx/decoder_with_past_model.onnx" +
			": name the one to run, --onnx " + at("parts/onnx/decoder_model_merged.onnx")},
		{"parts in fp16", "parts", "fp16", "", "model: want model_fp16.onnx in " + at("parts") +
			", got onnx/decoder_model.onnx, onnx/decoder_model_merged.onnx, onnx/decoder_model_merged_fp16.onnx, onnx/decoder_with_past_model.onnx" +
			": name the one to run, --onnx " + at("parts/onnx/decoder_model_merged_fp16.onnx")},
		{"two parts", "two", "", "", "model: want model.onnx or model_fp32.onnx in " + at("two") +
			", got decoder_model.onnx, decoder_with_past_model.onnx: name the one to run, --onnx " + at("two/decoder_model.onnx")},
		{"an encoder-decoder", "both", "", "", "model: want a causal language model in " + at("both") +
			", got the parts of an encoder-decoder: decoder_model.onnx, decoder_model_merged.onnx, encoder_model.onnx"},
	} {
		tok := c.tok
		if tok != "" {
			tok = at(tok)
		}
		_, err := Locate(at(c.path), c.dtype, tok)
		require.EqualError(t, err, c.want, c.name)
	}
}

// The Hugging Face cache: names that link to blobs.
func TestLocateThroughLinks(t *testing.T) {
	dir := tree(t, "blobs/aaaa", "blobs/bbbb", "snapshots/0123/onnx/keep", "snapshots/0123/keep")
	link := func(target, name string) {
		require.NoError(t, os.Symlink(target, filepath.Join(dir, "snapshots/0123", name)))
	}
	link("../../../blobs/aaaa", "onnx/model.onnx")
	link("../../blobs/bbbb", "tokenizer.json")
	got, err := Locate(filepath.Join(dir, "snapshots/0123"), "", "")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "snapshots/0123/onnx/model.onnx"), got.Model)
	require.Equal(t, filepath.Join(dir, "snapshots/0123/tokenizer.json"), got.Tokenizer)
}
