package durable

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// unfinished gives the files of a run that died after its last block, with all
// that was written.
func unfinished(t *testing.T, ext string) map[string]string {
	t.Helper()
	dir := folder(t)
	o, err := open(sound(), options(filepath.Join(dir, "out"+ext)), 0)
	require.NoError(t, err)
	require.NoError(t, work(o, rowsAll, asked{}))
	require.NoError(t, o.Close())
	files := contents(t, dir)
	require.Len(t, files, 4)
	return files
}

// zeros puts zeros where the text is cut, as a power cut may.
func zeros(text string, at int) string { return text[:at] + strings.Repeat("\x00", len(text)-at) }

func cut(text string, at int) string { return text[:at] }

// TestEveryCutOfTheJournal cuts the journal at every byte, or makes the rest
// zeros; every 7th byte where the output is compressed, or time is short. The streams are whole, as they are on disk before the journal says so.
func TestEveryCutOfTheJournal(t *testing.T) {
	for _, ext := range shortened() {
		dir, want, files := folder(t), undisturbed(t, ext), unfinished(t, ext)
		journal := files["out"+ext+".journal"]
		header := strings.Index(journal, "\n")
		step := 1
		if ext != ".jsonl" || testing.Short() {
			step = 7
		}
		for _, harm := range []func(string, int) string{cut, zeros} {
			for at := 0; at < len(journal); at += step {
				now := maps.Clone(files)
				now["out"+ext+".journal"] = harm(journal, at)
				lay(t, dir, now)
				opts := options(filepath.Join(dir, "out"+ext))
				a := asked{}
				err := again(opts, a)
				if at <= header && errors.Is(err, ErrUnfinished) {
					continue // it has a header before it has its name
				}
				require.NoError(t, err, "%s: cut at %d", ext, at)
				require.Equal(t, want, contents(t, dir), "%s: cut at %d", ext, at)
			}
		}
	}
}

// TestEveryCutOfAStream cuts each stream at every byte, which loses what was
// synced: a disk that lies, or someone's hand. It goes on from the newest commit
// that holds, asks no answer again that was kept, or refuses.
func TestEveryCutOfAStream(t *testing.T) {
	for _, ext := range shortened() {
		dir, want, files := folder(t), undisturbed(t, ext), unfinished(t, ext)
		for _, name := range []string{"out" + ext + ".partial", "out" + ext + ".rejected.jsonl.partial"} {
			text := files[name]
			for _, harm := range []func(string, int) string{cut, zeros} {
				for at := range len(text) {
					now := maps.Clone(files)
					now[name] = harm(text, at)
					lay(t, dir, now)
					goOnOrRefuse(t, filepath.Join(dir, "out"+ext), want, files, fmt.Sprintf("%s cut at %d of %d", name, at, len(text)))
				}
			}
		}
	}
}

// goOnOrRefuse starts again and wants the undisturbed files, or, where no commit
// holds, an untouched folder and, after Restart, these files.
func goOnOrRefuse(t *testing.T, path string, want, files map[string]string, place string) {
	t.Helper()
	opts := options(path)
	before := contents(t, filepath.Dir(path))
	a := asked{}
	err := again(opts, a)
	if errors.Is(err, ErrUnfinished) {
		require.Equal(t, before, contents(t, filepath.Dir(path)), place)
		opts.Resume = Restart
		err = again(opts, a)
	} else {
		require.Empty(t, a, place)
	}
	require.NoError(t, err, place)
	require.Equal(t, want, contents(t, filepath.Dir(path)), place)
}

// TestCutsOfBoth cuts the journal and the streams, each at random.
func TestCutsOfBoth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, ext := range shortened() {
		dir, want, files := folder(t), undisturbed(t, ext), unfinished(t, ext)
		for range 300 {
			now := maps.Clone(files)
			for name, text := range now {
				now[name] = []func(string, int) string{cut, zeros}[random.IntN(2)](text, random.IntN(len(text)+1))
			}
			lay(t, dir, now)
			opts := options(filepath.Join(dir, "out"+ext))
			err := again(opts, asked{})
			if errors.Is(err, ErrUnfinished) {
				require.Equal(t, now, contents(t, dir))
				opts.Resume = Restart
				err = again(opts, asked{})
			}
			require.NoError(t, err, "%q", now)
			require.Equal(t, want, contents(t, dir), "%q", now)
		}
	}
}

// FuzzDamagedJournal damages the journal at a place. With the streams whole,
// nothing is lost and nothing doubled, or the run is refused.
func FuzzDamagedJournal(f *testing.F) {
	for at := uint(0); at < 3000; at += 97 {
		f.Add(at, uint(at%7), []byte("x"))
		f.Add(at, uint(at%300), []byte{})
		f.Add(at, uint(0), []byte("\n"))
	}
	f.Fuzz(func(t *testing.T, at, drop uint, put []byte) {
		files := unfinished(t, ".jsonl")
		want := undisturbed(t, ".jsonl")
		journal := files["out.jsonl.journal"]
		at = min(at, uint(len(journal)))
		drop = min(drop, uint(len(journal))-at)
		files["out.jsonl.journal"] = journal[:at] + string(put) + journal[at+drop:]
		dir := folder(t)
		lay(t, dir, files)
		opts := options(filepath.Join(dir, "out.jsonl"))
		err := again(opts, asked{})
		if errors.Is(err, ErrUnfinished) {
			require.Equal(t, files, contents(t, dir))
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, contents(t, dir))
	})
}

// FuzzReadHistory reads anything.
func FuzzReadHistory(f *testing.F) {
	line, err := seal(record{Header: &header{Version: version, Identity: []Fact{{Name: "a", Value: "b"}}}})
	require.NoError(f, err)
	for _, r := range []record{
		{Answer: &answer{Row: -1, Value: []byte("null")}},
		{Commit: &Commit{Rows: 3, Streams: []Mark{{-5, -1, "x"}}}},
		{Finished: &finished{}},
		{},
	} {
		more, err := seal(r)
		require.NoError(f, err)
		line = append(line, more...)
		f.Add(line)
	}
	f.Add([]byte(`{"crc32c":"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h := readHistory(data)
		require.LessOrEqual(t, h.rows(), 1<<62)
		for _, r := range h.live() {
			_, err := seal(r)
			require.NoError(t, err)
		}
	})
}
