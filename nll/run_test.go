package nll

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// DefaultPage is how many sequences are sorted together.
const DefaultPage = 1024

// testJob is a scorer with what it is run with.
type testJob struct {
	*Scorer
	job.Options
}

func newJob(toy *modeltest.LM) *testJob {
	return &testJob{Scorer: &Scorer{LM: &model.LM{Scorers: []model.Scorer{model.FullLogits{Forwarder: toy, Words: toy.Vocab}}, Limits: model.Limits{Tokens: 4096}}, Builder: builder(), Answers: First, Fields: TeacherFields, Seed: 1},
		Options: job.Options{Page: DefaultPage}}
}

func (j *testJob) Run(ctx context.Context, in *dataset.Reader, out *lines) (*Summary, error) {
	sum := &Summary{}
	out.Rejects = j.SkipBad
	err := job.Run(ctx, j.Scorer, in, out, j.Options, job.Resume{}, sum)
	return sum, err
}

func (j *testJob) count(ctx context.Context, in *dataset.Reader, skip bool) (job.Count, error) {
	c, err := job.Check(ctx, j.Check, in, j.Selection, skip)
	c.Problems, c.Input, c.Scored = nil, dataset.Content{}, dataset.Content{}
	return c, err
}

func toy() *modeltest.LM { return &modeltest.LM{Vocab: modeltest.BytesVocab} }

// teacherScores reads a field of numbers.
func numbers(t testing.TB, line, field string) []float64 {
	t.Helper()
	var row map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(line), &row))
	var out []float64
	require.NoError(t, json.Unmarshal(row[field], &out), line)
	return out
}

// randomLine is a qa row of up to 5 passages.
func randomLine(rng *rand.Rand, i int) string {
	list := func(n int) string {
		var words []string
		for range n {
			words = append(words, fmt.Sprintf(`"%s"`, strings.Repeat("ab é", 1+rng.IntN(8))))
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	return fmt.Sprintf(`{"query": "q%d", "answers": %s, "pos": %s, "neg": %s, "id": %d}`, i, list(1+rng.IntN(3)), list(1+rng.IntN(2)), list(rng.IntN(4)), i)
}

// Each score of each line is what the toy model gives for that passage.
func TestRun(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var in []string
	for i := range 60 {
		in = append(in, randomLine(rng, i))
	}
	for _, choice := range []AnswerChoice{First, Random, Best, Mean} {
		j, out := newJob(toy()), &lines{}
		j.Answers = choice
		sum, err := j.Run(t.Context(), reader(in...), out)
		require.NoError(t, err)
		require.Equal(t, len(in), sum.Rows)
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		require.Len(t, got, len(in))
		for i, line := range got {
			before, _, _ := strings.Cut(line, `, "teacher_scores": [`)
			require.Equal(t, strings.TrimSuffix(in[i], "}"), before, "the line's own bytes, in order")
			ex, err := ReadExample(parse(t, in[i]), "", choice, j.Seed)
			require.NoError(t, err)
			require.NoError(t, j.Builder.Build(ex))
			scores := numbers(t, line, "teacher_scores")
			require.Len(t, scores, len(ex.Passages))
			n := len(ex.Answers)
			for p, score := range scores {
				want, sum := math.Inf(-1), 0.0
				for _, seq := range ex.Sequences[p*n : (p+1)*n] {
					s := toy().LogLikelihood(seq)
					want, sum = max(want, s), sum+s
				}
				if choice == Mean {
					want = sum / float64(n)
				}
				require.InDelta(t, want, score, 2e-6)
			}
		}
	}
}

// Pages are an affair of the inside: one row more or fewer on either side of
// their ends, rows larger than a page, and bad rows among them change nothing.
func TestRunPages(t *testing.T) {
	line := func(i, passages int) string {
		return fmt.Sprintf(`{"query": "%d", "answers": ["a"], "pos": [%s"p"], "neg": []}`, i, strings.Repeat(`"x", `, passages-1))
	}
	for _, c := range []struct {
		name     string
		rows     int
		passages func(i int) int
		bad      int // every so many rows
	}{
		{"a row less than a page", DefaultPage - 1, func(int) int { return 1 }, 0},
		{"a page", DefaultPage, func(int) int { return 1 }, 0},
		{"a row more", DefaultPage + 1, func(int) int { return 1 }, 0},
		{"rows over the edge", 900, func(i int) int { return 1 + i%9 }, 0},
		{"a row larger than a page", 5, func(i int) int { return []int{1, DefaultPage + 100, 2, 1, 3}[i] }, 0},
		{"nothing but bad rows", 2*DefaultPage + 1, func(int) int { return 1 }, 1},
		{"bad rows among them", 900, func(i int) int { return 1 + i%9 }, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in []string
			for i := range c.rows {
				if c.bad > 0 && i%c.bad == 0 {
					in = append(in, `{"query": 1, "pos": ["p"]}`)
					continue
				}
				in = append(in, line(i, c.passages(i)))
			}
			// A vocabulary of a few words: only bytes below it are in the rows.
			j, out := newJob(&modeltest.LM{Vocab: 128}), &lines{}
			j.Builder.Tokenizer, j.Builder.Vocab = modeltest.Bytes{NoBOS: true}, 128
			j.Builder.Template, _ = ParseTemplate("{passage}{query}{answer}", false)
			j.SkipBad = true
			sum, err := j.Run(t.Context(), reader(in...), out)
			require.NoError(t, err)
			require.Equal(t, c.rows, sum.Rows+sum.Rejected)
			rest := in[:0:0]
			for _, l := range in {
				if !strings.Contains(l, `"query": 1,`) {
					rest = append(rest, strings.TrimSuffix(l, "}"))
				}
			}
			got := strings.Split(out.String(), "\n")
			require.Len(t, got, len(rest)+1)
			for i := range rest {
				require.True(t, strings.HasPrefix(got[i], rest[i]), "row %d", i)
			}
		})
	}
}

func TestRunOutputFields(t *testing.T) {
	const qa = `{"query": "q", "answers": "a", "pos": ["p"], "neg": ["n", "m"]}`
	const tokens = `{"score_inputs": [[1], [2]], "task": "lrlm", "context_inputs": [3], "pos": ["p"], "query_inputs": [4], "neg": ["n"], "answer_inputs": [5]}`
	for _, c := range []struct {
		name, line string
		change     func(j *testJob)
		want       string // # stands for a number
	}{
		{"teacher", qa, nil, `{"query": "q", "answers": "a", "pos": ["p"], "neg": ["n", "m"], "teacher_scores": [#, #, #]}`},
		{"pos-neg", qa, func(j *testJob) { j.Fields = PosNegFields }, `{"query": "q", "answers": "a", "pos": ["p"], "neg": ["n", "m"], "pos_scores": [#], "neg_scores": [#, #]}`},
		{"both", qa, func(j *testJob) { j.Fields = BothFields }, `{"query": "q", "answers": "a", "pos": ["p"], "neg": ["n", "m"], "teacher_scores": [#, #, #], "pos_scores": [#], "neg_scores": [#, #]}`},
		{"no neg", `{"query": "q", "answers": "a", "pos": ["p"]}`, func(j *testJob) { j.Fields = PosNegFields }, `{"query": "q", "answers": "a", "pos": ["p"], "pos_scores": [#], "neg_scores": []}`},
		{"an old teacher_scores", `{"teacher_scores": [1], "query": "q", "answers": "a", "pos": ["p"], "x": null}`, nil, `{"teacher_scores": [#], "query": "q", "answers": "a", "pos": ["p"], "x": null}`},
		{"history", `{"query": "q", "answers": "a", "history": ["h"]}`, nil, `{"query": "q", "answers": "a", "history": ["h"], "teacher_scores": [#]}`},
		{"token ids", tokens, nil, `{"task": "lrlm", "pos": ["p"], "neg": ["n"], "teacher_scores": [#, #]}`},
		{"token ids kept", tokens, func(j *testJob) { j.KeepInputs = true }, strings.TrimSuffix(tokens, "}") + `, "teacher_scores": [#, #]}`},
		{"token ids, pos-neg", tokens, func(j *testJob) { j.Fields = PosNegFields }, `{"task": "lrlm", "pos": ["p"], "neg": ["n"], "pos_scores": [#], "neg_scores": [#]}`},
		{"--task", qa, func(j *testJob) { j.Task = Chat }, `{"query": "q", "answers": "a", "pos": ["p"], "neg": ["n", "m"], "teacher_scores": [#, #, #]}`},
	} {
		j, out := newJob(toy()), &lines{}
		if c.change != nil {
			c.change(j)
		}
		_, err := j.Run(t.Context(), reader(c.line), out)
		require.NoError(t, err, c.name)
		require.Regexp(t, "^"+strings.ReplaceAll(quoteMeta(c.want), "#", `-\d+\.\d+`)+"\n$", out.String(), c.name)
	}
	j := newJob(toy())
	j.Fields = BothFields
	_, err := j.Run(t.Context(), reader(`{"query": "q", "answers": "a", "history": ["h"]}`), &lines{})
	require.EqualError(t, err, "rows.jsonl:1: history: want pos and neg for pos_scores and neg_scores, got history")
}

func quoteMeta(s string) string {
	return strings.NewReplacer("[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`).Replace(s)
}

const goodLine = `{"query": "q", "answers": "a", "pos": ["p"], "neg": ["n"]}`

func TestRunLimit(t *testing.T) {
	in := []string{goodLine, "", goodLine, goodLine, "broken", goodLine}
	for limit, want := range map[int]int{1: 1, 2: 2, 3: 3} {
		j, out := newJob(toy()), &lines{}
		j.Limit = limit
		sum, err := j.Run(t.Context(), reader(in...), out)
		require.NoError(t, err)
		require.Equal(t, want, sum.Rows)
		count, err := j.count(t.Context(), reader(in...), false)
		require.NoError(t, err)
		require.Equal(t, job.Count{Rows: want, Passages: 2 * want, Units: 2 * want}, count)
	}
	j := newJob(toy())
	j.Limit = 4
	_, err := j.Run(t.Context(), reader(in...), &lines{})
	require.ErrorContains(t, err, "rows.jsonl:5:1: want valid JSON")

	sum, err := newJob(toy()).Run(t.Context(), reader(), &lines{})
	require.NoError(t, err)
	require.Equal(t, &Summary{}, sum)
}
