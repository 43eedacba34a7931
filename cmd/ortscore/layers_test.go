package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/ortscore/ortscore/"

// allowed says which of this module's packages each may import. Imports point
// down, and what needs cgo is not among anyone's but cmd's.
var allowed = map[string][]string{
	"cmd/ortscore":           {"nll", "rank", "model", "model/chat", "model/graph", "model/hf", "model/openai", "ort", "io/atomicfile", "io/dataset", "io/durable", "io/job", "io/manifest", "io/progress", "io/regular", "io/shard", "io/template", "io/verify"},
	"nll":                    {"model", "io/dataset", "io/job", "io/template"},
	"rank":                   {"model", "model/openai", "io/dataset", "io/job", "io/template"},
	"ort":                    {"model", "model/graph"},
	"model":                  {"model/half"},
	"model/hf":               {"model", "io/regular"},
	"model/modeltest":        {"model"},
	"io/atomicfile":          {"io/internal/filesystem"},
	"io/dataset":             {"io/regular"},
	"io/durable":             {"io/internal/filesystem", "io/manifest"},
	"io/internal/filesystem": {},
	"io/job":                 {"io/dataset", "io/durable", "io/manifest", "io/shard"},
	"io/job/jobtest":         {"io/dataset"},
	"io/shard":               {"io/dataset"},
	"io/progress":            {},
	"io/template":            {"io/regular"},
	"io/verify":              {"io/dataset", "io/manifest"},
	"io/manifest":            {"io/atomicfile", "io/regular"},
	"model/graph":            {"io/regular"},
	"model/half":             {},
	"model/chat":             {},
	"model/openai":           {},
	"io/regular":             {},
}

func TestLayers(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{join .Imports ","}}`, "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		name := strings.TrimPrefix(path, module)
		may, known := allowed[name]
		require.True(t, known, "a new package: give %s its place", name)
		for imported := range strings.SplitSeq(imports, ",") {
			if below, ours := strings.CutPrefix(imported, module); ours && !slices.Contains(may, below) {
				t.Errorf("%s imports %s", name, below)
			}
			if strings.HasPrefix(imported, "github.com/yalue/") && name != "ort" || strings.HasPrefix(imported, "github.com/daulet/") && name != "model/hf" {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}
