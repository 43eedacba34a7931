package nll

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// badLines has one row of each kind that can be passed over.
var badLines = []string{
	goodLine,
	`{"query": "q"`,
	`{"query": "q", "answers": "", "pos": ["p"]}`,
	goodLine,
	`{"query": "q", "answers": "a", "pos": 7}`,
	`{"query": "~", "answers": "a", "pos": ["p"], "neg": ["n"]}`, // see nanOn
	goodLine,
}

// nanOn makes the logits of rows that hold this byte NaN.
func nanOn(char byte) *modeltest.LM {
	return &modeltest.LM{Vocab: modeltest.BytesVocab, After: func(b *model.Batch, l *model.Logits) {
		for r := range b.Rows {
			if !slices.Contains(b.TokenIDs[r*b.Width:(r+1)*b.Width], int64(char)) {
				continue
			}
			for i := range l.Width * l.Vocab {
				l.F32[r*l.Width*l.Vocab+i] = float32(math.NaN())
			}
		}
	}}
}

func TestRunSkips(t *testing.T) {
	j, out := newJob(nanOn('~')), &lines{}
	j.SkipBad = true
	sum, err := j.Run(t.Context(), reader(badLines...), out)
	require.NoError(t, err)
	require.Equal(t, 3, sum.Rows)
	require.Equal(t, 4, sum.Rejected)
	require.Equal(t, 6, sum.Passages)
	require.Equal(t, 3, strings.Count(out.String(), "\n"))
	require.NotContains(t, out.String(), "NaN")

	require.Equal(t, []string{
		"2: column 14: want a whole JSON object on the line, got its end too early",
		`3: answers: want an answer of at least one token, got ""`,
		"5: pos: want a list of strings, got a number",
		"6: pos[0]: want a finite score, got NaN: the model's logits are not finite",
	}, out.Reasons)

	// Check reads the same rows; those that only the tokenizer and the model find are good to it.
	count, err := j.count(t.Context(), reader(badLines...), true)
	require.NoError(t, err)
	require.Equal(t, job.Count{Rows: 4, Bad: 3, Passages: 8, Units: 8}, count)
}

func TestRunStopsAtBadRows(t *testing.T) {
	for _, c := range []struct {
		line, want string
		checked    bool // Check finds it too
	}{
		{badLines[1], "rows.jsonl:3:14: want a whole JSON object on the line, got its end too early", true},
		{badLines[2], `rows.jsonl:3: answers: want an answer of at least one token, got ""`, true},
		{badLines[4], "rows.jsonl:3: pos: want a list of strings, got a number", true},
		{badLines[5], "rows.jsonl:3: pos[0]: want a finite score, got NaN: the model's logits are not finite", false},
		{`{"query": "q", "answers": ["a"], "pos": ["p"], "neg": ["n", "~"]}`, "rows.jsonl:3: neg[1]: want a finite score, got NaN: the model's logits are not finite", false},
		// One answer of several: neither the best of the others nor a mean hides it.
		{`{"query": "q", "answers": ["a", "~"], "pos": ["p"], "neg": ["n"]}`, "rows.jsonl:3: pos[0]: want a finite score, got NaN: the model's logits are not finite", false},
	} {
		j, out := newJob(nanOn('~')), &lines{}
		j.Answers = Best
		sum, err := j.Run(t.Context(), reader(goodLine, goodLine, c.line, goodLine), out)
		require.EqualError(t, err, c.want)
		require.Equal(t, 2, sum.Rows, "rows before it were scored")

		_, err = j.count(t.Context(), reader(goodLine, goodLine, c.line, goodLine), false)
		if c.checked {
			require.EqualError(t, err, c.want)
		} else {
			require.NoError(t, err)
		}
	}
}

// -Inf for one answer is no score either, though Best would hide it.
func TestRunRefusesInfinity(t *testing.T) {
	lm := toy()
	lm.After = func(_ *model.Batch, l *model.Logits) {
		for i := int('b'); i < len(l.F32); i += l.Vocab {
			l.F32[i] = float32(math.Inf(-1))
		}
	}
	j := newJob(lm)
	j.Answers = Best
	_, err := j.Run(t.Context(), reader(`{"query": "q", "answers": ["a", "b"], "pos": ["p"]}`), &lines{})
	require.EqualError(t, err, "rows.jsonl:1: pos[0]: want a finite score, got -Inf: the model's logits are not finite")
}
