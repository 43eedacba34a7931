package durable

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// childPath names the output of a test binary that is a run of its own.
const childPath = "DURABLE_TEST_CHILD"

func TestMain(m *testing.M) {
	path := os.Getenv(childPath)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := child(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child writes 1,000 rows, with as many commits as it can and a moment's work for
// each block. Its first word says that the output is open.
func child(path string) error {
	o, err := open(filesystem.OS{}, options(path), time.Millisecond)
	_, unfinished := os.Lstat(path + ".journal")
	if errors.Is(err, ErrFinished) || errors.Is(err, fs.ErrExist) && unfinished != nil {
		return nil // it was killed after its last step
	}
	if err != nil {
		return err
	}
	defer o.Close()
	fmt.Println("open")
	moment = 200 * time.Microsecond
	if err := work(o, 1000, asked{}); err != nil {
		return err
	}
	return finish(o)
}

// command is another process that writes an output.
func command(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPath+"="+path)
	return cmd
}

// TestKill kills runs of 1,000 rows at random moments and starts them again: 51
// times, or 12 where time is short.
func TestKill(t *testing.T) {
	kills := 17
	if testing.Short() {
		kills = 4
	}
	for _, ext := range extensions {
		t.Run(ext, func(t *testing.T) {
			want := t.TempDir()
			begin := time.Now()
			out, err := command(t, filepath.Join(want, "out"+ext)).CombinedOutput()
			require.NoError(t, err, "%s", out)
			took, dir, amid := time.Since(begin), t.TempDir(), 0
			for n := 0; n < kills; {
				lay(t, dir, nil)
				for killAtRandom(t, filepath.Join(dir, "out"+ext), took) {
					n++
					if h := readHistory([]byte(contents(t, dir)["out"+ext+".journal"])); h.rows() > 0 {
						amid++
					}
				}
				require.Equal(t, contents(t, want), contents(t, dir), "after %d kills", n)
			}
			require.Positive(t, amid, "kills came amid the work")
		})
	}
}

// killAtRandom starts a run and kills it in the time that a whole one took, or says
// that it was done before.
func killAtRandom(t *testing.T, path string, took time.Duration) bool {
	t.Helper()
	cmd := command(t, path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	time.Sleep(rand.N(took))
	_ = cmd.Process.Kill()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		return true
	}
	require.NoError(t, err, stderr.String())
	return false
}

// TestTwoProcesses starts a run while another process writes the output, and
// again when that one was killed.
func TestTwoProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	o, err := Open(options(path))
	require.NoError(t, err)
	require.NoError(t, o.Keep(1, "one"))
	out, err := command(t, path).CombinedOutput()
	require.Error(t, err)
	require.Equal(t, path+": another run is writing it; wait for its end, or choose another name\n", string(out))
	_, err = Open(options(path))
	require.ErrorIs(t, err, ErrLocked, "nor twice in one process")
	for _, resume := range []Resume{Never, Restart} {
		opts := options(path)
		opts.Resume = resume
		_, err = Open(opts)
		require.ErrorIs(t, err, ErrLocked)
	}
	require.NoError(t, o.Close())

	cmd := command(t, path)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	word, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "open\n", word)
	require.NoError(t, cmd.Process.Signal(syscall.SIGSTOP))
	_, err = Open(options(path))
	require.ErrorIs(t, err, ErrLocked, "also by one that sleeps")
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.NoError(t, again(options(path), asked{}))
}

// TestOneAtATime lets many open, close, throw away and finish one output at once.
// No two have it open, and none sees half of anything.
func TestOneAtATime(t *testing.T) {
	path := filepath.Join(folder(t), "out.jsonl")
	var inside, finished atomic.Int32
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for k := 0; k < 100; k++ {
				opts := options(path)
				opts.Force = true
				o, err := open(sound(), opts, 0)
				if err != nil {
					if !errors.Is(err, ErrLocked) {
						t.Error(err)
					}
					continue
				}
				if inside.Add(1) != 1 {
					t.Error("two runs write one output")
				}
				if k%3 == n%3 {
					err = work(o, rowsAll, asked{})
				}
				inside.Add(-1) // the others may have it as soon as it ends
				if err == nil && k%3 == n%3 && k%2 == 0 {
					err = finish(o)
					finished.Add(1)
				}
				if err != nil {
					t.Error(err)
				}
				if err := o.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.Positive(t, finished.Load())
}

// TestKeepBeside keeps answers from many goroutines while lines are written.
func TestKeepBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.jsonl")
	o, err := open(filesystem.OS{}, options(path), time.Millisecond)
	require.NoError(t, err)
	var all sync.WaitGroup
	for row := 1000; row < 1008; row++ {
		all.Go(func() {
			for n := range 100 {
				if err := o.Keep(row, n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	require.NoError(t, work(o, 1000, asked{}))
	all.Wait()
	require.NoError(t, o.Close())

	o, err = Open(options(path))
	require.NoError(t, err)
	defer o.Close()
	require.Equal(t, 1000, o.Last().Rows)
	require.Len(t, o.Kept(), 8)
	for row, kept := range o.Kept() {
		require.Len(t, kept, 100)
		for n, text := range kept {
			var got int
			require.NoError(t, json.Unmarshal(text, &got))
			require.Equal(t, n, got, row)
		}
	}
}
