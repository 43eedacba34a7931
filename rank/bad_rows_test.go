package rank

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// nanOn is a toy model whose logits are NaN where a prompt holds this text.
func nanOn(text string) *modeltest.LM {
	lm := toyLM()
	lm.After = func(b *model.Batch, l *model.Logits) {
		for r := range b.Rows {
			prompt, _, _ := strings.Cut(modeltest.Bytes{}.Text(tokens(b, r)), answerMark)
			if !strings.Contains(prompt, text) {
				continue
			}
			for i := range l.Width * l.Vocab {
				l.F32[r*l.Width*l.Vocab+i] = float32(math.NaN())
			}
		}
	}
	return lm
}

const notFinite = "want a finite log-likelihood, got NaN: the model's logits are not finite"

// badLines has one row of each kind that can be passed over, and what is wrong
// with it.
var badLines = []struct {
	line, want string
	checked    bool // Check finds it too
}{
	{`{"query": "q"`, "14: want a whole JSON object on the line, got its end too early", true},
	{`{"query": "q", "pos": 7}`, " pos: want a list of strings, got a number", true},
	{`{"query": "q", "pos": [], "neg": []}`, " pos: want at least one passage in pos or neg, got none", true},
	{`{"pos": ["p"]}`, " query: want a string, got none", true},
	{`{"query": "q", "pos": ["p"], "neg": ["n", "BAD"]}`, ` neg[1]: want text without "BAD", got it`, false},
	{`{"query": "` + strings.Repeat("long", 100) + `", "pos": ["p"], "neg": ["n"]}`, " query: want a prompt of at most 400 tokens, got 813 with all passages empty", false},
	{`{"query": "q", "pos": ["p"], "neg": ["~"]}`, " " + notFinite, false},
}

// badJob meets all of badLines.
func badJob(t *testing.T) *testJob {
	j := newJob(t, constrained(t, nanOn("~"), 0))
	j.Fitter.MaxPrompt, j.Tokenizer = 400, modeltest.Bytes{Err: "BAD"}
	return j
}

func TestRunSkips(t *testing.T) {
	good := manyLines(6, len(badLines)+1, 7)
	in, want := []string{good[0]}, []string{}
	for i, bad := range badLines {
		in = append(in, bad.line, good[i+1])
		if column, text, _ := strings.Cut(bad.want, ": "); column == "14" {
			bad.want = "column 14: " + text
		}
		want = append(want, fmt.Sprintf("%d: %s", 2*i+2, strings.TrimSpace(bad.want)))
	}
	j, out := badJob(t), &lines{}
	j.rejects = true
	sum, err := j.Run(t.Context(), reader(in...), out)
	require.NoError(t, err)
	require.Equal(t, len(good), sum.Rows)
	require.Equal(t, len(badLines), sum.Rejected)
	require.Equal(t, 1, sum.NoRanking, "NaN")
	require.Equal(t, 1, sum.Failed)
	require.Zero(t, sum.Repairs)
	require.Equal(t, want, j.reasons)

	// The others are as they are without them.
	alone, _ := runJob(t, badJob(t), good...)
	require.Equal(t, alone, all(out))

	// Check reads the same rows; those that only the tokenizer and the model find
	// are good to it.
	count, err := j.count(t.Context(), reader(in...))
	require.NoError(t, err)
	require.Equal(t, []int{len(good) + 3, 4}, []int{count.Rows, count.Bad})
}

func TestRunStopsAtBadRows(t *testing.T) {
	for _, bad := range badLines {
		j, out := badJob(t), &lines{}
		j.SkipBad = false
		if !strings.Contains(bad.want, notFinite) { // which is not the row's fault
			j.rejects = true
		}
		in := append(slices.Repeat([]string{goodLine}, DefaultPage+2), bad.line, goodLine)
		want := fmt.Sprintf("rows.jsonl:%d:%s", DefaultPage+3, bad.want)
		sum, err := j.Run(t.Context(), reader(in...), out)
		require.EqualError(t, err, want)
		require.GreaterOrEqual(t, sum.Rows, DefaultPage, "pages before it are written")

		_, err = j.count(t.Context(), reader(in...))
		if bad.checked {
			require.EqualError(t, err, want)
		} else {
			require.NoError(t, err)
		}
	}
}

// A prompt that does not fit rejects the row, whatever windows and permutations
// of it were ranked before, be it by a run that was cut.
func TestRunRejectsWhatDoesNotFitLater(t *testing.T) {
	for _, c := range []struct{ permutations, bad, lists int }{{1, 2, 1}, {3, 2, 0}, {3, 5, 3}} {
		j := newJob(t, sorter())
		j.Permutations = c.permutations
		j.Fitter.MaxPrompt = 1000
		prompts := 0
		j.Fitter.Frame = counted(j.Fitter.Frame, func(n int) int {
			if prompts++; prompts == c.bad || prompts == c.bad+1 {
				return 1001 // with all passages, and with none
			}
			return n
		})
		j.rejects = true
		passages := make([]string, 45)
		for i := range passages {
			passages[i] = string(rune('A' + i))
		}
		line := `{"query": "q", "neg": ["` + strings.ReplaceAll(strings.Join(passages, `", "`), `\`, `\\`) + `"]}`
		out := &lines{}
		sum, err := j.Run(t.Context(), reader(line), out)
		require.NoError(t, err)
		require.Equal(t, []int{0, 1, 0}, []int{sum.Rows, sum.Rejected, sum.NoRanking})
		require.Equal(t, []string{"1: query: want a prompt of at most 1000 tokens, got 1001 with all passages empty"}, j.reasons)
		require.Empty(t, out.String())
		require.Equal(t, c.lists, sum.Lists, "no more are asked")
		require.Len(t, j.Teacher.(*rule).lists, c.lists)

		prompts = 0
		again := &Summary{}
		require.NoError(t, job.Run(t.Context(), j.Scorer, reader(line), &lines{Rejects: true}, j.Options, job.Resume{Answers: out.Kept}, again))
		require.Equal(t, sum, again)
		require.Len(t, j.Teacher.(*rule).lists, c.lists, "none is asked again")
	}
}

// A teacher that gives no ranking: the row is rejected, or ends the run, or gets
// equal scores. The order shown is never its ranking, nor the row's own.
func TestRunWithoutRanking(t *testing.T) {
	const refusal = `want a ranking, got "I would rather not."`
	const rows = 3
	line := `{"query": "q", "pos": ["a 1", "c 3"], "neg": ["b 2"], "pos_scores": [5, 5]}`
	in := []string{goodLine, line, goodLine}
	newTeacher := func() *rule {
		teacher := sorter()
		read := teacher.read
		teacher.read = func(l List, call int) Reading {
			if l.N == 3 {
				return refused(l)
			}
			return read(l, call)
		}
		return teacher
	}
	for _, permutations := range []int{1, 3} {
		j, out := newJob(t, newTeacher()), &lines{}
		j.Permutations, j.SkipBad = permutations, false
		j.rejects = true
		sum, err := j.Run(t.Context(), reader(in...), out)
		require.NoError(t, err, "it is not the row that is bad")
		require.Equal(t, []string{"2: " + refusal}, j.reasons)
		require.Equal(t, &Summary{Counts: job.Counts{Rows: 2, Rejected: 1, Passages: 4, Labelled: 2}, NoRanking: 1, Lists: rows * permutations, Malformed: permutations, Repairs: Repairs{Missing: 3 * permutations, Refusal: permutations}, Mass: 1, ShownFirst: sum.ShownFirst, Shown: 2 * permutations, FullTokens: 2 * permutations, Permuted: sum.Permuted}, sum)
		require.Len(t, all(out), 2)
		require.NotContains(t, out.String(), "c 3")

		j = newJob(t, newTeacher())
		j.Permutations = permutations
		sum, err = j.Run(t.Context(), reader(in...), &lines{})
		require.EqualError(t, err, "rows.jsonl:2: "+refusal)
		require.Equal(t, 1, sum.Rows)

		for _, relabel := range []bool{false, true} {
			j = newJob(t, newTeacher())
			j.Permutations, j.EqualScores, j.Relabel = permutations, true, relabel
			got, sum := runJob(t, j, in...)
			require.Equal(t, `{"query": "q", "pos": ["a 1", "c 3"], "neg": ["b 2"], "pos_scores": [0.0, 0.0], "neg_scores": [0.0]}`, got[1], "no labels without a ranking")
			require.Equal(t, []int{3, 0, 1, 1, 7}, []int{sum.Rows, sum.Rejected, sum.NoRanking, sum.EqualScores, sum.Passages})
			require.Equal(t, []int{2, 2 * permutations}, []int{sum.Labelled, sum.Shown}, "nothing is learnt from it")
		}
	}
}

// Bad rows are rejected where rows without a ranking get equal scores.
func TestEqualScoresAreForGoodRows(t *testing.T) {
	j, out := badJob(t), &lines{}
	j.EqualScores = true
	j.rejects = true
	var in []string
	for _, bad := range badLines {
		in = append(in, bad.line)
	}
	sum, err := j.Run(t.Context(), reader(in...), out)
	require.NoError(t, err)
	require.Equal(t, []int{1, len(badLines) - 1, 1, 1}, []int{sum.Rows, sum.Rejected, sum.NoRanking, sum.EqualScores})
	require.Len(t, j.reasons, len(badLines)-1)
	require.Equal(t, []string{`{"query": "q", "pos": ["p"], "neg": ["~"], "pos_scores": [0.0], "neg_scores": [0.0]}`}, all(out))
}

// What a teacher wrote in place of a ranking is shown, on one line and no more
// than its beginning.
func TestRunAbridgesWhatWasWritten(t *testing.T) {
	for answer, want := range map[string]string{
		"":                       `""`,
		" I\n\tcan't \"rank\" é": `"I can't \"rank\" é"`,
		strings.Repeat("é", 80):  `"` + strings.Repeat("é", 80) + `"`,
		strings.Repeat("é", 81):  `"` + strings.Repeat("é", 80) + `..."`,
	} {
		l := free(says(answer))
		l.MaxNew = 200
		_, err := newJob(t, l).Run(t.Context(), reader(goodLine), &lines{})
		require.EqualError(t, err, "rows.jsonl:1: want a ranking, got "+want)
	}
}
