package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ortscore/ortscore/io/manifest"
)

// resum OUT
//
// makes the manifest of an output that was changed say that it is as it was written.
func resum(ts *testscript.TestScript, _ bool, args []string) {
	out := ts.MkAbs(args[0])
	m, err := manifest.Read(manifest.Path(out))
	ts.Check(err)
	m.Output.Bytes, m.Output.SHA256, err = manifest.Hash(context.Background(), out)
	ts.Check(err)
	ts.Check(manifest.Write(manifest.Path(out), m))
}

// scorebetter FILE LINE
//
// adds 0.5 to the first of a line's teacher_scores.
func scoreBetter(ts *testscript.TestScript, _ bool, args []string) {
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	lines := slices.Collect(strings.Lines(ts.ReadFile(args[0])))
	value := teacherScores(ts, args[0])[at-1][0]
	better := strings.Replace(lines[at-1], fmt.Sprint(value), fmt.Sprint(value+0.5), 1)
	if better == lines[at-1] {
		ts.Fatalf("want %v in line %d, got none", value, at)
	}
	lines[at-1] = better
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(lines, "")), 0o666))
}
