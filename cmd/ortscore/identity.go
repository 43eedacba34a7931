package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/io/manifest"
	"github.com/ortscore/ortscore/model/openai"
	"github.com/ortscore/ortscore/ort"
)

// described is a teacher, as a manifest tells of it.
type described interface {
	// facts decide what its scores are; the model need not be open.
	facts() ([]manifest.Fact, error)
	// machine is what else it runs on, once it is open.
	machine() []manifest.Fact
	modelFiles() []manifest.File
	key() openai.Key
}

// harmless are the flags on which the bytes of an output do not depend, and those that
// stand in other facts: files by their contents, an endpoint by its address and model.
var harmless = []string{"onnx", "dtype", "tokenizer", "template", "prompt-template", "extra-body", "ep", "devices", "replicas", "threads", "gpu-memory", "ort-lib",
	"batch-tokens", "batch-size", "logits-memory", "cache-tokens", "base-url", "model", "api-key-file", "parallel", "retries", "deadline", "max-failures",
	"in", "out", "save-name", "dataset-path", "output-dir", "dataset-name", "shard", "force", "resume", "restart", "keep-answers", "on-error",
	"dry-run", "quiet", "stats", "json"}

// flagFacts are the values of all other flags, the defaults among them: these may be
// others in another version.
func flagFacts(fs *pflag.FlagSet) []manifest.Fact {
	var facts []manifest.Fact
	fs.VisitAll(func(f *pflag.Flag) {
		if !slices.Contains(harmless, f.Name) {
			facts = append(facts, manifest.Fact{Name: f.Name, Value: flagText(f)})
		}
	})
	if f := fs.Lookup("template"); f != nil && f.Value.String() == chatTemplate { // which is no file
		facts = append(facts, manifest.Fact{Name: "template", Value: chatTemplate})
	}
	if f := fs.Lookup("on-error"); f != nil && f.Value.String() == "equal" { // which makes scores
		facts = append(facts, manifest.Fact{Name: "on-error", Value: "equal"})
	}
	return facts
}

// flagText is a flag's value. That of several texts is written so that a comma in one
// does not make it two.
func flagText(f *pflag.Flag) string {
	values := flagValues(f)
	if _, ok := f.Value.(pflag.SliceValue); ok {
		return fmt.Sprintf("%q", values)
	}
	return values[0]
}

// The files that scores depend on beside a model, and beside its tokenizer.
var (
	modelJSON     = []string{"config.json", "genai_config.json", "generation_config.json"}
	tokenizerJSON = []string{"tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"}
)

// modelFiles lists what the teacher was read from.
func (t *teacher) modelFiles() []manifest.File {
	files := []manifest.File{{Role: "model", Path: t.files.Model}}
	if t.graph != nil {
		for _, ext := range t.graph.External {
			files = append(files, manifest.File{Role: "weights", Path: filepath.Join(filepath.Dir(t.files.Model), ext.Location)})
		}
	}
	files = append(files, manifest.File{Role: "tokenizer", Path: t.files.Tokenizer})
	return slices.Concat(files, firstOf(t.files.Dirs, modelJSON), firstOf(t.files.TokenizerDirs(), tokenizerJSON))
}

// firstOf lists the files of these names, each from the first folder that has it.
func firstOf(dirs, names []string) (files []manifest.File) {
	for _, name := range names {
		for _, dir := range dirs {
			if path := filepath.Join(dir, name); isFile(path) {
				files = append(files, manifest.File{Role: strings.TrimSuffix(name, filepath.Ext(name)), Path: path})
				break
			}
		}
	}
	return files
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func (t *teacher) facts() ([]manifest.Fact, error) {
	lib, err := t.flags.loadLibrary()
	if err != nil {
		return nil, err
	}
	provider := ort.CUDA
	if onCPU(ort.Options{Provider: t.flags.ep, Device: t.flags.devices[0]}) {
		provider = ort.CPU
	}
	return []manifest.Fact{{Name: "provider", Value: string(provider)}, {Name: "onnxruntime", Value: lib.Version}, {Name: "precision", Value: t.stored}}, nil
}

func (t *teacher) machine() []manifest.Fact {
	facts := []manifest.Fact{{Name: "place", Value: t.place()}}
	if t.info.Provider == ort.CUDA {
		capability, driver, cuda := ort.DescribeDevice(t.flags.devices[0])
		facts = append(facts, manifest.Fact{Name: "compute capability", Value: capability}, manifest.Fact{Name: "driver", Value: driver}, manifest.Fact{Name: "cuda", Value: cuda})
	}
	if host, err := os.Hostname(); err == nil {
		facts = append(facts, manifest.Fact{Name: "host", Value: host})
	}
	return facts
}

func (t *teacher) key() openai.Key { return openai.Key{} }

// origin tells what the outputs of a run are made by.
func (f *fileFlags) origin(ctx context.Context, command string, t described) (*job.Origin, error) {
	facts, err := t.facts()
	if err != nil {
		return nil, err
	}
	o := &job.Origin{Version: version, Command: command, Arguments: arguments(f.flags, f.args, t.key()), Files: t.modelFiles()}
	for _, path := range f.templates {
		o.Files = append(o.Files, manifest.File{Role: "template", Path: path})
	}
	if err := manifest.HashAll(ctx, o.Files, manifest.UserCache()); err != nil {
		return nil, withCode(err, exitModel)
	}
	o.Identity = slices.Concat([]manifest.Fact{{Name: "version", Value: version}, {Name: "command", Value: command}}, facts, flagFacts(f.flags), manifest.Facts(o.Files))
	return o, nil
}
