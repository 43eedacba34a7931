// Package hf reads Hugging Face model folders: which of its ONNX files is meant,
// config.json, and tokenizer.json. It is the one package that links
// libtokenizers.a.
package hf

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Files are the files of one model.
type Files struct {
	Model     string   // the .onnx file
	Tokenizer string   // tokenizer.json
	Dirs      []string // where its JSON files lie: the model's folder, and the one above
	Name      string   // the model's name, from its folder
}

// TokenizerDirs are the folders in which the tokenizer's settings are looked for, in this order:
// the tokenizer's own, then those of the model.
func (f *Files) TokenizerDirs() []string {
	return append([]string{filepath.Dir(f.Tokenizer)}, f.Dirs...)
}

// precisions gives the names a precision goes by: first the one in file names
// (model_fp16.onnx), then those that people type.
var precisions = [][]string{
	{"fp32", "float32", "full"},
	{"fp16", "float16", "half"},
	{"bf16", "bfloat16"},
	{"q4", "int4"},
	{"q4f16"}, {"int8"}, {"uint8"}, {"quantized"}, {"bnb4"},
}

// Locate finds the model's files. path is an .onnx file, or a folder that holds
// one, itself or in onnx/; where it holds several, dtype picks, and model.onnx
// in full precision is the default. tokenizer is a tokenizer.json, a folder
// with one, or "" for the one beside the model or a folder up.
func Locate(path, dtype, tokenizer string) (*Files, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	f := &Files{Model: path}
	if info.IsDir() {
		f.Model, err = pick(path, dtype)
	} else if dtype != "" {
		err = checkName(path, dtype)
	}
	if err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(f.Model)
	if err != nil {
		return nil, err
	}
	f.Dirs = []string{filepath.Dir(f.Model), filepath.Join(filepath.Dir(f.Model), "..")}
	f.Name = modelName(filepath.Dir(abs))
	if tokenizer == "" {
		f.Tokenizer, err = findTokenizer(f.Dirs)
	} else {
		f.Tokenizer, err = LocateTokenizer(tokenizer)
	}
	return f, err
}

// hubFolder is a folder in the cache of the Hugging Face hub, whose folders for
// repositories are named models--ORG--NAME, and those in their snapshots by commits.
var hubFolder = regexp.MustCompile(`(?:^|/)models--(?:[^/]+--)?([^/]+)/snapshots/[^/]+(/.+)?$`)

// modelName is a model's name: that of its folder, or of the folder above one named
// onnx, and in the hub's cache that of the repository, with the folder's behind it
// where the repository holds several.
func modelName(dir string) string {
	if filepath.Base(dir) == "onnx" {
		dir = filepath.Dir(dir)
	}
	name := filepath.Base(dir)
	found := hubFolder.FindStringSubmatch(filepath.ToSlash(dir))
	switch {
	case found == nil:
		return name
	case found[2] == "":
		return found[1]
	}
	return found[1] + "-" + name
}

// LocateTokenizer finds a tokenizer.json by its path or its folder's.
func LocateTokenizer(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("tokenizer: %w", err)
	}
	if !info.IsDir() {
		return path, nil
	}
	return findTokenizer([]string{path})
}

func findTokenizer(dirs []string) (string, error) {
	path, err := find(dirs, "tokenizer.json")
	if err == nil && path == "" {
		err = fmt.Errorf("tokenizer: want tokenizer.json in %s, got none", strings.Join(dirs, " or "))
	}
	return path, err
}

// pick chooses one of a folder's ONNX files.
func pick(dir, dtype string) (string, error) {
	var files []string
	for _, pattern := range []string{"*.onnx", "onnx/*.onnx"} {
		found, err := filepath.Glob(filepath.Join(escape(dir), pattern))
		if err != nil {
			return "", err
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return "", fmt.Errorf("model: want an .onnx file in %s or %s, got none", dir, filepath.Join(dir, "onnx"))
	}
	if dtype == "" && len(files) == 1 {
		return files[0], nil
	}
	names, err := fileNames(dtype)
	if err != nil {
		return "", fmt.Errorf("dtype: %w", err)
	}
	for _, name := range names {
		if i := slices.IndexFunc(files, func(f string) bool { return filepath.Base(f) == name }); i >= 0 {
			return files[i], nil
		}
	}
	return "", noModel(dir, names, files)
}

// noModel says what a folder holds in place of a model of these names. Older
// exports of optimum have parts of one: for causal models each runs by itself, for
// encoder-decoders none does.
func noModel(dir string, names, files []string) error {
	shown := make([]string, len(files))
	for i, path := range files {
		shown[i], _ = filepath.Rel(dir, path)
	}
	got := strings.Join(shown, ", ")
	part := func(prefix string) int {
		return slices.IndexFunc(files, func(f string) bool { return strings.HasPrefix(filepath.Base(f), prefix) })
	}
	if part("encoder_model") >= 0 && part("decoder_") >= 0 {
		return fmt.Errorf("model: want a causal language model in %s, got the parts of an encoder-decoder: %s", dir, got)
	}
	for _, prefix := range []string{"decoder_model_merged", "decoder_model", "decoder_with_past_model"} {
		for _, name := range names {
			if i := part(prefix + strings.TrimPrefix(name, "model")); i >= 0 {
				return fmt.Errorf("model: want %s in %s, got %s: name the one to run, --onnx %s", strings.Join(names, " or "), dir, got, files[i])
			}
		}
	}
	return fmt.Errorf("model: want %s in %s, got %s", strings.Join(names, " or "), dir, got)
}

// checkName refuses a file whose name does not say that it is of this precision.
func checkName(path, dtype string) error {
	names, err := fileNames(dtype)
	if err == nil && !slices.Contains(names, filepath.Base(path)) {
		err = fmt.Errorf("want %s or a folder to pick from, got the file %s", strings.Join(names, " or "), path)
	}
	if err != nil {
		err = fmt.Errorf("dtype: %w", err)
	}
	return err
}

// ParseDtype checks a precision by one of its names, in which capitals do not count.
func ParseDtype(s string) (string, error) {
	_, err := fileNames(s)
	return s, err
}

// fileNames lists the names that a model of this precision goes by.
func fileNames(dtype string) ([]string, error) {
	if dtype == "" {
		dtype = "fp32"
	}
	for _, names := range precisions {
		if !slices.Contains(names, strings.ToLower(dtype)) {
			continue
		}
		suffixed := "model_" + names[0] + ".onnx"
		if names[0] == "fp32" {
			return []string{"model.onnx", suffixed}, nil
		}
		return []string{suffixed}, nil
	}
	return nil, fmt.Errorf("want fp32, fp16, bf16, q4, q4f16, int8, uint8, quantized or bnb4, got %q", dtype)
}

// escape keeps a folder's name from being read as a pattern.
func escape(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "*", `\*`, "?", `\?`).Replace(dir)
}
