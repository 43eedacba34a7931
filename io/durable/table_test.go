package durable

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/durability.md")

const tableFile = "../../docs/durability.md"

const tableHead = `# When the file system fails

Each operation of the file system in a run with the output OUT fails once, at each place where it occurs: in a fresh run,
in one that replaces finished files, in one that goes on half way, and in one that goes on in the middle of its finish. The
table says what the run reports and what there may be afterwards. In all cases the same command, started again, gives the
bytes of an undisturbed run, and a finished file under the final name is never half of anything.

Made by ` + "`go test ./io/durable -run TestEveryFailure -update`" + `.

| operation | what the run says | of these files | afterwards |
|---|---|---|---|
`

// failure is what is seen of an operation that fails.
type failure struct{ operation, words string }

// table collects the files and the states of each failure.
type table map[failure][2][]string

func (t table) add(f failure, file, state string) {
	seen := t[f]
	for i, s := range []string{file, state} {
		if !slices.Contains(seen[i], s) {
			seen[i] = append(seen[i], s)
		}
		slices.Sort(seen[i])
	}
	t[f] = seen
}

func (t table) String() string {
	var rows []string
	for f, seen := range t {
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |\n", f.operation, f.words, strings.Join(seen[0], ", "), strings.Join(seen[1], "; ")))
	}
	slices.Sort(rows)
	return tableHead + strings.Join(rows, "")
}

// TestEveryFailure lets each operation fail once. The process lives on and ends
// in order.
func TestEveryFailure(t *testing.T) {
	all := table{}
	for _, ext := range extensions {
		want := undisturbed(t, ext)
		for _, s := range starts(t, ext) {
			dir := folder(t)
			for at := 0; failOnce(t, dir, ext, s, at, want, all); at++ {
			}
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(tableFile, []byte(all.String()), 0o666))
	}
	there, err := os.ReadFile(tableFile)
	require.NoError(t, err)
	require.Equal(t, string(there), all.String(), "run with -update")
}

// failOnce lets one operation fail and says whether there are so many.
func failOnce(t *testing.T, dir, ext string, s start, at int, want map[string]string, all table) bool {
	t.Helper()
	lay(t, dir, s.files)
	opts := options(filepath.Join(dir, "out"+ext))
	opts.Force = s.force
	sys := &faulty{at: at}
	err := run(sys, opts)
	if at >= len(sys.done) {
		return false
	}
	op := sys.failed()
	place := []any{"%s: operation %d fails: %v", s.name, at, op}
	require.Zero(t, sys.held, place...)
	words := "nothing, and goes on"
	if err != nil && !errors.Is(err, ErrFinished) {
		words = strings.ReplaceAll(err.Error(), dir+"/out"+ext, "OUT")
		require.Contains(t, words, "OUT", place...)
	}
	if s.force {
		requireOldOrNew(t, dir, s.files, want, place)
	}
	after := state(t, dir, opts, want)
	require.False(t, err == nil && after != "finished", place...)
	all.add(failure{op.name, words}, strings.NewReplacer("out"+ext, "OUT", ".tmp", "").Replace(op.file), after)
	if after != "finished" {
		require.NoError(t, again(opts, asked{}), place...)
	}
	require.Equal(t, want, contents(t, dir), place...)
	return true
}

// state says in words what is in the folder.
func state(t *testing.T, dir string, opts Options, want map[string]string) string {
	t.Helper()
	files := contents(t, dir)
	out := filepath.Base(opts.Path)
	text, unfinished := files[out+".journal"]
	h := readHistory([]byte(text))
	switch {
	case !unfinished && files[out] == want[out]:
		return "finished"
	case h.finished != nil && files[out] == want[out]:
		return "finished, its journal is still there"
	case h.finished != nil:
		return "finished, but for names"
	case h.worthwhile():
		return "what was committed and kept"
	case unfinished:
		return "nothing of worth"
	}
	return "as before"
}
