package durable

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var extensions = []string{".jsonl", ".jsonl.gz", ".jsonl.zst"}

// shortened are the extensions of the tests that take long.
func shortened() []string {
	if testing.Short() {
		return extensions[:1]
	}
	return extensions
}

// folder is a folder in memory, where there is one: most tests write no more than
// names.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "durable")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// undisturbed gives the files of a small run that nothing cut.
func undisturbed(t *testing.T, ext string) map[string]string {
	t.Helper()
	dir := folder(t)
	require.NoError(t, run(sound(), options(filepath.Join(dir, "out"+ext))))
	all := contents(t, dir)
	require.Len(t, all, 3)
	return all
}

// lay makes these files in a folder.
func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name := range contents(t, dir) {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666))
	}
}

// again starts the same command again, until it is done.
func again(opts Options, a asked) error {
	o, err := open(sound(), opts, 0)
	if errors.Is(err, ErrFinished) {
		return nil
	}
	if err != nil {
		return err
	}
	defer o.Close()
	if err := work(o, rowsAll, a); err != nil {
		return err
	}
	return finish(o)
}

// old are the files of an earlier run that --force replaces.
func old(ext string) map[string]string {
	out := "out" + ext
	return map[string]string{
		out:                     "the old output\n",
		out + ".rejected.jsonl": "the old rejects\n",
		out + ".answers.jsonl":  "the old answers\n",
		out + ".manifest.json":  "the old manifest\n",
	}
}

// start is what a run finds.
type start struct {
	name  string
	files map[string]string
	force bool
	asked asked // before
}

// starts are a fresh start, one over old files, one amidst the work of a run that
// died, and one amidst its finish.
func starts(t *testing.T, ext string) []start {
	t.Helper()
	all := []start{{name: "fresh"}, {name: "over old files", files: old(ext), force: true}}
	dir := folder(t)
	opts := options(filepath.Join(dir, "out"+ext))
	whole := sound()
	require.NoError(t, death(whole, opts, asked{}))
	for name, at := range map[string]int{"half way": len(whole.done) / 2, "in Finish": len(whole.done) - 8} {
		lay(t, dir, nil)
		a := asked{}
		require.Error(t, death(&faulty{at: at, after: true}, opts, a))
		all = append(all, start{name: name, files: contents(t, dir), asked: a})
	}
	return all
}

// TestDeathAtEveryOperation ends the process at each operation of the file
// system, from Open to the last step of Finish, and starts it again.
func TestDeathAtEveryOperation(t *testing.T) {
	for _, ext := range shortened() {
		want := undisturbed(t, ext)
		for _, s := range starts(t, ext) {
			t.Run(ext+" "+s.name, func(t *testing.T) {
				dir := folder(t)
				for at := 0; dieAndGoOn(t, dir, ext, s, at, want); at++ {
				}
			})
		}
	}
}

// dieAndGoOn dies at an operation and goes on. It says whether there was one.
func dieAndGoOn(t *testing.T, dir, ext string, s start, at int, want map[string]string) bool {
	t.Helper()
	lay(t, dir, s.files)
	opts := options(filepath.Join(dir, "out"+ext))
	opts.Force = s.force
	sys := &faulty{at: at, after: true}
	a := asked{}
	maps.Copy(a, s.asked)
	dead := death(sys, opts, a)
	if at >= len(sys.done) {
		if !errors.Is(dead, ErrFinished) {
			require.NoError(t, dead)
		}
		require.Equal(t, want, contents(t, dir))
		return false
	}
	place := []any{"death at operation %d, %v", at, sys.failed()}
	if s.force {
		requireOldOrNew(t, dir, s.files, want, place)
	}
	if _, err := os.Lstat(opts.Path + ".journal"); errors.Is(err, fs.ErrNotExist) && contents(t, dir)["out"+ext] == want["out"+ext] {
		require.Equal(t, want, contents(t, dir), place...) // it died after its last step
		return true
	}
	require.NoError(t, again(opts, a), place...)
	require.Equal(t, want, contents(t, dir), place...)
	requireAskedOnce(t, a, s, place)
	return true
}

// requireAskedOnce wants no answer asked twice but for those that a run died with.
func requireAskedOnce(t *testing.T, a asked, s start, place []any) {
	t.Helper()
	twice := -asks()
	for _, n := range a {
		twice += n
	}
	deaths := 1
	if s.asked != nil {
		deaths = 2
	}
	require.LessOrEqual(t, twice, deaths, place...)
}

// asks is how many answers a small run needs.
func asks() int {
	n := 0
	for row := range rowsAll {
		n += row % 4
	}
	return n
}

// death is a run without the orderly end of a living process.
func death(sys *faulty, opts Options, a asked) error {
	o, err := open(sys, opts, 0)
	if err != nil {
		return err
	}
	err = work(o, rowsAll, a)
	if err == nil {
		err = finish(o)
	}
	if err != nil {
		// The system closes its files and with them ends the locks.
		for _, s := range o.streams {
			_ = s.close()
		}
		o.journal.close()
	}
	return err
}

// requireOldOrNew checks that no finished file is half of anything.
func requireOldOrNew(t *testing.T, dir string, before, after map[string]string, place []any) {
	t.Helper()
	for name, text := range contents(t, dir) {
		if new, known := after[name]; known && text != before[name] {
			require.Equal(t, new, text, place...)
		}
	}
	require.Contains(t, names(t, dir), slices.Sorted(maps.Keys(after))[0], place...) // the output's
}
