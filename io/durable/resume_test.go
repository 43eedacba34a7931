package durable

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// begun leaves an unfinished output of six rows, and an answer of row 7.
func begun(t *testing.T, opts Options) {
	t.Helper()
	o, err := open(sound(), opts, 0)
	require.NoError(t, err)
	require.NoError(t, work(o, 6, asked{}))
	require.NoError(t, o.Keep(7, "r7n0"))
	require.NoError(t, o.Write([]byte("half a block")))
	require.NoError(t, o.Close())
}

func TestResume(t *testing.T) {
	t.Chdir(t.TempDir())
	begun(t, options("out.jsonl"))
	require.Equal(t, []string{"out.jsonl.answers.jsonl.partial", "out.jsonl.journal", "out.jsonl.partial", "out.jsonl.rejected.jsonl.partial"}, names(t, "."))
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	defer o.Close()
	require.Equal(t, 6, o.Last().Rows)
	require.JSONEq(t, `{"rows": 6, "total": 15}`, string(o.Last().State))
	require.Equal(t, map[int][]json.RawMessage{7: {json.RawMessage(`"r7n0"`)}}, o.Kept())
	require.Equal(t, []string{"out.jsonl.partial: going on after 6 rows; answers kept of later rows: 1"}, o.Notes())
	a := asked{}
	require.NoError(t, work(o, rowsAll, a))
	require.NoError(t, finish(o))
	require.Equal(t, asked{6: 2, 7: 2, 9: 1}, a)
	require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
}

func TestOtherIdentity(t *testing.T) {
	t.Chdir(t.TempDir())
	begun(t, options("out.jsonl"))
	before := contents(t, ".")
	opts := options("out.jsonl")
	opts.Identity = []Fact{{Name: "seed", Value: "2"}, {Name: "template", Value: "t.txt"}}
	opts.Sides = opts.Sides[:1]
	for range 2 {
		_, err := Open(opts)
		require.ErrorIs(t, err, ErrUnfinished)
		require.EqualError(t, err, "out.jsonl.partial: 6 rows were done with other settings: seed was 1, is 2; template was not set, is t.txt; "+
			"model was tiny, is not set; files beside it were .rejected.jsonl .answers.jsonl, are .rejected.jsonl; "+
			"the same settings go on with it, --restart throws it away and begins anew")
		require.Equal(t, before, contents(t, "."), "it is untouched")
	}
	opts.Resume = Restart
	o, err := Open(opts)
	require.NoError(t, err)
	require.Nil(t, o.Last())
	require.Empty(t, o.Kept())
	require.Equal(t, []string{"out.jsonl.answers.jsonl.partial: removed, left by a run that was cut"}, o.Notes())
	require.NoError(t, o.Close())
	require.Empty(t, names(t, "."))
}

func TestNever(t *testing.T) {
	t.Chdir(t.TempDir())
	begun(t, options("out.jsonl"))
	opts := options("out.jsonl")
	opts.Resume = Never
	_, err := Open(opts)
	require.ErrorIs(t, err, ErrUnfinished)
	require.EqualError(t, err, "out.jsonl.partial: want no unfinished output, got one of 6 rows; --resume auto goes on with it, --restart throws it away and begins anew")
	require.NoError(t, again(options("out.jsonl"), asked{}))
	require.NoError(t, os.Remove("out.jsonl"))
	require.NoError(t, os.Remove("out.jsonl.rejected.jsonl"))
	require.NoError(t, os.Remove("out.jsonl.manifest.json"))
	require.NoError(t, run(sound(), opts))
}

func TestRestart(t *testing.T) {
	t.Chdir(t.TempDir())
	begun(t, options("out.jsonl"))
	require.NoError(t, os.Link("out.jsonl.partial", "mine"))
	before := contents(t, ".")["mine"]
	opts := options("out.jsonl")
	opts.Resume = Restart
	a := asked{}
	require.NoError(t, again(opts, a))
	require.Equal(t, before, contents(t, ".")["mine"], "what someone has linked is not written over")
	require.NoError(t, os.Remove("mine"))
	require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
	require.Equal(t, asked{1: 1, 2: 2, 3: 3, 5: 1, 6: 2, 7: 3, 9: 1}, a, "it asks everything again")
}

// A journal that cannot be read, or none, is no reason to throw work away.
func TestWithoutJournal(t *testing.T) {
	for damage, want := range map[string]string{
		"":                     "out.jsonl.partial: want its journal beside it, got none; --restart throws it away and begins anew",
		"mine\n":               "out.jsonl.journal: want the journal of an unfinished output, got other or damaged text; --restart throws it away and begins anew",
		"\x00\x00\x00":         "out.jsonl.journal: want the journal of an unfinished output, got other or damaged text; --restart throws it away and begins anew",
		sealed(t, 2, ""):       "out.jsonl.journal: want format 1, got 2 of another version of this program; --restart throws it away and begins anew",
		sealed(t, 1, "x\ny\n"): "out.jsonl.journal: want the journal of an unfinished output, got damaged records; --restart throws it away and begins anew",
	} {
		t.Chdir(t.TempDir())
		begun(t, options("out.jsonl"))
		require.NoError(t, os.WriteFile("out.jsonl.journal", []byte(damage), 0o666))
		before := contents(t, ".")
		_, err := Open(options("out.jsonl"))
		require.EqualError(t, err, want)
		require.ErrorIs(t, err, ErrUnfinished)
		if damage == "" {
			delete(before, "out.jsonl.journal")
		}
		require.Equal(t, before, contents(t, "."))
	}
}

func sealed(t *testing.T, version int, more string) string {
	t.Helper()
	line, err := seal(record{Header: &header{Version: version}})
	require.NoError(t, err)
	return string(line) + more
}

// A damaged record in the middle costs the record, not what follows.
func TestDamageInTheMiddle(t *testing.T) {
	t.Chdir(t.TempDir())
	begun(t, options("out.jsonl"))
	text := contents(t, ".")["out.jsonl.journal"]
	at := strings.Index(text, `r3n1"`) // another text, and JSON still
	require.NoError(t, os.WriteFile("out.jsonl.journal", []byte(text[:at]+"?"+text[at+1:]), 0o666))
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	require.Equal(t, 6, o.Last().Rows)
	require.Equal(t, []string{
		"out.jsonl.journal: damaged records left out: 2; what they told of is done again",
		"out.jsonl.partial: going on after 6 rows; answers kept of later rows: 1",
	}, o.Notes(), "the answer, and the one of the row after it")
	require.NoError(t, o.Close())
	require.NoError(t, again(options("out.jsonl"), asked{}))
	require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
}

func TestStreamOfOtherBytes(t *testing.T) {
	t.Chdir(t.TempDir())
	begun(t, options("out.jsonl"))
	text := contents(t, ".")["out.jsonl.partial"]
	change := func(at int) {
		require.NoError(t, os.WriteFile("out.jsonl.partial", []byte(text[:at]+"?"+text[at+1:]), 0o666))
	}
	change(strings.Index(text, "\n"))
	_, err := Open(options("out.jsonl"))
	require.EqualError(t, err, "out.jsonl.partial: want the 6 rows that its journal tells of, got other or fewer bytes; --restart throws it away and begins anew")
	require.ErrorIs(t, err, ErrUnfinished)

	change(strings.Index(text, "\"row\":4"))
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	require.Equal(t, 3, o.Last().Rows)
	require.Len(t, o.Kept()[5], 1, "its answers are still there")
	require.Equal(t, "out.jsonl.partial is damaged after 3 of 6 rows; the others are done again", o.Notes()[0])
	require.NoError(t, o.Close())
	require.NoError(t, again(options("out.jsonl"), asked{}))
	require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
}

// There is a commit to fall back to also after the journal was rewritten.
func TestOneCommitBefore(t *testing.T) {
	t.Chdir(t.TempDir())
	begun(t, options("out.jsonl"))
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	require.NoError(t, o.Close())
	require.NoError(t, os.Truncate("out.jsonl.partial", int64(len(contents(t, ".")["out.jsonl.partial"])-1)))
	a := asked{}
	require.NoError(t, again(options("out.jsonl"), a))
	require.Equal(t, asked{6: 2, 7: 2, 9: 1}, a, "nothing that was kept is asked again")
	require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
}

// What follows the commit in a stream is cut, however much it is.
func TestMoreThanWasCommitted(t *testing.T) {
	t.Chdir(t.TempDir())
	begun(t, options("out.jsonl"))
	for _, name := range []string{"out.jsonl.partial", "out.jsonl.answers.jsonl.partial"} {
		text := contents(t, ".")[name] + strings.Repeat("\x00", 10_000)
		require.NoError(t, os.WriteFile(name, []byte(text), 0o666))
	}
	require.NoError(t, again(options("out.jsonl"), asked{}))
	require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
}

func TestExistingFiles(t *testing.T) {
	for _, name := range []string{"out.jsonl", "out.jsonl.rejected.jsonl", "out.jsonl.manifest.json"} {
		t.Chdir(t.TempDir())
		require.NoError(t, os.WriteFile(name, []byte("old"), 0o666))
		for range 2 {
			_, err := Open(options("out.jsonl"))
			require.EqualError(t, err, name+": want a new file, got one that exists")
			require.ErrorIs(t, err, fs.ErrExist)
			require.Equal(t, map[string]string{name: "old"}, contents(t, "."))
			// Nor beside an unfinished output, which is untouched then.
			require.NoError(t, os.Remove(name))
			begun(t, options("out.jsonl"))
			require.NoError(t, os.WriteFile(name, []byte("old"), 0o666))
			before := contents(t, ".")
			_, err = Open(options("out.jsonl"))
			require.ErrorIs(t, err, fs.ErrExist)
			require.Equal(t, before, contents(t, "."))
			lay(t, ".", map[string]string{name: "old"})
		}
	}
}

func TestForce(t *testing.T) {
	t.Chdir(t.TempDir())
	lay(t, ".", old(".jsonl"))
	require.NoError(t, os.Chmod("out.jsonl", 0o440))
	opts := options("out.jsonl")
	opts.Force = true
	begun(t, opts)
	for name, text := range old(".jsonl") {
		require.Equal(t, text, contents(t, ".")[name], "untouched until the new one is whole")
	}
	for name, mode := range map[string]fs.FileMode{"out.jsonl.partial": 0o640, "out.jsonl.journal": 0o640} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode(), "%s is as private as what it becomes", name)
	}
	require.NoError(t, again(opts, asked{}))
	require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."), "the old answers are gone, there are no new ones")
	info, err := os.Stat("out.jsonl")
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o440), info.Mode(), "the old file's mode")

	o, err := Open(opts)
	require.NoError(t, err)
	require.NoError(t, work(o, 3, asked{}))
	require.NoError(t, o.Finish(nil))
	require.NoFileExists(t, "out.jsonl.manifest.json", "it told of the old output")
}

func TestFileThatAppearsMeanwhile(t *testing.T) {
	for _, name := range []string{"out.jsonl", "out.jsonl.rejected.jsonl", "out.jsonl.manifest.json"} {
		t.Chdir(t.TempDir())
		o, err := Open(options("out.jsonl"))
		require.NoError(t, err)
		require.NoError(t, work(o, rowsAll, asked{}))
		require.NoError(t, os.WriteFile(name, []byte("theirs"), 0o600))
		err = finish(o)
		require.EqualError(t, err, name+": want a new file, got one that exists")
		require.ErrorIs(t, err, fs.ErrExist)
		require.ErrorIs(t, o.Close(), fs.ErrExist)
		require.Equal(t, "theirs", contents(t, ".")[name])

		_, err = Open(options("out.jsonl"))
		require.ErrorIs(t, err, fs.ErrExist)
		require.Equal(t, "theirs", contents(t, ".")[name])
		require.NoError(t, os.Remove(name))
		_, err = Open(options("out.jsonl"))
		require.EqualError(t, err, "out.jsonl: finished already")
		require.ErrorIs(t, err, ErrFinished)
		require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
	}
}

// Who finds a file in the way may say then that it is to be replaced.
func TestForceAfterACutFinish(t *testing.T) {
	t.Chdir(t.TempDir())
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	require.NoError(t, work(o, rowsAll, asked{}))
	require.NoError(t, os.WriteFile("out.jsonl", []byte("theirs"), 0o600))
	require.ErrorIs(t, finish(o), fs.ErrExist)
	require.ErrorIs(t, o.Close(), fs.ErrExist)
	opts := options("out.jsonl")
	opts.Force = true
	_, err = Open(opts)
	require.ErrorIs(t, err, ErrFinished)
	require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
}

// cutInFinish leaves an output whose files are whole and have no names.
func cutInFinish(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile("out.jsonl.rejected.jsonl", nil, 0o666))
	o, err := open(sound(), Options{Path: "out.jsonl", Force: true, Identity: []Fact{{Name: "a", Value: "1"}}}, 0)
	require.NoError(t, err)
	require.NoError(t, o.Write([]byte("{}")))
	require.NoError(t, o.EndBlock(1, nil))
	require.NoError(t, os.Mkdir("out.jsonl", 0o777))
	require.ErrorIs(t, o.Finish(nil), syscall.EEXIST)
	require.ErrorIs(t, o.Close(), syscall.EEXIST)
	require.NoError(t, os.Remove("out.jsonl"))
	require.NoError(t, os.Remove("out.jsonl.rejected.jsonl"))
}

func TestStartAfterACutFinish(t *testing.T) {
	for name, c := range map[string]struct {
		opts Options
		want error
	}{
		"the same":              {Options{Identity: []Fact{{Name: "a", Value: "1"}}}, ErrFinished},
		"the same, never":       {Options{Identity: []Fact{{Name: "a", Value: "1"}}, Resume: Never}, ErrFinished},
		"the same, force":       {Options{Identity: []Fact{{Name: "a", Value: "1"}}, Force: true}, ErrFinished},
		"restart":               {Options{Identity: []Fact{{Name: "a", Value: "1"}}, Resume: Restart}, fs.ErrExist},
		"restart, force":        {Options{Identity: []Fact{{Name: "a", Value: "1"}}, Resume: Restart, Force: true}, nil},
		"other identity":        {Options{Identity: []Fact{{Name: "a", Value: "2"}}}, fs.ErrExist},
		"other identity, force": {Options{Identity: []Fact{{Name: "a", Value: "2"}}, Force: true}, nil},
	} {
		start := func(t *testing.T, opts Options) {
			t.Chdir(t.TempDir())
			cutInFinish(t)
			opts.Path = "out.jsonl"
			o, err := Open(opts)
			require.Equal(t, "{}\n", contents(t, ".")["out.jsonl"], "the files have their names first")
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			} else {
				require.NoError(t, err)
				require.Nil(t, o.Last())
				require.NoError(t, o.Close())
			}
			require.Equal(t, []string{"out.jsonl"}, names(t, "."))
		}
		t.Run(name, func(t *testing.T) { start(t, c.opts) })
		t.Run(name+", identified", func(t *testing.T) {
			opts := c.opts
			opts.Identity, opts.Identify = nil, func(int) ([]Fact, error) { return c.opts.Identity, nil }
			start(t, opts)
		})
	}
}

// What is no longer as the journal says is not finished.
func TestChangedAfterACutFinish(t *testing.T) {
	t.Chdir(t.TempDir())
	cutInFinish(t)
	require.NoError(t, os.WriteFile("out.jsonl.partial", []byte("[]\n"), 0o666))
	_, err := Open(Options{Path: "out.jsonl", Identity: []Fact{{Name: "a", Value: "1"}}})
	require.ErrorIs(t, err, ErrUnfinished)
	require.NoFileExists(t, "out.jsonl")
}

func TestCloseOfNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	require.NoError(t, o.Write([]byte("no block ends")))
	require.NoError(t, o.Close())
	require.NoError(t, o.Close(), "a deferred Close does no harm")
	require.Empty(t, names(t, "."))
	require.ErrorIs(t, o.Keep(0, 1), fs.ErrClosed)
	require.ErrorIs(t, o.EndBlock(1, nil), fs.ErrClosed)
	require.ErrorIs(t, o.Finish(nil), fs.ErrClosed)
}

func TestNoLines(t *testing.T) {
	for ext, min := range map[string]int{".jsonl": 0, ".jsonl.gz": 10, ".jsonl.zst": 4} {
		t.Chdir(t.TempDir())
		o, err := Open(options("out" + ext))
		require.NoError(t, err)
		require.NoError(t, o.Finish(nil))
		require.Equal(t, []string{"out" + ext}, names(t, "."))
		text := contents(t, ".")["out"+ext]
		require.GreaterOrEqual(t, len(text), min, "an empty archive, not an empty file")
		require.LessOrEqual(t, len(text), 4*min)
	}
}

func TestFinishOfAnOpenBlock(t *testing.T) {
	t.Chdir(t.TempDir())
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	require.NoError(t, o.EndBlock(0, nil))
	require.NoError(t, o.Write([]byte("{}")))
	require.EqualError(t, o.Finish(nil), "out.jsonl: want the end of the block before the end of the output")
	require.NoError(t, o.Close())
}

// A manifest that cannot be made leaves the output to be finished later.
func TestFailingManifest(t *testing.T) {
	t.Chdir(t.TempDir())
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	require.NoError(t, work(o, rowsAll, asked{}))
	bad := errors.New("no date")
	require.Equal(t, bad, o.Finish(func([]File) ([]byte, error) { return nil, bad }))
	require.NoError(t, o.Close())
	a := asked{}
	require.NoError(t, again(options("out.jsonl"), a))
	require.Empty(t, a)
	require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
}

func TestWhatJSONCannotHold(t *testing.T) {
	t.Chdir(t.TempDir())
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	require.EqualError(t, o.Keep(3, math.NaN()), "out.jsonl: row 3: json: unsupported value: NaN")
	require.EqualError(t, o.EndBlock(3, math.NaN()), "out.jsonl: json: unsupported value: NaN")
	require.NoError(t, o.Keep(3, "<\u2028>"), "the output goes on")
	require.NoError(t, o.Close())
}

// Blocks are committed within a moment, without a further call.
func TestCommitInTheBackground(t *testing.T) {
	t.Chdir(t.TempDir())
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	defer o.Close()
	require.NoError(t, o.Write([]byte("{}")))
	require.NoError(t, o.EndBlock(1, nil))
	require.Eventually(t, func() bool {
		h := readHistory([]byte(contents(t, ".")["out.jsonl.journal"]))
		return h.rows() == 1
	}, 10*time.Second, commitEvery/10)
}

// An error of the background comes out of the next call, of Finish and of Close.
func TestErrorInTheBackground(t *testing.T) {
	t.Chdir(t.TempDir())
	probe := sound()
	o, err := open(probe, options("out.jsonl"), 0)
	require.NoError(t, err)
	opened := len(probe.done)
	require.NoError(t, o.Close())

	sys := &faulty{at: opened + 1} // the sync after the write
	o, err = open(sys, options("out.jsonl"), time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, o.Write([]byte("{}")))
	require.NoError(t, o.EndBlock(1, nil))
	<-o.stopped
	const want = "out.jsonl: sync: input/output error"
	require.EqualError(t, o.Write(nil), want)
	require.EqualError(t, o.WriteSide(0, nil), want)
	require.EqualError(t, o.Keep(1, 1), want)
	require.EqualError(t, o.EndBlock(2, nil), want)
	require.EqualError(t, o.Finish(nil), want)
	require.EqualError(t, o.Close(), want)
	require.Empty(t, names(t, "."), "nothing was committed")
}

// lockless is a file system without locks.
type lockless struct {
	*faulty
	err error
}

func (s lockless) Lock(name string) filesystem.Lock { return noLock{s.faulty.Lock(name), s.err} }

type noLock struct {
	filesystem.Lock
	err error
}

func (l noLock) TryLock() (bool, error) { return false, l.err }

func TestFileSystemWithoutLocks(t *testing.T) {
	for _, err := range []error{syscall.ENOLCK, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL} {
		t.Chdir(t.TempDir())
		sys := lockless{sound(), err}
		o, err := open(sys, options("out.jsonl"), 0)
		require.NoError(t, err)
		require.Equal(t, []string{"out.jsonl: this file system has no locks; make sure that no other run writes it"}, o.Notes())
		require.NoError(t, work(o, 6, asked{}))
		require.NoError(t, o.Close())
		require.NoError(t, run(sys, options("out.jsonl")))
		require.Equal(t, undisturbed(t, ".jsonl"), contents(t, "."))
	}
}

func TestStaleFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	stale := []string{".out.jsonl.rejected.jsonl.tmp-deadbeef", ".out.jsonl.tmp-0123abcd", "out.jsonl.manifest.json.partial"}
	others := []string{".out.jsonl.tmp-0123abc", ".out.json.tmp-0123abcd", "x.out.jsonl.tmp-0123abcd", ".out.jsonl.gz.tmp-0123abcd", "out.jsonl.other.partial"}
	for _, name := range append(stale, others...) {
		require.NoError(t, os.WriteFile(name, []byte("half"), 0o666))
	}
	o, err := Open(options("out.jsonl"))
	require.NoError(t, err)
	var notes []string
	for _, name := range stale {
		require.NoFileExists(t, name)
		notes = append(notes, name+": removed, left by a run that was cut")
	}
	require.Equal(t, notes, o.Notes())
	require.NoError(t, o.Close())
	require.ElementsMatch(t, others, names(t, "."))
}

func TestSymbolicLinks(t *testing.T) {
	for _, exists := range []bool{true, false} {
		t.Chdir(t.TempDir())
		require.NoError(t, os.Mkdir("real", 0o777))
		require.NoError(t, os.Symlink("real/data.jsonl", "out.jsonl"))
		if exists {
			require.NoError(t, os.WriteFile("real/data.jsonl", []byte("old"), 0o666))
		}
		opts := options("out.jsonl")
		opts.Force = exists
		begun(t, opts)
		require.FileExists(t, "real/data.jsonl.partial", "it is in the folder that it ends in")
		direct := options("real/data.jsonl")
		direct.Force = exists
		first, err := Open(opts)
		require.NoError(t, err)
		_, err = Open(direct)
		require.ErrorIs(t, err, ErrLocked, "by whatever name")
		require.NoError(t, first.Close())
		require.NoError(t, again(opts, asked{}))
		to, err := os.Readlink("out.jsonl")
		require.NoError(t, err, "the link stays a link")
		require.Equal(t, "real/data.jsonl", to)
		require.Equal(t, []string{"out.jsonl", "out.jsonl.manifest.json", "out.jsonl.rejected.jsonl", "real"}, names(t, "."))
		require.Equal(t, []string{"data.jsonl"}, names(t, "real"))
		require.Equal(t, undisturbed(t, ".jsonl")["out.jsonl"], contents(t, "real")["data.jsonl"])
	}
}

func TestPathsThatCannotBeWritten(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("folder.jsonl", 0o777))
	require.NoError(t, os.Symlink("loop.jsonl", "loop.jsonl"))
	require.NoError(t, syscall.Mkfifo("pipe.jsonl", 0o666))
	require.NoError(t, os.Mkdir("a.jsonl.journal", 0o777))
	require.NoError(t, syscall.Mkfifo("b.jsonl.journal", 0o666))
	require.NoError(t, syscall.Mkfifo("c.jsonl.partial", 0o666))
	before := names(t, ".")
	for path, want := range map[string]string{
		"folder.jsonl":   "folder.jsonl: want a file, got a folder",
		"pipe.jsonl":     "pipe.jsonl: want a regular file, got a device, pipe or socket",
		"loop.jsonl":     "loop.jsonl: create: too many levels of symbolic links",
		"no/out.jsonl":   "no/out.jsonl: create: no such file or directory",
		"/proc/x.jsonl":  "/proc/x.jsonl: create: no such file or directory",
		"a.jsonl":        "a.jsonl.journal: want a file, got a folder",
		"b.jsonl":        "b.jsonl.journal: want a regular file, got a device, pipe or socket",
		"c.jsonl":        "c.jsonl.partial: want a regular file, got a device, pipe or socket",
		"out.csv":        `want a .json, .jsonl (also .gz, .zst) file, got "out.csv"`,
		"-":              `want a .json, .jsonl (also .gz, .zst) file, got "-"`,
		"out.jsonl.gzip": `want a .json, .jsonl (also .gz, .zst) file, got "out.jsonl.gzip"`,
	} {
		_, err := Open(Options{Path: path, Force: true})
		require.EqualError(t, err, want)
		require.Equal(t, before, names(t, "."))
	}
}

// The journal holds what is live and not much more.
func TestJournalStaysSmall(t *testing.T) {
	t.Chdir(t.TempDir())
	opts := options("out.jsonl")
	sys := sound()
	o, err := open(sys, opts, 0)
	require.NoError(t, err)
	big := strings.Repeat("x", 100_000)
	most, written := int64(0), 0
	for row := range 200 {
		require.NoError(t, o.Keep(row, big))
		written += len(big)
		require.NoError(t, o.Keep(row+1000, row))
		require.NoError(t, o.EndBlock(row+1, nil))
		info, err := os.Stat("out.jsonl.journal")
		require.NoError(t, err)
		most = max(most, info.Size())
		_, err = Open(opts)
		require.ErrorIs(t, err, ErrLocked, "the lock stays, whichever file has the name")
	}
	require.Len(t, o.counts, 200, "what is committed is not counted any more")
	require.Greater(t, written, 4*compactAt)
	require.Less(t, most, int64(2*compactAt))
	require.NoError(t, o.Close())
	require.Zero(t, sys.held, "no old journal stays open")
	o, err = Open(opts)
	require.NoError(t, err)
	defer o.Close()
	require.Equal(t, 200, o.Last().Rows)
	require.Len(t, o.Kept(), 200, "the live answers are all there")
}

// A journal that was damaged while the run goes on is not thrown away.
func TestDamageUnderWay(t *testing.T) {
	t.Chdir(t.TempDir())
	o, err := open(sound(), options("out.jsonl"), 0)
	require.NoError(t, err)
	require.NoError(t, o.EndBlock(1, nil))
	text := contents(t, ".")["out.jsonl.journal"]
	file, err := os.OpenFile("out.jsonl.journal", os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("?")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, o.Keep(2, strings.Repeat("x", 2*compactAt)))
	require.EqualError(t, o.EndBlock(2, nil), "out.jsonl.journal: want the records that were written, got damaged ones; look after the disk, then start again")
	require.Error(t, o.Close())
	require.Equal(t, text[1:], contents(t, ".")["out.jsonl.journal"][1:len(text)])
}

// Which blocks end where is all that the bytes depend on.
func TestBlocksAreMembers(t *testing.T) {
	for _, ext := range extensions[1:] {
		dir := t.TempDir()
		path := filepath.Join(dir, "out"+ext)
		o, err := open(filesystem.OS{}, Options{Path: path}, time.Millisecond)
		require.NoError(t, err)
		for row := range 3 {
			require.NoError(t, o.Write([]byte("{}")))
			require.NoError(t, o.EndBlock(row+1, nil))
			require.NoError(t, o.EndBlock(row+1, nil), "a block without lines adds nothing")
		}
		require.NoError(t, o.Finish(nil))
		text := contents(t, dir)["out"+ext]
		member := text[:len(text)/3]
		require.Equal(t, strings.Repeat(member, 3), text)
	}
}

func TestManyChanges(t *testing.T) {
	var then, now []Fact
	for _, name := range strings.Split("abcdefghi", "") {
		then, now = append(then, Fact{Name: name, Value: "1"}), append(now, Fact{Name: name, Value: "2"})
	}
	require.Len(t, Changes(then[:6], now[:6]), 6)
	require.Equal(t, []string{"f was 1, is 2", "and 3 more"}, Changes(then, now)[5:])
	require.Empty(t, Changes(then, then))
}
