package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// Off a terminal progress is a line now and then, with the rate and the time
// left: half of the work took a minute, so the other half takes another.
func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	p := (&ui{err: &out}).progress("in.jsonl", 2000)
	p.add(model.BatchStats{Sequences: 100, Work: 400, Tokens: 3000})
	require.Empty(t, out.String(), "not a line for every batch")
	p.start, p.last = time.Now().Add(-time.Minute), time.Now().Add(-lineEvery)
	p.add(model.BatchStats{Sequences: 200, Work: 600, Tokens: 3000})
	require.Regexp(t, `^ortscore: in.jsonl: 300 of 2,000 sequences, (99|100) tokens/s, 1m0s left\n$`, out.String())
	p.done(true)
}

// On a terminal it is a bar that is gone when the file is done.
func TestProgressBar(t *testing.T) {
	var out bytes.Buffer
	p := (&ui{err: &out, terminal: true}).progress("in.jsonl", 20)
	for range 20 {
		p.add(model.BatchStats{Sequences: 1, Work: 1, Tokens: 30})
	}
	p.done(true)
	require.NotContains(t, out.String(), "\n\n")

	p = (&ui{err: &out, terminal: true}).progress("in.jsonl", 20)
	p.add(model.BatchStats{Sequences: 1, Work: 1, Tokens: 30})
	p.done(false)
}
