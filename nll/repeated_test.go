package nll

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A passage that stands in a row more than once has one score, that which it has
// alone, and which rows have such is counted.
func TestTheSamePassageHasOneScore(t *testing.T) {
	in := []string{
		`{"query": "q", "answers": ["a"], "pos": ["one", "two"], "neg": ["two", "three", "one"]}`,
		`{"query": "q", "answers": ["a"], "pos": [" one"], "neg": ["one\n", "two"]}`,                                                 // stripped
		`{"query": "q", "answers": ["a"], "pos": ["` + strings.Repeat("z", 600) + `"], "neg": ["` + strings.Repeat("z", 601) + `"]}`, // cut
		`{"query": "q", "answers": ["a"], "history": ["x", "y", "x"]}`,
		`{"query": "q", "answers": ["a"], "pos": ["one"], "neg": ["two"]}`,
		`{"task": "icl", "query": "q", "answers": ["a"], "pos": [" one"], "neg": ["one"]}`, // not stripped
	}
	for _, choice := range []AnswerChoice{First, Mean} {
		j, out := newJob(toy()), &lines{}
		j.Answers = choice
		j.Builder.KeyMaxLength = 512
		sum, err := j.Run(t.Context(), reader(in...), out)
		require.NoError(t, err)
		require.Equal(t, 4, sum.Repeated)
		got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		alone := numbers(t, got[4], "teacher_scores")
		s := numbers(t, got[0], "teacher_scores")
		require.Equal(t, []float64{alone[0], alone[1], alone[1], s[3], alone[0]}, s)
		require.Equal(t, []float64{alone[0], alone[0], alone[1]}, numbers(t, got[1], "teacher_scores"))
		s = numbers(t, got[3], "teacher_scores")
		require.Equal(t, s[0], s[2])
	}
}

func TestStaleScores(t *testing.T) {
	in := []string{
		`{"query": "q", "answers": ["a"], "pos": ["x"], "neg": ["y"], "pos_scores": [1.0], "neg_scores": [2.0]}`,
		`{"query": "q", "answers": ["a"], "pos": ["x"], "neg": ["y"], "neg_scores": null, "teacher_scores": [1, 2]}`,
		`{"query": "q", "answers": ["a"], "pos": ["x"], "neg": ["y"]}`,
	}
	for _, c := range []struct {
		fields FieldChoice
		drop   bool
		stale  int
		kept   string
	}{
		{TeacherFields, false, 1, `"pos_scores": [1.0], "neg_scores": [2.0], "teacher_scores": [-`},
		{TeacherFields, true, 0, `"neg": ["y"], "teacher_scores": [-`},
		{PosNegFields, false, 1, `"teacher_scores": [1, 2], "pos_scores": [-`},
		{PosNegFields, true, 0, `"neg": ["y"], "neg_scores": [-`},
		{BothFields, false, 0, `"neg": ["y"], "pos_scores": [-`},
		{BothFields, true, 0, `"neg": ["y"], "pos_scores": [-`},
	} {
		j, out := newJob(toy()), &lines{}
		j.Fields, j.DropScores = c.fields, c.drop
		sum, err := j.Run(t.Context(), reader(in...), out)
		require.NoError(t, err)
		require.Equal(t, c.stale, sum.Stale, "%+v", c)
		require.Contains(t, out.String(), c.kept, "%+v", c)
		count, err := j.count(t.Context(), reader(in...), false)
		require.NoError(t, err)
		require.Equal(t, c.stale, count.Stale, "%+v", c)
	}
}
