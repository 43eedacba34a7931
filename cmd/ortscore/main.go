// Command ortscore makes a teacher language model's scores for the training of
// retrievers.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/io/atomicfile"
	"github.com/ortscore/ortscore/ort"
)

// errPartial ends a run in which rows were rejected or datasets left out.
var errPartial = errors.New("rows were rejected or datasets left out")

// command is one of ortscore's commands.
type command struct {
	name, args, summary string
	flags               func() (*pflag.FlagSet, func(ctx context.Context, ui *ui, args []string) error)
}

// commands is a function, since help itself is in the list.
func commands() []command {
	return []command{
		{"nll", "[flags] FILE...", "score passages by the likelihood of the known answer", nllCommand},
		{"rank", "[flags] FILE...", "order passages by a ranking that the model writes", rankCommand},
		{"merge", "[flags] OUT|SHARD...", "join the shards of an output, byte for byte", mergeCommand},
		{"verify", "[flags] OUT", "check an output against its manifest, and score a sample of it again", verifyCommand},
		{"doctor", "--onnx MODEL", "say what the library and a model are, and try them", doctorCommand},
		{"completion", "bash|zsh|fish", "write a shell's completion script", completionCommand},
		{"version", "", "print the version", versionCommand},
		{"help", "[COMMAND]", "print help", helpCommand},
	}
}

func main() {
	abortCrashes()
	ctx := untilSignal()
	ui := newUI(os.Stdout, os.Stderr)
	context.AfterFunc(ctx, func() { abandon(ctx, ui) })
	code := run(ctx, ui, os.Args[1:])
	_ = ort.Unload()
	os.Exit(code)
}

// patience is how long a run may take to end after a signal.
const patience = time.Second

// abandon ends the process where the run does not end by itself: neither a session
// that ONNX Runtime makes nor a text in the tokenizer's library can be called off.
func abandon(ctx context.Context, ui *ui) {
	time.Sleep(patience)
	ui.failInterrupted()
	ui.abandon()
	atomicfile.RemoveAll()
	os.Exit(stopCode(ctx))
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, ui *ui, args []string) int {
	err := dispatch(ctx, ui, args)
	if err == nil {
		err = ui.failed
	}
	switch {
	case errors.Is(err, context.Canceled):
		ui.failInterrupted()
		return stopCode(ctx)
	case err != nil && !errors.Is(err, errPartial):
		ui.fail(err)
	}
	return exitCode(err)
}

func dispatch(ctx context.Context, ui *ui, args []string) error {
	if len(args) == 0 {
		return helpTopic(ui, "")
	}
	switch args[0] {
	case "-h", "--help":
		return helpTopic(ui, "")
	case "--version":
		args[0] = "version"
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		fs, action := c.flags()
		if err := parseFlags(fs, args[1:]); err != nil {
			if errors.Is(err, pflag.ErrHelp) {
				return helpTopic(ui, c.name)
			}
			return withHint(err, "see ortscore help "+c.name)
		}
		return action(ctx, ui, fs.Args())
	}
	return withHint(fmt.Errorf("want a command, got %q", args[0]), "see ortscore help")
}
