package rank

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/openai"
)

// outcomes adds lists, of which f failed, and returns how many it took to end the
// run; 0 where it did not.
func outcomes(most int, failed func(i int) bool, lists int) (at int, err error) {
	f := &Failures{Most: most}
	for i := range lists {
		r := ranked([]int{0, 1})
		if failed(i) {
			r = Reading{Failure: "gone"}
			if i%2 == 1 {
				r = Reading{Ranking: Ranking{Repairs: Repairs{Refusal: 1}}, Text: "no"}
			}
		}
		if err := f.add(r); err != nil {
			return i + 1, err
		}
	}
	return 0, nil
}

func TestFailuresEndTheRun(t *testing.T) {
	for _, c := range []struct {
		name   string
		most   int
		failed func(i int) bool
		at     int
		says   string
	}{
		{"all", 50, func(int) bool { return true }, 50, `none for 50 lists in a row, for the last of them: want a ranking, got "no"`},
		{"all, one allowed", 1, func(int) bool { return true }, 1, "none for 1 lists in a row, for the last of them: gone"},
		{"later", 50, func(i int) bool { return i >= 1000 }, 1050, "none for 50 lists in a row"},
		{"49 in a row, again and again", 50, func(i int) bool { return i%50 != 0 }, 103, "none for 100 of the first 103 lists, for the last of them: gone"},
		{"half", 50, func(i int) bool { return i%2 == 1 }, 200, "none for 100 of the first 200 lists"},
		{"less than half", 50, func(i int) bool { return i%2 == 1 && i != 7 }, 0, ""},
		{"half, but not at first", 50, func(i int) bool { return i > 100 && i%2 == 1 }, 0, ""},
		{"none", 50, func(int) bool { return false }, 0, ""},
		{"any number", 0, func(int) bool { return true }, 0, ""},
	} {
		at, err := outcomes(c.most, c.failed, 5000)
		require.Equal(t, c.at, at, c.name)
		if c.at > 0 {
			require.ErrorIs(t, err, ErrNoRankings)
			require.ErrorContains(t, err, c.says, c.name)
		}
	}
	require.NoError(t, (*Failures)(nil).add(Reading{Failure: "gone"}))
}

// An endpoint that fails is left alone in the middle of a page, and of its answers
// one that repeats the key is told without it.
func TestRemoteFailuresEndTheRun(t *testing.T) {
	var asked atomic.Int64
	teacher := remote(t, func(w http.ResponseWriter, _ string) {
		asked.Add(1)
		reply(w, "I cannot read [sk-01234567] with sk-0123456789.", "stop")
	})
	key, err := openai.ParseKey("sk-0123456789")
	require.NoError(t, err)
	teacher.Client = withKey(t, teacher, key)
	teacher.Failures = &Failures{Most: 5}
	j, out := newJob(t, teacher), &lines{}
	j.rejects = true
	_, err = j.Run(t.Context(), reader(manyLines(1, 40, 3)[20:]...), out)
	require.ErrorIs(t, err, ErrNoRankings)
	require.ErrorContains(t, err, `want a ranking, got "I cannot read [***] with ***."`)
	require.EqualValues(t, 5, asked.Load())
	require.Empty(t, out.String())
}

// A key is told in no reason, whoever makes that of what.
func TestRemoteHidesTheKeyInEveryReason(t *testing.T) {
	for _, finish := range []string{"stop", "length", "sk-0123456789"} {
		for _, text := range []string{"sk-0123456789", "[1] > sk-0123456789 and no more", ""} {
			teacher := remote(t, func(w http.ResponseWriter, _ string) { reply(w, text, finish) })
			key, err := openai.ParseKey("sk-0123456789")
			require.NoError(t, err)
			teacher.Client = withKey(t, teacher, key)
			got := rankOne(t, teacher, list("p", 3))
			require.NotContains(t, fmt.Sprintf("%v %+v %s", got, got, got.failure()), "01234567")
		}
	}
}

// withKey is the client of a teacher, but with a key.
func withKey(t *testing.T, r *Remote, key openai.Key) *openai.Client {
	t.Helper()
	client, err := openai.New(openai.Options{BaseURL: "http://" + r.Client.Host(), Model: "m", Key: key, Deadline: time.Minute, Parallel: 1, MaxTokens: 100})
	require.NoError(t, err)
	return client
}

// A model here that rambles is looked at before a whole page is written.
func TestLocalFailuresEndTheRun(t *testing.T) {
	written := 0
	l := free(&script{answer: func(string) string { written++; return "well" }, sure: 20})
	l.Failures = &Failures{Most: 3}
	j, out := newJob(t, l), &lines{}
	j.rejects = true
	_, err := j.Run(t.Context(), reader(manyLines(1, 60, 3)[20:]...), out)
	require.ErrorContains(t, err, `none for 3 lists in a row, for the last of them: want a ranking, got "well"`)
	require.LessOrEqual(t, written, 3*len("well."))
	require.Empty(t, out.String())
}

// Trials change nothing but when a failure shows.
func TestTrialsChangeNoRanking(t *testing.T) {
	in := manyLines(5, 60, 6)
	run := func(f *Failures) []string {
		l := free(rambler())
		l.Failures = f
		j := newJob(t, l)
		j.EqualScores = true
		got, _ := runJob(t, j, in...)
		return got
	}
	require.Equal(t, run(nil), run(&Failures{Most: 10}))
}

// A passage that stands in the row more than once is shown once, and all its places
// have its score; which rows have such is counted.
func TestTheSamePassageIsShownOnce(t *testing.T) {
	row := func(pos, neg []string) string {
		line, err := json.Marshal(map[string]any{"query": "q", "pos": pos, "neg": neg})
		require.NoError(t, err)
		return string(line)
	}
	in := []string{
		row([]string{"a 1", "b 3"}, []string{"b 3", "c 2", "a 1"}),
		row([]string{"[1] x  4"}, []string{"(1) x 4", "y 5"}),
		row(nil, []string{"same 1", "same 1"}),
		row([]string{strings.Repeat("z", 600) + " 1"}, []string{strings.Repeat("z", 600) + " 2", "w 7"}), // the same as far as they are shown
		row([]string{"a 1"}, []string{"b 2"}),
	}
	for name, teacher := range map[string]Teacher{"rule": sorter(), "constrained": constrained(t, &script{answer: func(p string) string { return Format(truth(p), 0) }, sure: 20}, 0)} {
		j := newJob(t, teacher)
		j.Permutations = 2
		got, sum := runJob(t, j, in...)
		want := [][]float64{{1. / 3, 1, 1, 0.5, 1. / 3}, {0.5, 0.5, 1}, {1, 1}, {0.5, 0.5, 1}, {0.5, 1}}
		for i, line := range got {
			require.InDeltaSlice(t, want[i], parseLine(t, line).scores(), 1e-6, "%s: %s", name, line)
		}
		require.Equal(t, 4, sum.Repeated)
		require.Equal(t, 15, sum.Passages)
		require.Equal(t, []int{4, 0}, []int{sum.Labelled, sum.PosFirst}, "a tie is no win")
		require.Equal(t, 2, sum.CutPassages)
		require.Equal(t, 2*4, sum.Shown, "of the third row nothing is asked")

		j.Relabel = true
		got, _ = runJob(t, j, in[0])
		require.Equal(t, []string{"b 3", "b 3"}, parseLine(t, got[0]).Pos)
		require.Equal(t, []string{"c 2", "a 1", "a 1"}, parseLine(t, got[0]).Neg)
	}
}

// With the probabilities of a model each place has the passage's whole share.
func TestTheSamePassageHasOneConfidence(t *testing.T) {
	j := newJob(t, constrained(t, toyLM(), 0))
	j.Kind, j.Order = Confidence, InputOrder
	twice, _ := runJob(t, j, `{"query": "q", "pos": ["a", "b"], "neg": ["b", "c", "a"]}`)
	once, _ := runJob(t, j, `{"query": "q", "pos": ["a", "b"], "neg": ["c"]}`)
	p, q := parseLine(t, twice[0]).scores(), parseLine(t, once[0]).scores()
	require.Equal(t, []float64{q[0], q[1], q[1], q[2], q[0]}, p)
}

// Scores of ortscore nll stay, and are counted, or go.
func TestStaleScores(t *testing.T) {
	in := []string{`{"query": "q", "pos": ["a 1"], "neg": ["b 2"], "teacher_scores": [-1.0, -2.0]}`, goodLine, `{"query": "q", "pos": ["a 1"], "teacher_scores": null}`}
	for _, c := range []struct {
		relabel, drop bool
		stale, left   int
	}{{false, false, 1, 2}, {false, true, 0, 0}, {true, false, 0, 0}} {
		j := newJob(t, sorter())
		j.Relabel, j.DropScores = c.relabel, c.drop
		got, sum := runJob(t, j, in...)
		require.Equal(t, c.stale, sum.Stale, "%+v", c)
		require.Equal(t, c.left, strings.Count(strings.Join(got, ""), "teacher_scores"), "%+v", c)
		count, err := j.count(t.Context(), reader(in...))
		require.NoError(t, err)
		require.Equal(t, c.stale, count.Stale, fmt.Sprint(c))
	}
}
