package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/pflag"
)

// version is set by the Makefile from git.
var version = "devel"

func versionCommand() (*pflag.FlagSet, func(context.Context, *ui, []string) error) {
	return newFlags("version"), func(_ context.Context, ui *ui, _ []string) error {
		ui.print(fmt.Sprintf("ortscore %s (%s %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH))
		return nil
	}
}

func helpCommand() (*pflag.FlagSet, func(context.Context, *ui, []string) error) {
	return newFlags("help"), func(_ context.Context, ui *ui, args []string) error {
		return helpTopic(ui, strings.Join(args, " "))
	}
}

const exitCodes = `
Exit codes:
    0  done
    2  wrong flags, bad input, or a file that cannot be read or written
    3  done, but for rejected rows or for datasets that were named
    4  the model cannot be found, read, loaded or run, or memory is too small for it
   75  try again later: SIGTERM or SIGHUP, an endpoint that is away or out of quota,
       a GPU that failed
  130  interrupted by Ctrl+C
`

// helpTopic prints the help of one command, or the list of commands.
func helpTopic(ui *ui, topic string) error {
	if topic == "" {
		var b strings.Builder
		b.WriteString("ortscore makes a teacher language model's scores for the training of retrievers.\n\nUsage:\n")
		for _, c := range commands() {
			fmt.Fprintf(&b, "  ortscore %-34s %s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
		}
		b.WriteString("\nEvery flag can be set as ORTSCORE_<FLAG> in the environment.\n")
		b.WriteString(exitCodes)
		ui.print(b.String())
		return nil
	}
	for _, c := range commands() {
		if c.name == topic {
			fs, _ := c.flags()
			text := fmt.Sprintf("Usage: ortscore %s\n\n%s.\n", strings.TrimSpace(c.name+" "+c.args), capital(c.summary))
			if fs.HasFlags() {
				text += "\nFlags:\n" + fs.FlagUsagesWrapped(100)
			}
			ui.print(text)
			return nil
		}
	}
	return withHint(fmt.Errorf("want a command, got %q", topic), "see ortscore help")
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
