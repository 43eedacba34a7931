package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/manifest"
)

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits":     exits,
	"keeps":     keeps,
	"fails":     fails,
	"breaks":    breaks,
	"says":      says,
	"interrupt": interrupt,
	"outlives":  outlives,
	"meanwhile": meanwhile,
	"model":     copyModel,
	"edit":      editFile,
	"truncate":  truncateFile,
	"write":     writeFile,
	"longline":  longLine,
	"rows":      manyRows,
	"scores":    countScores,
	"same":      sameScores,
	"third":     thirdScores,
	"json":      jsonField,

	"probabilities": endInProbabilities, // of onnx_test.go

	// Those of script_resume_test.go.
	"awaits":      awaits,
	"samesummary": sameSummary,

	// Those of script_manifest_test.go.
	"resum":       resum,
	"scorebetter": scoreBetter,

	// Those of script_rank_test.go.
	"lists":     manyLists,
	"ranked":    rankedScores,
	"graded":    gradedScores,
	"sameorder": sameOrder,
	"near":      nearScores,
	"endpoint":  startEndpoint,
	"asked":     askedEndpoint,
}

// exits CODE COMMAND ARG...
//
// wants the exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("want exit code %d, got %d", want, got)
	}
}

var errorLine = regexp.MustCompile(`(?m)^ortscore: error: .*[^.\n]$`)

// keeps CODE COMMAND ARG...
//
// wants the exit code and every file under $WORK as it was: no output, no
// temporary file, nothing overwritten.
func keeps(ts *testscript.TestScript, neg bool, args []string) {
	before := snapshot(ts)
	exits(ts, neg, args)
	unchanged(ts, before)
}

// fails CODE COMMAND ARG...
//
// wants what keeps does and one error without a full stop.
func fails(ts *testscript.TestScript, neg bool, args []string) {
	keeps(ts, neg, args)
	oneError(ts)
}

// breaks CODE OUT COMMAND ARG...
//
// wants what fails does, but for what was scored before the error: it lies in an
// unfinished OUT, and nothing else is left.
func breaks(ts *testscript.TestScript, neg bool, args []string) {
	before := snapshot(ts)
	exits(ts, neg, append(args[:1:1], args[2:]...))
	unfinished(ts, before, args[1])
	oneError(ts)
}

// oneError wants one error without a full stop in standard error.
func oneError(ts *testscript.TestScript) {
	stderr := ts.ReadFile("stderr")
	if n := len(errorLine.FindAllString(stderr, -1)); n != 1 {
		ts.Fatalf("want one error without a full stop, got %d", n)
	}
	if strings.Contains(stderr, "goroutine ") {
		ts.Fatalf("want an error, got a panic")
	}
}

// snapshot gives every file, folder and link under $WORK with what is in it.
func snapshot(ts *testscript.TestScript) map[string]string {
	files := map[string]string{}
	ts.Check(filepath.WalkDir(ts.Getenv("WORK"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var data []byte
		if entry.Type().IsRegular() { // reading a pipe would wait for ever
			data, _ = os.ReadFile(path)
		}
		files[path] = state(path, data)
		return nil
	}))
	return files
}

// unfinished wants an output that the same command can go on with, and every other file
// as it was.
func unfinished(ts *testscript.TestScript, before map[string]string, out string) {
	path := ts.MkAbs(out)
	if !holdsWork(path) {
		ts.Fatalf("want an unfinished %s that holds something, got none", out)
	}
	for _, name := range []string{path + ".journal", path + ".partial", path + manifest.RejectedSuffix + ".partial", path + manifest.AnswersSuffix + ".partial"} {
		if data, err := os.ReadFile(name); err == nil {
			before[name] = state(name, data)
		}
	}
	for dir := filepath.Dir(path); before[dir] == ""; dir = filepath.Dir(dir) {
		before[dir] = state(dir, nil)
	}
	unchanged(ts, before)
}

// holdsWork says whether a journal has an answer or rows that are done.
func holdsWork(out string) bool {
	journal, _ := os.ReadFile(out + ".journal")
	return bytes.Contains(journal, []byte(`"record":{"answer":`)) || bytes.Contains(journal, []byte(`"record":{"commit":`))
}

// state tells of a file, and what is in it where it is a regular one.
func state(path string, data []byte) string {
	info, err := os.Lstat(path)
	if err != nil {
		return ""
	}
	is := info.Mode().String()
	if link, err := os.Readlink(path); err == nil {
		is += link
	}
	if info.Mode().IsRegular() {
		is += fmt.Sprint(len(data), crc32.ChecksumIEEE(data))
	}
	return is
}

func unchanged(ts *testscript.TestScript, before map[string]string) {
	after := snapshot(ts)
	for path, is := range after {
		if was, ok := before[path]; !ok || was != is {
			ts.Fatalf("want files as they were, got %s (%s before, %s after)", path, was, is)
		}
		delete(before, path)
	}
	for path := range before {
		ts.Fatalf("want files as they were, got %s removed", path)
	}
}

// says LINE...
//
// wants these lines, to the letter, in standard error; ! says wants none of them.
func says(ts *testscript.TestScript, neg bool, args []string) {
	stderr := "\n" + ts.ReadFile("stderr")
	for _, line := range args {
		if strings.Contains(stderr, "\n"+line+"\n") == neg {
			ts.Fatalf("want %q in standard error: %v", line, !neg)
		}
	}
}

// interrupt SIGNAL OUT ARG...
//
// runs ortscore with a standard input that never ends, sends it the signal twice, as
// timeout does, once the unfinished OUT holds something, and at once wants exit code 130
// for INT, 75 for the others, none for KILL, and every other file as it was. ! interrupt sends it once
// OUT has begun, and wants nothing to be left of it.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	before := snapshot(ts)
	cmd := exec.Command(ts.Getenv("ORTSCORE"), args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "ORTSCORE_ORT_LIB", "ORTSCORE_ONNX", "ORTSCORE_THREADS", "GORACE"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	defer stdin.Close()
	ts.Check(cmd.Start())
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()

	out := ts.MkAbs(args[1])
	if neg {
		waitForFile(ts, out+".partial", done)
	} else {
		waitFor(ts, "an unfinished "+args[1]+" that holds something", done, 5*time.Millisecond, func() bool { return holdsWork(out) })
	}
	start := time.Now()
	ts.Check(cmd.Process.Signal(signals[args[0]]))
	time.Sleep(5 * time.Millisecond)
	_ = cmd.Process.Signal(signals[args[0]]) // it may have ended
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
		ts.Fatalf("want an end within 5 s of the signal, got none")
	}
	ts.Logf("ended after %v\n%s", time.Since(start), stderr.String())
	want := map[string]int{"INT": exitInterrupted, "KILL": -1, "TERM": exitRetry, "HUP": exitRetry}[args[0]]
	if code := cmd.ProcessState.ExitCode(); code != want {
		ts.Fatalf("want exit code %d, got %d", want, code)
	}
	if neg {
		unchanged(ts, before)
	} else {
		unfinished(ts, before, args[1])
	}
	_, _ = ts.Stderr().Write(stderr.Bytes())
}

// outlives SIGNAL GLOB ARG...
//
// runs ortscore with the signal ignored from its start on, as nohup and shells do,
// sends it the signal once a file matches the glob to stay, and wants exit code 0.
func outlives(ts *testscript.TestScript, _ bool, args []string) {
	cmd, stderr := startShell(ts, `trap '' `+args[0]+`; exec "$@"`, args[2:])
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	waitForFile(ts, ts.MkAbs(args[1]), done)
	ts.Check(cmd.Process.Signal(signals[args[0]]))
	finish(ts, cmd, done, stderr, exitOK)
}

// meanwhile CHANGE FILE GLOB CODE ARG...
//
// runs ortscore, changes the file once another one matches the glob to stay, and
// wants the exit code. It grows by a line, shrinks by one, has one byte changed, is
// replaced by the file that has its name and .new, or written again as it is.
func meanwhile(ts *testscript.TestScript, _ bool, args []string) {
	change, path := args[0], ts.MkAbs(args[1])
	code, err := strconv.Atoi(args[3])
	ts.Check(err)
	cmd, stderr := startShell(ts, `exec "$@"`, args[4:])
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	waitForFile(ts, ts.MkAbs(args[2]), done)
	data, err := os.ReadFile(path)
	ts.Check(err)
	if change == "replace" {
		ts.Check(os.Rename(path+".new", path))
	} else {
		ts.Check(os.WriteFile(path, changed(data, change), 0o666))
	}
	finish(ts, cmd, done, stderr, code)
}

func changed(data []byte, change string) []byte {
	lines := slices.Collect(bytes.Lines(data))
	switch change {
	case "grow":
		return append(data, lines[0]...)
	case "shrink":
		return bytes.Join(lines[:len(lines)-1], nil)
	case "edit":
		at := bytes.LastIndex(data, []byte("river"))
		data[at] = 'd'
	}
	return data
}

var signals = map[string]os.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}

// startShell starts ortscore from a shell's command line.
func startShell(ts *testscript.TestScript, line string, args []string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command("sh", append([]string{"-c", line, "sh", ts.Getenv("ORTSCORE")}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "ORTSCORE_ORT_LIB", "ORTSCORE_ONNX", "ORTSCORE_THREADS", "GORACE"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	ts.Check(cmd.Start())
	return cmd, stderr
}

// finish waits for a command's end and wants its exit code.
func finish(ts *testscript.TestScript, cmd *exec.Cmd, done <-chan error, stderr *bytes.Buffer, code int) {
	select {
	case <-done:
	case <-time.After(5 * time.Minute):
		_ = cmd.Process.Kill()
		ts.Fatalf("want an end within 5 minutes, got none")
	}
	ts.Logf("[stderr]\n%s", stderr.String())
	_, _ = ts.Stderr().Write(stderr.Bytes())
	if got := cmd.ProcessState.ExitCode(); got != code {
		ts.Fatalf("want exit code %d, got %d", code, got)
	}
}

// waitForFile waits until a file matches the glob and is still there a moment
// later: the check whether an output can be written is over by then.
func waitForFile(ts *testscript.TestScript, glob string, done <-chan error) {
	last := ""
	waitFor(ts, "a file "+glob, done, 100*time.Millisecond, func() bool {
		found, err := filepath.Glob(glob)
		ts.Check(err)
		before := last
		if last = ""; len(found) == 1 {
			last = found[0]
		}
		return last != "" && last == before
	})
}

// waitFor waits for something to be so, and looks every so often.
func waitFor(ts *testscript.TestScript, what string, done <-chan error, every time.Duration, so func() bool) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if so() {
			return
		}
		select {
		case err := <-done:
			ts.Fatalf("want a command that runs on, got its end: %v", err)
		case <-time.After(every):
		}
	}
	ts.Fatalf("want %s, got none", what)
}

// model NAME DIR
//
// copies a tiny model.
func copyModel(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.CopyFS(ts.MkAbs(args[1]), os.DirFS(filepath.Join(ts.Getenv("MODELS"), args[0]))))
}

// edit FILE OLD NEW
//
// replaces text wherever it stands. In a model.onnx both must have one length.
func editFile(ts *testscript.TestScript, _ bool, args []string) {
	data, old := []byte(ts.ReadFile(args[0])), []byte(args[1])
	if !bytes.Contains(data, old) {
		ts.Fatalf("want %q in %s, got none", args[1], args[0])
	}
	if filepath.Ext(args[0]) == ".onnx" && len(args[1]) != len(args[2]) {
		ts.Fatalf("want texts of one length, got %q and %q", args[1], args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), bytes.ReplaceAll(data, old, []byte(args[2])), 0o666))
}

// truncate FILE BYTES
func truncateFile(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), size))
}

// write FILE TEXT
//
// writes bytes that a script cannot hold: \n, \xff and so on are as in Go.
func writeFile(ts *testscript.TestScript, _ bool, args []string) {
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(args[1], `"`, `\"`) + `"`)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o666))
}

// longline FILE BYTES
//
// adds a good row of about this length.
func longLine(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	appendFile(ts, args[0], `{"query": "who", "answers": ["a man"], "pos": ["`+strings.Repeat("a", size)+`"], "neg": []}`+"\n")
}

// rows FILE N
//
// adds n good rows.
func manyRows(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"query": "who is %d", "answers": ["it is %d"], "pos": ["the %d"], "neg": ["a river"]}`+"\n", i, i, i)
	}
	appendFile(ts, args[0], b.String())
}

func appendFile(ts *testscript.TestScript, path, text string) {
	f, err := os.OpenFile(ts.MkAbs(path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	ts.Check(err)
	_, err = f.WriteString(text)
	ts.Check(errors.Join(err, f.Close()))
}

// scores FILE N...
//
// wants a line for each n, with so many teacher_scores, all floats below 0.
func countScores(ts *testscript.TestScript, _ bool, args []string) {
	lines := teacherScores(ts, args[0])
	if len(lines) != len(args)-1 {
		ts.Fatalf("want %d lines, got %d", len(args)-1, len(lines))
	}
	for i, scores := range lines {
		if want := args[i+1]; strconv.Itoa(len(scores)) != want {
			ts.Fatalf("line %d: want %s scores, got %d", i+1, want, len(scores))
		}
	}
}

// same FILE1 FILE2
//
// wants the same teacher_scores to 1e-5; ! same wants others.
func sameScores(ts *testscript.TestScript, neg bool, args []string) {
	a, b := teacherScores(ts, args[0]), teacherScores(ts, args[1])
	if difference := farthest(a, b); difference <= 1e-5 == neg {
		ts.Fatalf("want the same scores: %v, got a difference of %v", !neg, difference)
	}
}

// farthest is the largest difference of two scores; infinite where their numbers
// differ.
func farthest(a, b [][]float64) float64 {
	var most float64
	for i := range max(len(a), len(b)) {
		if len(a) != len(b) || len(a[i]) != len(b[i]) {
			return math.Inf(1)
		}
		for k := range a[i] {
			most = max(most, math.Abs(a[i][k]-b[i][k]))
		}
	}
	return most
}

// third FILE first|mean|best
//
// wants the scores of line 3 to be line 1's, or their mean with line 2's, or the
// higher of the two.
func thirdScores(ts *testscript.TestScript, _ bool, args []string) {
	lines := teacherScores(ts, args[0])
	want := make([]float64, len(lines[0]))
	for i, one := range lines[0] {
		two := lines[1][i]
		want[i] = map[string]float64{"first": one, "mean": (one + two) / 2, "best": max(one, two)}[args[1]]
	}
	if difference := farthest(lines[2:], [][]float64{want}); !(difference <= 1e-5) {
		ts.Fatalf("want scores %v, got %v", want, lines[2])
	}
}

func teacherScores(ts *testscript.TestScript, path string) (lines [][]float64) {
	in := dataset.NewReader(path, strings.NewReader(ts.ReadFile(path)))
	if filepath.Ext(path) == ".gz" || filepath.Ext(path) == ".zst" {
		var err error
		in, err = dataset.Open(ts.MkAbs(path))
		ts.Check(err)
		defer in.Close()
	}
	for {
		row, err := in.Next()
		if err == io.EOF {
			return lines
		}
		ts.Check(err)
		var fields struct {
			Scores []json.Number `json:"teacher_scores"`
		}
		ts.Check(json.Unmarshal(row.Raw, &fields))
		scores := []float64{}
		for _, n := range fields.Scores {
			v, err := n.Float64()
			ts.Check(err)
			if v >= 0 || !strings.ContainsAny(n.String(), ".e") {
				ts.Fatalf("%s:%d: want a float below 0, got %s", path, row.Line, n)
			}
			scores = append(scores, v)
		}
		lines = append(lines, scores)
	}
}

// json FIELD VALUE
//
// wants a field of the JSON object in standard output, its value as JSON.
func jsonField(ts *testscript.TestScript, _ bool, args []string) {
	var object map[string]json.RawMessage
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &object))
	if got := string(object[args[0]]); got != args[1] {
		ts.Fatalf("%s: want %s, got %s", args[0], args[1], got)
	}
}
