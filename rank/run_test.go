package rank

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/model"
)

// Whichever way a teacher that knows the truth is asked, each passage has the
// score of its rank: through a grammar, in free text, from 0 and from 1.
func TestRunScoresTheTruth(t *testing.T) {
	in := manyLines(1, 60, 9)
	answer := func(first int) *script {
		return &script{answer: func(prompt string) string { return Format(truth(prompt), first) }, sure: 20}
	}
	for _, first := range []int{0, 1} {
		openly := free(answer(first))
		openly.First = first
		for name, teacher := range map[string]Teacher{"constrained": constrained(t, answer(first), first), "free": openly, "rule": sorter()} {
			j := newJob(t, teacher)
			j.Fitter.First = first
			got, sum := runJob(t, j, in...)
			require.Zero(t, sum.Malformed, name)
			for i, line := range got {
				before, _, _ := strings.Cut(line, `, "pos_scores": [`)
				require.Equal(t, strings.TrimSuffix(in[i], "}"), before, "the line's own bytes, in order")
				p := parseLine(t, line)
				n := len(p.passages())
				for k, text := range p.passages() {
					require.InDelta(t, 1/float64(n+1-worth(text)), p.scores()[k], 1e-7, "%s: %s", name, line)
				}
			}
		}
	}
}

func TestRunOutputFields(t *testing.T) {
	const row = `{"query": "q", "pos": ["caf\u00e9 1", "b 3"], "neg": ["a\/b 4", "\"d\" 2"], "id": 7}`
	relabel := func(j *testJob) { j.Relabel = true }
	for _, c := range []struct {
		name, line string
		change     func(j *testJob)
		want       string
	}{
		{"labels are kept", row, nil, strings.TrimSuffix(row, "}") + `, "pos_scores": [0.25, 0.5], "neg_scores": [1.0, 0.33333334]}`},
		{"written without spaces", `{"query":"q","pos":["p 1"],"neg":["n 2"]}`, nil, `{"query":"q","pos":["p 1"],"neg":["n 2"],"pos_scores":[0.5],"neg_scores":[1.0]}`},
		{"old scores", `{ "neg_scores":null, "query": "q" ,"pos_scores" : [7, 8], "pos": ["p 1"], "neg": ["n 2"]} `, nil,
			`{ "neg_scores":[1.0], "query": "q" ,"pos_scores" : [0.5], "pos": ["p 1"], "neg": ["n 2"]} `},
		{"no neg", `{"query": "q", "pos": ["p 1", "o 2"]}`, nil, `{"query": "q", "pos": ["p 1", "o 2"], "pos_scores": [0.5, 1.0], "neg_scores": []}`},
		{"no pos", `{"query": "q", "pos": null, "neg": ["p 1", "o 2"]}`, nil, `{"query": "q", "pos": null, "neg": ["p 1", "o 2"], "pos_scores": [], "neg_scores": [0.5, 1.0]}`},
		{"one passage", `{"query": "q", "neg": ["n 1"]}`, nil, `{"query": "q", "neg": ["n 1"], "pos_scores": [], "neg_scores": [1.0]}`},
		{"the same text twice", `{"query": "q", "pos": ["x 1"], "neg": ["x 1", "y 2"]}`, func(j *testJob) { j.Order = InputOrder },
			`{"query": "q", "pos": ["x 1"], "neg": ["x 1", "y 2"], "pos_scores": [0.5], "neg_scores": [0.5, 1.0]}`},

		{"relabelled", row, relabel, `{"query": "q", "pos": ["a\/b 4"], "neg": ["b 3", "\"d\" 2", "caf\u00e9 1"], "id": 7, "pos_scores": [1.0], "neg_scores": [0.5, 0.33333334, 0.25]}`},
		{"relabelled, scores of nll", `{"query": "q", "pos": ["p 1"], "teacher_scores": [-1.0, -2.0], "neg": ["n 2"]}`, relabel,
			`{"query": "q", "pos": ["n 2"], "neg": ["p 1"], "pos_scores": [1.0], "neg_scores": [0.5]}`},
		{"relabelled, no neg", `{"query":"q","pos":["p 1", "o 2"]}`, relabel, `{"query":"q","pos":["o 2"],"neg":["p 1"],"pos_scores":[1.0],"neg_scores":[0.5]}`},
		{"relabelled, no pos", `{"neg": ["p 1", "o 2"], "query": "q", "pos": []}`, relabel, `{"neg": ["p 1"], "query": "q", "pos": ["o 2"], "pos_scores": [1.0], "neg_scores": [0.5]}`},
		{"relabelled, one passage", `{"query": "q", "neg": ["n 1"]}`, relabel, `{"query": "q", "neg": [], "pos": ["n 1"], "pos_scores": [1.0], "neg_scores": []}`},
		{"relabelled, old scores", `{"neg_scores": [0, 0, 0], "query": "q", "pos": ["p 1"], "neg": ["n 2"]}`, relabel,
			`{"neg_scores": [0.5], "query": "q", "pos": ["n 2"], "neg": ["p 1"], "pos_scores": [1.0]}`},
		{"relabelled, scored as the reference does", row, func(j *testJob) { j.Relabel, j.Kind = true, Reference },
			`{"query": "q", "pos": ["a\/b 4"], "neg": ["b 3", "\"d\" 2", "caf\u00e9 1"], "id": 7, "pos_scores": [1.0], "neg_scores": [1.0, 0.5, 0.33333334]}`},
		{"linear", row, func(j *testJob) { j.Kind = Linear }, strings.TrimSuffix(row, "}") + `, "pos_scores": [0.25, 0.75], "neg_scores": [1.0, 0.5]}`},
		{"dcg", row, func(j *testJob) { j.Kind = DCG }, strings.TrimSuffix(row, "}") + `, "pos_scores": [0.43067655, 0.63092977], "neg_scores": [1.0, 0.5]}`},
	} {
		j := newJob(t, sorter())
		if c.change != nil {
			c.change(j)
		}
		got, _ := runJob(t, j, c.line)
		require.Equal(t, []string{c.want}, got, c.name)
	}
}

// By hand: of two passages, the model gives the better three times the
// probability of each other word. At "[" it is forced, and asked all the same.
func TestRunScoresByConfidence(t *testing.T) {
	const three = 1.0986123 // ln 3
	model := &script{answer: func(prompt string) string { return Format(truth(prompt), 0) }, sure: three}
	j := newJob(t, constrained(t, model, 0))
	j.Kind = Confidence
	got, sum := runJob(t, j, `{"query": "q", "pos": ["p 1"], "neg": ["n 2"]}`, `{"query": "q", "pos": ["p 1"], "neg": []}`)
	require.InDelta(t, -1.3862944, parseLine(t, got[0]).PosScores[0], 1e-6, "ln 1/4")
	require.InDelta(t, -0.2876821, parseLine(t, got[0]).NegScores[0], 1e-6, "ln 3/4")
	require.Equal(t, []float64{0}, parseLine(t, got[1]).PosScores)
	require.InDelta(t, 0.0133759, sum.Mass, 1e-6, "the mean of 3/259 and 4/259 is the root of their product")
	require.Equal(t, 1, sum.LowMass)
	require.Equal(t, len("[1] > [0]")+1, sum.FullTokens)
}

// All kinds rank alike, every passage has a score, none is above one ranked
// before it, and a passage has the same with its labels kept as relabelled.
func TestRunScoresAgreeWithTheOrder(t *testing.T) {
	in := manyLines(2, 11, 11)
	var order [][]string // of every row, the first kind's
	for _, kind := range []Kind{Reciprocal, Linear, DCG, Confidence, Reference} {
		j := newJob(t, constrained(t, toyLM(), 0))
		j.Kind, j.Permutations, j.Window, j.Step = kind, 2, 6, 3
		plain, _ := runJob(t, j, in...)
		j.Relabel = true
		relabelled, _ := runJob(t, j, in...)
		for i := range in {
			p, r := parseLine(t, plain[i]), parseLine(t, relabelled[i])
			require.Len(t, r.passages(), 1+i)
			require.Len(t, r.Pos, 1)
			for place := 1; place <= i; place++ {
				require.LessOrEqual(t, r.scores()[place], r.scores()[place-1], "%s: %s", kind, relabelled[i])
			}
			for k, text := range p.passages() {
				require.Equal(t, p.scores()[k], r.scores()[slices.Index(r.passages(), text)], "%s: %s", kind, text)
			}
			if len(order) == i {
				order = append(order, r.passages())
			}
			require.Equal(t, order[i], r.passages(), "%s", kind)
		}
	}
}

// A row's line depends on the row: not on how many are decoded side by side, on
// the order of the file, nor on what else is in it.
func TestRunDependsOnTheRowAlone(t *testing.T) {
	in := manyLines(3, 12, 6)
	for name, teacher := range map[string]func() *Local{
		"constrained": func() *Local { return constrained(t, toyLM(), 0) },
		"free":        func() *Local { return free(rambler()) },
	} {
		for _, sampling := range []model.Sampling{{}, {Temperature: 2, TopP: 0.9, RepetitionPenalty: 1.1}} {
			run := func(rows, tokens int, in ...string) []string {
				l := teacher()
				l.Generator.Limits, l.Generator.Sampling, l.MaxNew = model.Limits{Rows: rows, Tokens: tokens}, sampling, 40
				j, out := newJob(t, l), &lines{}
				j.Window, j.Step, j.Permutations, j.EqualScores = 4, 2, 2, true
				_, err := j.Run(t.Context(), reader(in...), out)
				require.NoError(t, err)
				got := all(out)
				slices.Sort(got)
				return got
			}
			want := run(16, 4096, in...)
			require.Len(t, want, len(in))
			about := fmt.Sprint(name, sampling)
			require.Equal(t, want, run(1, 1, in...), about)
			shuffled := slices.Clone(in)
			rand.New(rand.NewPCG(1, 2)).Shuffle(len(in), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
			require.Equal(t, want, run(7, 300, shuffled...), about)
			alone := append(append(run(16, 4096, in[5]), run(3, 4096, in[:5]...)...), run(16, 4096, in[6:]...)...)
			slices.Sort(alone)
			require.Equal(t, want, alone, about)
		}
	}
}

// The sampler's seed and the order shown are two seeds, and both count.
func TestRunSeeds(t *testing.T) {
	in := manyLines(4, 20, 7)
	run := func(order, sampler uint64, temperature float64) []string {
		l := constrained(t, toyLM(), 0)
		l.Seed, l.Generator.Sampling.Temperature = sampler, temperature
		j := newJob(t, l)
		j.Seed = order
		got, _ := runJob(t, j, in...)
		return got
	}
	require.Equal(t, run(1, 1, 1), run(1, 1, 1))
	require.NotEqual(t, run(1, 1, 1), run(1, 2, 1), "another seed samples otherwise")
	require.NotEqual(t, run(1, 1, 0), run(2, 1, 0), "another order is another prompt")
	require.Equal(t, run(1, 1, 0), run(1, 2, 0), "nothing is drawn at temperature 0")
}

// Pages are an affair of the inside: one row more or fewer on either side of
// their ends and bad rows among them change nothing.
func TestRunPages(t *testing.T) {
	for _, c := range []struct{ rows, bad, ranks int }{
		{0, 0, 0}, {1, 0, 1}, {DefaultPage - 1, 0, 1}, {DefaultPage, 0, 1}, {DefaultPage + 1, 0, 2}, {2*DefaultPage + 1, 0, 3},
		{2 * DefaultPage, 7, 2}, {2*DefaultPage + 1, 1, 0},
	} {
		var in, good []string
		for i := range c.rows {
			if c.bad > 0 && i%c.bad == 0 {
				in = append(in, `{"query": 1, "pos": ["p"]}`)
				continue
			}
			in = append(in, fmt.Sprintf(`{"query": "%d", "pos": ["p 1"], "neg": ["n 2"]}`, i))
			good = append(good, strings.TrimSuffix(in[i], "}")+`, "pos_scores": [0.5], "neg_scores": [1.0]}`)
		}
		teacher := sorter()
		j, out := newJob(t, teacher), &lines{}
		j.rejects = true
		sum, err := j.Run(t.Context(), reader(in...), out)
		require.NoError(t, err)
		require.Equal(t, strings.Join(append(good, ""), "\n"), out.String())
		require.Equal(t, c.rows-len(good), sum.Rejected)
		require.Equal(t, c.ranks, teacher.ranks, "%+v: all rows of a page are ranked together", c)
	}
}

const goodLine = `{"query": "q", "pos": ["p 1"], "neg": ["n 2"]}`

func TestRunLimit(t *testing.T) {
	in := []string{goodLine, "", goodLine, goodLine, "broken", goodLine}
	for limit, want := range map[int]int{1: 1, 2: 2, 3: 3} {
		j := newJob(t, sorter())
		j.Limit, j.SkipBad = limit, false
		sum, err := j.Run(t.Context(), reader(in...), &lines{})
		require.NoError(t, err)
		require.Equal(t, want, sum.Rows)
		count, err := j.count(t.Context(), reader(in...))
		require.NoError(t, err)
		require.Equal(t, job.Count{Rows: want, Passages: 2 * want, Units: want}, count)
	}
	j := newJob(t, sorter())
	j.Limit, j.SkipBad = 4, false
	_, err := j.Run(t.Context(), reader(in...), &lines{})
	require.ErrorContains(t, err, "rows.jsonl:5:1: want valid JSON")

	// A bad row counts as one of them.
	j = newJob(t, sorter())
	j.Limit = 4
	j.rejects = true
	sum, err := j.Run(t.Context(), reader(in...), &lines{})
	require.NoError(t, err)
	require.Equal(t, []int{3, 1}, []int{sum.Rows, sum.Rejected})
	require.Len(t, j.reasons, 1)
	count, err := j.count(t.Context(), reader(in...))
	require.NoError(t, err)
	require.Equal(t, job.Count{Rows: 3, Bad: 1, Passages: 6, Units: 3}, count)

	sum, err = newJob(t, sorter()).Run(t.Context(), reader(), &lines{})
	require.NoError(t, err)
	require.Equal(t, &Summary{}, sum)
}

func TestFirst(t *testing.T) {
	j := newJob(t, nil)
	j.Order = InputOrder
	first := func(line string) (*List, error) {
		row, err := dataset.Parse("rows.jsonl", 1, []byte(line))
		require.NoError(t, err)
		ex, _, err := j.Read(row)
		if err != nil {
			return nil, err
		}
		return ex.First(), nil
	}
	list, err := first(goodLine)
	require.NoError(t, err)
	require.Equal(t, "q\n[0] p 1\n[1] n 2\nq", list.Text)
	require.Equal(t, 2, list.N)
	list, err = first(`{"query": "q", "neg": ["alone"]}`)
	require.NoError(t, err)
	require.Nil(t, list)
	_, err = first(`{"query": 1}`)
	require.EqualError(t, err, "rows.jsonl:1: pos: want pos or neg, got neither of them")
	j.Fitter.MaxPrompt = 10
	_, err = first(goodLine)
	require.EqualError(t, err, "rows.jsonl:1: query: want a prompt of at most 10 tokens, got 14 with all passages empty")
}

// A run that is stopped writes no row of the page in hand, nor of any after it.
func TestRunStops(t *testing.T) {
	in := slices.Repeat([]string{goodLine}, DefaultPage)
	in = append(in, slices.Repeat([]string{strings.Replace(goodLine, "p 1", "~ 1", 1)}, 3*DefaultPage)...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lm := toyLM()
	lm.Before = func(b *model.Batch) error {
		if slices.Contains(b.TokenIDs, '~') {
			cancel()
		}
		return nil
	}
	out := &lines{}
	sum, err := newJob(t, constrained(t, lm, 0)).Run(ctx, reader(in...), out)
	require.Equal(t, context.Canceled, err)
	require.Equal(t, DefaultPage, sum.Rows)
	require.Len(t, all(out), DefaultPage)
	forwards := len(lm.Batches)
	require.Contains(t, lm.Batches[forwards-1].TokenIDs, int64('~'), "no forward after it")

	// While it writes, and before it begins.
	ctx, cancel = context.WithCancel(t.Context())
	teacher := sorter()
	out = &lines{Wrote: cancel}
	_, err = newJob(t, teacher).Run(ctx, reader(in...), out)
	require.Equal(t, context.Canceled, err)
	require.Less(t, teacher.ranks, 4, "those that are under way, and no more")
	require.GreaterOrEqual(t, len(all(out)), DefaultPage)
	out = &lines{}
	_, err = newJob(t, teacher).Run(ctx, reader(in...), out)
	require.Equal(t, context.Canceled, err)
	require.Empty(t, out.String())
	_, err = newJob(t, teacher).count(ctx, reader(in...))
	require.Equal(t, context.Canceled, err)
	ctx, cancel = context.WithCancel(t.Context())
	_, err = newJob(t, sorter()).Run(ctx, reader(goodLine, goodLine), &lines{Wrote: cancel})
	require.Equal(t, context.Canceled, err, "even with the last row")
}

func TestRunErrorsEndIt(t *testing.T) {
	full := errors.New("no space left")
	teacher := sorter()
	_, err := newJob(t, teacher).Run(t.Context(), reader(slices.Repeat([]string{goodLine}, 8*DefaultPage)...), &lines{Fail: full})
	require.Equal(t, full, err)
	require.Less(t, teacher.ranks, 8, "the pages that are under way, and no more")

	burnt := errors.New("device on fire")
	lm := toyLM()
	lm.Before = func(*model.Batch) error { return burnt }
	out := &lines{}
	_, err = newJob(t, constrained(t, lm, 0)).Run(t.Context(), reader(goodLine), out)
	require.Equal(t, burnt, err)
	require.Empty(t, out.String())

	_, err = newJob(t, sorter()).Run(t.Context(), dataset.NewReader("rows.jsonl", io.MultiReader(strings.NewReader(goodLine+"\n{"), iotest.ErrReader(burnt))), out)
	require.EqualError(t, err, "rows.jsonl:2: device on fire")
}
