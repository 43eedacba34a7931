package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/manifest"
	"github.com/ortscore/ortscore/io/verify"
)

// verifyFlags are the flags of ortscore verify.
type verifyFlags struct {
	sample int
	seed   uint64
}

func verifyCommand() (*pflag.FlagSet, func(context.Context, *ui, []string) error) {
	f := &verifyFlags{sample: 64}
	fs := newFlags("verify")
	fs.Var(atLeast{&f.sample, 0}, "sample", "rows to score again, rounded up to whole blocks of rows; 0 for none")
	fs.Uint64Var(&f.seed, "seed", 42, "seed of the sample")
	return fs, f.run
}

func (f *verifyFlags) run(ctx context.Context, ui *ui, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one output, got %d", len(args))
	}
	out, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	m, err := manifest.Read(manifest.Path(out))
	if state := manifest.Unfinished(out, err); state != "" {
		return withHint(fmt.Errorf("%s: want a finished output, got one that %s", args[0], state), "run its command again: it goes on from where it was cut")
	}
	if err != nil {
		return err
	}
	absent, err := f.checkFiles(ctx, ui, out, m)
	if err != nil || f.sample == 0 || m.Shard.From == m.Shard.To {
		return err
	}
	if reason := notAgain(m, absent); reason != "" {
		ui.notes([]string{"no row was scored again: " + reason})
		return nil
	}
	return f.scoreAgain(ctx, ui, out, m)
}

// checkFiles shows what became of the files of a manifest, and lists those that are not
// there any more.
func (f *verifyFlags) checkFiles(ctx context.Context, ui *ui, out string, m *manifest.Manifest) (absent []string, err error) {
	findings, err := verify.Files(ctx, out, m)
	if err != nil {
		return nil, err
	}
	var bad []error
	ui.section("files")
	for _, found := range findings {
		state := "unchanged"
		switch {
		case found.Bad != nil:
			state = "changed"
			bad = append(bad, found.Bad)
		case found.Absent:
			state = "not there any more"
			absent = append(absent, found.Path)
		}
		ui.fact(found.Role, "%s, %s", found.Path, state)
	}
	switch len(bad) {
	case 0:
		return absent, nil
	case 1:
		return nil, bad[0]
	}
	return nil, fmt.Errorf("%w (and %s more changed)", bad[0], count(len(bad)-1, "file"))
}

// notAgain says why no row can be scored again; "" where some can.
func notAgain(m *manifest.Manifest, absent []string) string {
	input := slices.ContainsFunc(m.Files, func(f manifest.File) bool { return f.Role == manifest.Input })
	switch {
	case len(absent) > 0:
		return strings.Join(absent, ", ") + ": not there any more"
	case !input:
		return "the input was standard input"
	case slices.Contains(m.Arguments, "--model-type="+string(remoteModel)):
		return "an endpoint need not give the same answer twice"
	}
	return ""
}

// The most that a score may differ from the one that is made again: on another kind of
// CPU sums are taken in another order, and on CUDA they are rounded more coarsely.
const (
	mostOnCPU  = 1e-4
	mostOnCUDA = 2e-2
)

// scoreAgain scores a sample by the manifest's own command line, and holds the scores
// against those of the output.
func (f *verifyFlags) scoreAgain(ctx context.Context, ui *ui, out string, m *manifest.Manifest) error {
	sample, err := verify.Sample(ctx, out, m, f.sample, f.seed)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ortscore-verify-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	in, again := filepath.Join(dir, "in.jsonl"), filepath.Join(dir, "again.jsonl")
	if err := verify.WriteInput(in, sample); err != nil {
		return err
	}
	if m.Version != version {
		ui.notes([]string{fmt.Sprintf("the output is of ortscore %s, and its rows are scored again by %s", m.Version, version)})
	}
	if err := runAgain(ctx, m, in, again); err != nil {
		return withHint(fmt.Errorf("scoring a sample again: %w", err), "--sample 0 looks at the files alone")
	}
	d, err := verify.Compare(sample, again)
	if err != nil {
		return err
	}
	return ui.verified(d, most(m))
}

// most is the most that scores may differ.
func most(m *manifest.Manifest) float64 {
	if slices.Contains(m.Identity, manifest.Fact{Name: "provider", Value: "cpu"}) {
		return mostOnCPU
	}
	return mostOnCUDA
}

// ownFlags are those of a command line that say what is read and written, and not what
// scores are made.
var ownFlags = []string{"in", "out", "save-name", "shard", "limit", "force", "resume", "restart", "json", "stats", "quiet", "keep-answers",
	"dataset-path", "dataset-name", "output-dir"}

// runAgain runs a manifest's command on another input, in silence.
func runAgain(ctx context.Context, m *manifest.Manifest, in, out string) error {
	if err := os.Chdir(m.Folder); err != nil { // where the relative paths of its flags lead from
		return err
	}
	args := []string{"--in=" + in, "--out=" + out, "--quiet"}
	for _, arg := range m.Arguments {
		if arg == "--" { // its inputs follow
			break
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !slices.Contains(ownFlags, name) {
			args = append(args, arg)
		}
	}
	for _, c := range commands() {
		if c.name != m.Command {
			continue
		}
		fs, action := c.flags()
		if err := fs.Parse(args); err != nil { // the environment has its say in the manifest already
			return err
		}
		err := action(ctx, &ui{out: io.Discard, err: io.Discard}, nil)
		if errors.Is(err, errPartial) {
			return nil
		}
		return err
	}
	return fmt.Errorf("want the command nll or rank in the manifest, got %q", m.Command)
}
