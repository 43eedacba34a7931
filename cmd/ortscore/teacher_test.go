package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/graph"
	"github.com/ortscore/ortscore/model/hf"
)

func TestMaxLength(t *testing.T) {
	const none = "want --max-length, since no config.json gives the model's context, got none"
	const noBound = "the model has no positions that bound a text's length: --max-length bounds it"
	for _, c := range []struct {
		name      string
		context   int
		unbounded bool
		graph     int // tokens for which the graph has positions
		flag      int
		want      int
		err       string
		note      string
		doctor    string // what it says, for a flag of 0
	}{
		{name: "a context", context: 1024, want: 1024, doctor: "1024 tokens"},
		{name: "less than the context", context: 1024, flag: 512, want: 512},
		{name: "more than the context", context: 1024, flag: 1025, err: "--max-length: want at most the model's context of 1024 tokens, got 1025"},
		{name: "nothing known", err: none, doctor: "unknown: give --max-length"},
		{name: "nothing known but the flag", flag: 7, want: 7},
		{name: "a table as long", context: 1024, graph: 1024, want: 1024, doctor: "1024 tokens"},
		{name: "a shorter table", context: 1024, graph: 128, want: 128, doctor: "128 tokens",
			note: "c gives a context of 1,024 tokens, and the graph has positions for 128, which no text is longer than"},
		{name: "more than the table", context: 1024, graph: 1000, flag: 1001, err: "--max-length: want at most the 1000 tokens for which the graph has positions, got 1001",
			note: "c gives a context of 1,024 tokens, and the graph has positions for 1,000, which no text is longer than"},
		{name: "a table alone", graph: 128, err: none, doctor: "at most 128 tokens, by the graph: give --max-length"},
		{name: "a table and the flag", graph: 128, flag: 128, want: 128},
		{name: "no bound", unbounded: true, want: unbounded, note: noBound, doctor: "no bound"},
		{name: "no bound but the flag", unbounded: true, flag: 512, want: 512, note: noBound},
		{name: "no bound but the table", unbounded: true, graph: 128, want: 128, doctor: "128 tokens"},
	} {
		teacher := &teacher{config: &hf.Config{Path: "c", Context: c.context, Unbounded: c.unbounded}, found: graph.Findings{MostTokens: c.graph}}
		got, err := teacher.maxLength(c.flag)
		if c.err != "" {
			require.EqualError(t, err, c.err, c.name)
		} else {
			require.NoError(t, err, c.name)
			require.Equal(t, c.want, got, c.name)
		}
		var notes []string
		if c.note != "" {
			notes = []string{c.note}
		}
		require.Equal(t, notes, teacher.lengthNotes(), c.name)
		if c.doctor != "" {
			require.Equal(t, c.doctor, teacher.describeContext(), c.name)
		}
	}
}
