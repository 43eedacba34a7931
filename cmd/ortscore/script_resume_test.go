package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// awaits OUT
//
// waits until the unfinished OUT of a run in the background holds something.
func awaits(ts *testscript.TestScript, _ bool, args []string) {
	waitFor(ts, "an unfinished "+args[0]+" that holds something", nil, 5*time.Millisecond, func() bool { return holdsWork(ts.MkAbs(args[0])) })
}

// samesummary FILE1 FILE2
//
// wants two summaries of --json that say the same of the rows, whatever of them each run
// has scored.
func sameSummary(ts *testscript.TestScript, _ bool, args []string) {
	a, err := ofRows([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	b, err := ofRows([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	if !bytes.Equal(a, b) {
		ts.Fatalf("want the same summaries, got\n%s\n%s", a, b)
	}
}

// ofRun are the fields of a summary that tell of a run, and not of the rows.
var ofRun = []string{"notes", "outputs", "rejected_files", "seconds", "tokens_per_second", "models", "idle", "peak_memory", "arenas",
	"sequences", "identical_sequences", "tokens", "shared_tokens", "padding", "batches", "shapes", "batch_tokens", "batch_tokens_chosen",
	"prompt_tokens", "steps", "row_steps", "requests"}

// ofRows is a summary without what tells of the run.
func ofRows(summary []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(summary, &fields); err != nil {
		return nil, err
	}
	for _, name := range ofRun {
		delete(fields, name)
	}
	if rows := string(fields["rows"]); rows == "" || rows == "0" {
		return nil, fmt.Errorf("want a summary of rows, got %s", summary)
	}
	return json.Marshal(fields)
}
