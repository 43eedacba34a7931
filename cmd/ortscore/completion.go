package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

func completionCommand() (*pflag.FlagSet, func(context.Context, *ui, []string) error) {
	return newFlags("completion"), func(_ context.Context, ui *ui, args []string) error {
		shells := map[string]func() string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
		if len(args) != 1 || shells[args[0]] == nil {
			return fmt.Errorf("want bash, zsh or fish, got %q", strings.Join(args, " "))
		}
		ui.print(shells[args[0]]())
		return nil
	}
}

// flagNames lists a command's flags as they are typed.
func flagNames(c command) []string {
	var names []string
	fs, _ := c.flags()
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return names
}

func bashCompletion() string {
	var names []string
	var cases strings.Builder
	for _, c := range commands() {
		names = append(names, c.name)
		if flags := flagNames(c); len(flags) > 0 {
			fmt.Fprintf(&cases, "    %s) if [[ $cur == -* ]]; then words=%q; fi ;;\n", c.name, strings.Join(flags, " "))
		}
	}
	fmt.Fprintf(&cases, "    completion) words=\"bash zsh fish\" ;;\n    help) words=%q ;;\n", strings.Join(names, " "))
	return fmt.Sprintf(`# bash completion for ortscore: source <(ortscore completion bash)
_ortscore() {
  local cur=${COMP_WORDS[COMP_CWORD]} words=""
  case ${COMP_WORDS[1]} in
%s  esac
  if [ "$COMP_CWORD" -eq 1 ]; then words=%q; fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _ortscore ortscore
`, cases.String(), strings.Join(names, " "))
}

func zshCompletion() string {
	return "#compdef ortscore\nautoload -U +X bashcompinit && bashcompinit\n" + bashCompletion()
}

func fishCompletion() string {
	b := &strings.Builder{}
	b.WriteString("# fish completion for ortscore: ortscore completion fish | source\n")
	for _, c := range commands() {
		fmt.Fprintf(b, "complete -c ortscore -n __fish_use_subcommand -f -a %s -d '%s'\n", c.name, strings.ReplaceAll(c.summary, "'", `\'`))
		fs, _ := c.flags()
		fs.VisitAll(func(f *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(f)
			fmt.Fprintf(b, "complete -c ortscore -n '__fish_seen_subcommand_from %s' -l %s -d '%s'\n", c.name, f.Name, strings.ReplaceAll(usage, "'", `\'`))
		})
	}
	return b.String()
}
