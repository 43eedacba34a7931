package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/manifest"
)

// killsEnv says how many kills TestKill makes; make test-kill sets it.
const killsEnv = "ORTSCORE_TEST_KILLS"

// killed is a command that is killed over and over until it is done.
type killed struct {
	name, out string
	args      []string
	server    *endpoint // its teacher, or nil

	want     map[string]string // what an undisturbed run leaves, by what stands behind out
	took     time.Duration     // the undisturbed run
	requests int               // that it made
}

// However often a run is killed, at whatever moment, the same command ends in what an
// undisturbed run leaves: no row is lost or doubled, no byte and no count is another.
func TestKill(t *testing.T) {
	needNative(t)
	kills, _ := strconv.Atoi(os.Getenv(killsEnv))
	if kills == 0 {
		kills = 10
	}
	dir := t.TempDir()
	commands := killedCommands(t, dir)
	each := (kills + len(commands) - 1) / len(commands)
	var all killCounts
	for _, c := range commands {
		c.undisturbed(t, dir)
		var n killCounts
		for n.kills < each {
			c.untilDone(t, dir, &n, each)
		}
		t.Logf("%s: %v", c.name, n)
		all.add(n)
	}
	t.Logf("all: %v", all)
	require.Zero(t, all.lost)
	require.Zero(t, all.doubled)
	require.Zero(t, all.unlike)
}

// killCounts is what kills did.
type killCounts struct{ kills, early, finishing, runs, resumed, lost, doubled, unlike, asked int }

func (n *killCounts) add(o killCounts) {
	n.kills, n.early, n.finishing, n.runs = n.kills+o.kills, n.early+o.early, n.finishing+o.finishing, n.runs+o.runs
	n.resumed, n.lost, n.doubled, n.unlike, n.asked = n.resumed+o.resumed, n.lost+o.lost, n.doubled+o.doubled, n.unlike+o.unlike, n.asked+o.asked
}

func (n killCounts) String() string {
	return fmt.Sprintf("%d kills (%d during the start, %d while files got their names) of %d runs, %d starts that went on; rows lost: %d, doubled: %d; files that differ: %d; requests made again: %d",
		n.kills, n.early, n.finishing, n.runs, n.resumed, n.lost, n.doubled, n.unlike, n.asked)
}

// killedCommands writes the inputs.
func killedCommands(t *testing.T, dir string) []*killed {
	t.Helper()
	var rows, lists strings.Builder
	for i := range 700 {
		fmt.Fprintf(&rows, `{"id": "row-%d", "query": "who is %d", "answers": ["it is %d"], "pos": ["the %d"], "neg": ["a river"]}`+"\n", i, i, i, i)
		if i%100 == 50 {
			rows.WriteString("broken\n")
		}
	}
	for i := range 150 {
		fmt.Fprintf(&lists, `{"id": "row-%d", "query": "what is %d", "pos": ["a river of grade %d"], "neg": [`, i, i, i%7+1)
		for k := 1; k < 7; k++ {
			fmt.Fprintf(&lists, `"bread %d of grade %d", `, i*k%10, (i+k)%7+1)
		}
		lists.WriteString(`"salt of grade 8"]}` + "\n")
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rows.jsonl"), []byte(rows.String()), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "lists.jsonl"), []byte(lists.String()), 0o666))
	model, err := filepath.Abs(filepath.Join(root, "testdata", "tiny-gqa"))
	require.NoError(t, err)
	e := &endpoint{mode: "good", tries: map[string]int{}}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return []*killed{
		{name: "nll", out: "nll.jsonl", args: []string{"nll", "--onnx", model, "--on-error", "skip", "rows.jsonl"}},
		{name: "nll, compressed", out: "packed.jsonl.zst", args: []string{"nll", "--onnx", model, "--on-error", "skip", "rows.jsonl"}},
		{name: "rank", out: "rank.jsonl", args: []string{"rank", "--onnx", model, "--permutations", "2", "--window", "4", "--step", "2", "lists.jsonl"}},
		{name: "rank, an endpoint", out: "gpt.jsonl", server: e, args: []string{"rank", "--model-type", "gpt", "--model", "m", "--base-url", server.URL + "/v1", "--window", "4", "--step", "2", "lists.jsonl"}},
	}
}

// undisturbed runs the command to its end, under another name.
func (c *killed) undisturbed(t *testing.T, dir string) {
	t.Helper()
	start := time.Now()
	out, err := c.start(t, dir, "whole."+c.out).wait()
	c.took = time.Since(start)
	requireDone(t, err, out)
	c.want = c.left(t, dir, "whole."+c.out)
	if c.server != nil {
		c.requests = c.server.reset()
	}
}

// process is a command that runs.
type process struct {
	*exec.Cmd
	stderr bytes.Buffer
	done   chan error
}

func (p *process) wait() (stderr string, err error) {
	err = <-p.done
	return p.stderr.String(), err
}

func (c *killed) start(t *testing.T, dir, out string) *process {
	t.Helper()
	command, err := exeInPath("ortscore")
	require.NoError(t, err)
	p := &process{Cmd: exec.Command(command, append(slices.Clip(c.args), "--out", out, "--threads", "1")...), done: make(chan error, 1)}
	if c.server != nil {
		p.Args = p.Args[:len(p.Args)-2]
	}
	p.Dir, p.Stderr = dir, &p.stderr
	require.NoError(t, p.Start())
	go func() { p.done <- p.Wait() }()
	return p
}

// requireDone wants an end with all rows scored or rejected.
func requireDone(t *testing.T, err error, stderr string) {
	t.Helper()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == exitPartial {
		return
	}
	require.NoError(t, err, stderr)
}

// left is what a finished run leaves: its files, and of the manifest the summary.
func (c *killed) left(t *testing.T, dir, out string) map[string]string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, out) + "*")
	require.NoError(t, err)
	files := map[string]string{}
	for _, path := range found {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		name := strings.TrimPrefix(filepath.Base(path), out)
		if path == manifest.Path(filepath.Join(dir, out)) {
			m, err := manifest.Read(path)
			require.NoError(t, err)
			if data, err = ofRows(m.Summary); err != nil {
				require.NoError(t, err)
			}
		}
		files[name] = string(data)
	}
	return files
}

// untilDone runs the command until it is done, and kills it as long as there are kills
// left.
func (c *killed) untilDone(t *testing.T, dir string, n *killCounts, most int) {
	t.Helper()
	n.runs++
	for {
		p := c.start(t, dir, c.out)
		killed := n.kills < most && c.kill(p, dir, n)
		stderr, err := p.wait()
		if strings.Contains(stderr, "going on after") {
			n.resumed++
		}
		if !killed {
			requireDone(t, err, stderr)
			break
		}
		n.kills++
	}
	got := c.left(t, dir, c.out)
	for name, want := range c.want {
		if got[name] != want {
			n.unlike++
			t.Errorf("%s: %s%s: want the bytes of an undisturbed run, got others", c.name, c.out, name)
		}
		delete(got, name)
	}
	require.Empty(t, slices.Collect(maps.Keys(got)), "files that are left over")
	lost, doubled := rowsLost(rowsOf(t, filepath.Join(dir, "whole."+c.out)), rowsOf(t, filepath.Join(dir, c.out)))
	n.lost, n.doubled = n.lost+lost, n.doubled+doubled
	if c.server != nil {
		n.asked += c.server.reset() - c.requests
	}
	found, err := filepath.Glob(filepath.Join(dir, c.out) + "*")
	require.NoError(t, err)
	for _, path := range found {
		require.NoError(t, os.Remove(path))
	}
}

// rowsOf reads the lines of a file, compressed or not.
func rowsOf(t *testing.T, path string) (lines []string) {
	t.Helper()
	in, err := dataset.Open(path)
	require.NoError(t, err)
	defer in.Close()
	for {
		row, err := in.Next()
		if err == io.EOF {
			return lines
		}
		require.NoError(t, err)
		lines = append(lines, string(row.Raw))
	}
}

// rowsLost counts the lines that are not there, and those that are there again.
func rowsLost(want, got []string) (lost, doubled int) {
	times := map[string]int{}
	for _, line := range got {
		times[line]++
	}
	for _, line := range want {
		if times[line] == 0 {
			lost++
		}
		doubled += max(0, times[line]-1)
		delete(times, line)
	}
	return lost, doubled
}

// kill kills a process at a random moment: during its start, any time up to the
// undisturbed run's end, or once the files get their names. It says whether it was in
// time.
func (c *killed) kill(p *process, dir string, n *killCounts) bool {
	var of *int
	moment := time.Duration(rand.Int64N(int64(c.took)))
	switch rand.IntN(4) {
	case 0:
		of, moment = &n.early, time.Duration(rand.Int64N(int64(200*time.Millisecond)))
	case 1:
		of, moment = &n.finishing, time.Minute
	}
	deadline := time.Now().Add(moment)
	for time.Now().Before(deadline) {
		if of == &n.finishing && c.finishing(dir) {
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
			break
		}
		if p.ended() {
			return false
		}
		time.Sleep(50 * time.Microsecond)
	}
	if p.ended() || p.Process.Kill() != nil {
		return false
	}
	err := <-p.done
	p.done <- err
	if p.ProcessState.ExitCode() >= 0 { // it ended before
		return false
	}
	if of != nil {
		*of++
	}
	return true
}

// ended says whether the process has ended by itself.
func (p *process) ended() bool {
	select {
	case err := <-p.done:
		p.done <- err
		return true
	default:
		return false
	}
}

// finishing says whether the files of a run get their names.
func (c *killed) finishing(dir string) bool {
	for _, name := range []string{".manifest.json.partial", ".manifest.json"} {
		if _, err := os.Lstat(filepath.Join(dir, c.out) + name); err == nil {
			return true
		}
	}
	return false
}
