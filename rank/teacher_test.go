package rank

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// rankAll has a teacher rank lists.
func rankAll(t *testing.T, teacher Teacher, lists []List) ([]Reading, error) {
	t.Helper()
	out := make([]Reading, len(lists))
	err := teacher.Rank(t.Context(), lists, func(i int, r Reading) error {
		out[i] = r
		return nil
	})
	return out, err
}

// rankOne has a teacher rank one list.
func rankOne(t *testing.T, teacher Teacher, l List) Reading {
	t.Helper()
	got, err := rankAll(t, teacher, []List{l})
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0]
}

// None of a thousand rankings that a model with no idea of the task writes
// through the grammar is malformed.
func TestConstrainedRankingsAreWhole(t *testing.T) {
	firsts := map[int]int{} // how often each passage of lists of 20 is the first
	for _, first := range []int{0, 1} {
		l := constrained(t, toyLM(), first)
		l.Generator.Limits = model.Limits{Rows: 8, Tokens: 4096}
		var lists []List
		for i := range 500 {
			n := 2 + i%19
			lists = append(lists, list(fmt.Sprintf("%d %d\n", first, i), n))
		}
		readings, err := rankAll(t, l, lists)
		require.NoError(t, err)
		for i, r := range readings {
			n := lists[i].N
			require.Empty(t, r.Failure)
			require.Zero(t, r.Repairs)
			require.Empty(t, r.Text)
			require.Equal(t, n, r.Found)
			require.ElementsMatch(t, InputOrder.Order(lettered(n), 0, 0), r.Order)
			text := Format(r.Order, first)
			require.Equal(t, read(r.Order, n, Repairs{}), Parse(text, n, first))
			require.Equal(t, len(text)+1, r.Full)
			require.Len(t, r.Confidence, n)
			for _, p := range r.Confidence {
				require.True(t, p > 0 && p <= 1, "%v", r.Confidence)
			}
			require.True(t, r.Mass > 0 && r.Mass < 0.2, "a model of 257 words that knows no ranking: %v", r.Mass)
			if n == 20 {
				firsts[r.Order[0]]++
			}
		}
	}
	require.Greater(t, len(firsts), 10, "the model chooses, not the grammar")
}

// What free decoding makes of texts, where it stops, and what is left unread.
func TestFreeDecoding(t *testing.T) {
	whole := func(order ...int) Ranking { return read(order, len(order), Repairs{}) }
	for _, c := range []struct {
		name, answer string
		change       func(l *Local)
		text         string
		want         Ranking
		forwards     int
	}{
		{"to its own end", "[2] > [0]", nil, "[2] > [0]", read([]int{2, 0, 1}, 2, Repairs{Missing: 1}), 10},
		{"beyond a whole ranking", "[2] > [0] > [1] and so on", nil, "[2] > [0] > [1] and so on", whole(2, 0, 1), 26},
		{"to the last ranking", "[0] > [1] > [2]. No: [2] > [0] > [1].", nil, "[0] > [1] > [2]. No: [2] > [0] > [1].", read([]int{2, 0, 1}, 3, Repairs{Revised: 1}), 38},
		{"not in thinking", "<think>[0] > [1] > [2]</think>[2] > [0] > [1]!", nil, "<think>[0] > [1] > [2]</think>[2] > [0] > [1]!", whole(2, 0, 1), 47},
		{"not in thinking that the prompt opens", "[0] > [1] > [2]</think>[2] > [0] > [1]!", func(l *Local) { l.Opening = "<think>" },
			"[0] > [1] > [2]</think>[2] > [0] > [1]!", whole(2, 0, 1), 40},
		{"not in thinking in other marks", "[0] > [1] > [2][/THINK][2] > [0] > [1]", func(l *Local) { l.Opening = "[THINK]" },
			"[0] > [1] > [2][/THINK][2] > [0] > [1]", whole(2, 0, 1), 39},
		{"thinking without an end", "[0] > [1] > [2]", func(l *Local) { l.Opening = "<think>" }, "[0] > [1] > [2]",
			read([]int{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1}), 16},
		{"at a stop string", "[2] > [0]\n\n[1] is last", func(l *Local) { l.Stop = []string{"last", "\n\n"} }, "[2] > [0]", read([]int{2, 0, 1}, 2, Repairs{Missing: 1}), 11},
		{"at a stop string inside a ranking", "[2] > [0] > [1]", func(l *Local) { l.Stop = []string{"0] >"} }, "[2] > [", read([]int{2, 0, 1}, 1, Repairs{Missing: 2}), 11},
		{"at a stop string in its last token", "[2] > [0] > [1]\nand", func(l *Local) { l.MaxNew, l.Stop = 16, []string{"\n"} }, "[2] > [0] > [1]", whole(2, 0, 1), 16},
		{"from another first", "[3] > [1] > [2].", func(l *Local) { l.First = 1 }, "[3] > [1] > [2].", whole(2, 0, 1), 17},
		{"from the wrong first", "[3] > [1] > [2]", nil, "[3] > [1] > [2]", read([]int{2, 0, 1}, 3, Repairs{OtherBase: 1}), 16},
		{"in another form", "[2], [0], [1].", nil, "[2], [0], [1].", read([]int{2, 0, 1}, 3, Repairs{WrongForm: 2}), 15},
		{"nothing", "", nil, "", read([]int{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1}), 1},
		{"cut off right behind a ranking", "[2] > [0] > [1] and so on", func(l *Local) { l.MaxNew = 15 }, "[2] > [0] > [1]", whole(2, 0, 1), 15},
	} {
		model := says(c.answer)
		l := free(model)
		if c.change != nil {
			c.change(l)
		}
		got := rankOne(t, l, list("p", 3))
		require.Equal(t, Reading{Ranking: c.want, Mass: 1, Text: c.text, Full: got.Full}, got, c.name)
		require.Equal(t, c.forwards, model.forwards, c.name)
	}
}

// An answer that was cut off may have gone on: only a whole ranking at its end
// stands.
func TestFreeDecodingCutOff(t *testing.T) {
	for answer, most := range map[string]int{
		"[2] > [0] > [1]":                  14,
		"[2] > [0] > [1] and so on":        20,
		"[2] > [0] > [1]\n[0] > [1] > [2]": 22,
		"<think>[2] > [0] > [1]</think>":   25,
		"[2] > [0] > [1]<think>hm":         23,
		"Let me see":                       5,
	} {
		l := free(says(answer))
		l.MaxNew = most
		got := rankOne(t, l, list("p", 3))
		require.Equal(t, "want a whole ranking, got "+abridged(answer[:most])+", cut off: --max-tokens leaves more room", got.Failure)
		require.Equal(t, Reading{Mass: 1, Text: answer[:most], Full: most, Truncated: true, Failure: got.Failure}, got)
	}
}

// Rows whose answers were cut off are rejected and counted.
func TestTruncatedRowsAreRejected(t *testing.T) {
	l := free(&script{sure: 20, answer: func(prompt string) string {
		return map[string]string{"a": "[1] > [0] > [2]", "b": "Let me look at the passages first"}[prompt[:1]]
	}})
	l.MaxNew = 20
	j, out := newJob(t, l), &lines{}
	j.rejects = true
	row := func(query string) string { return strings.Replace(numbered(1, 2, 3), `"q"`, `"`+query+`"`, 1) }
	sum, err := j.Run(t.Context(), reader(row("a"), row("b")), out)
	require.NoError(t, err)
	require.Equal(t, []string{`2: want a whole ranking, got "Let me look at the p", cut off: --max-tokens leaves more room`}, j.reasons)
	require.Equal(t, []int{1, 1, 1, 1, 0, 0}, []int{sum.Rows, sum.Rejected, sum.NoRanking, sum.Truncated, sum.Malformed, sum.Failed})
}

// The repairs of many texts add up in the summary, and each text that needed one
// is malformed once.
func TestFreeRepairsAreCounted(t *testing.T) {
	answers := map[string]string{
		"a": "[1] > [0] > [2]",
		"b": "[1] > [1] > [1] > [7]",
		"c": "[1]",
		"d": "[2, 1, 0]",
		"e": "Sorry.",
	}
	l := free(&script{sure: 20, answer: func(prompt string) string { return answers[prompt[:1]] }})
	j := newJob(t, l)
	j.EqualScores = true
	var in []string
	for query := range answers {
		in = append(in, strings.Replace(numbered(1, 2, 3), `"q"`, `"`+query+`"`, 1))
	}
	_, sum := runJob(t, j, in...)
	require.Equal(t, Repairs{Missing: 2 + 2 + 3, Duplicate: 2, OutOfRange: 1, WrongForm: 3, Refusal: 1}, sum.Repairs)
	require.Equal(t, []int{5, 4, 1, 1}, []int{sum.Lists, sum.Malformed, sum.EqualScores, sum.NoRanking})
	require.Equal(t, 15+21+3+9+6, sum.FullTokens, "what was written")
	require.Equal(t, 1., sum.Mass)
}

// The text's end is not part of a ranking, and stops no grammar.
func TestStopTokens(t *testing.T) {
	model := says("[2]")
	got := rankOne(t, free(model), list("p", 3))
	require.Equal(t, "[2]", got.Text)
	got = rankOne(t, constrained(t, model, 0), list("p", 3))
	require.Equal(t, []int{2, 0, 1}, got.Order, "the lowest of those the model likes alike")
}

// Each list gets what it alone would get, wherever it stands, drawn or not.
func TestLocalRanksListsApart(t *testing.T) {
	for _, l := range []*Local{free(rambler()), constrained(t, toyLM(), 0)} {
		l.Generator.Sampling, l.Seed, l.MaxNew = model.Sampling{Temperature: 20}, 7, 40
		lists := []List{list("one", 3), list("two, longer", 5), list("three", 2), list("one", 3)}
		together, err := rankAll(t, l, lists)
		require.NoError(t, err)
		for i, list := range lists {
			require.Equal(t, together[i], rankOne(t, l, list))
		}
		require.Equal(t, together[0], together[3])
		l.Seed = 8
		other, err := rankAll(t, l, lists)
		require.NoError(t, err)
		require.NotEqual(t, together, other)
	}
}

// Texts with the same words draw apart: a seed of their own, not one for all.
func TestLocalSeedsDiffer(t *testing.T) {
	l := constrained(t, says(""), 0) // likes all passages alike
	l.Generator.Sampling.Temperature = 1
	var lists []List
	for i := range 30 {
		lists = append(lists, list(fmt.Sprint(i), 9))
	}
	readings, err := rankAll(t, l, lists)
	require.NoError(t, err)
	firsts := map[int]bool{}
	for _, r := range readings {
		firsts[r.Order[0]] = true
	}
	require.Greater(t, len(firsts), 5)
}

// A list whose logits are not finite has no ranking, and the others have theirs.
func TestLocalNotFinite(t *testing.T) {
	lists := []List{list("one", 3), list("two ~", 3), list("three", 3)}
	for name, of := range map[string]func(f model.Forwarder) *Local{
		"free":        free,
		"constrained": func(f model.Forwarder) *Local { return constrained(t, f, 0) },
	} {
		got, err := rankAll(t, of(nanOn("~")), lists)
		require.NoError(t, err)
		require.Equal(t, notFinite, got[1].Failure)
		require.Equal(t, Reading{Failure: got[1].Failure, Mass: 1}, got[1], name)
		want, err := rankAll(t, of(toyLM()), slices.Delete(slices.Clone(lists), 1, 2))
		require.NoError(t, err)
		require.Equal(t, want, []Reading{got[0], got[2]}, name)
	}
}

// What cannot be decoded, such as a NUL for some tokenizers, is no ranking. The
// other lists have theirs.
func TestLocalUndecodable(t *testing.T) {
	for _, stops := range [][]string{nil, {"\n"}} {
		l := free(&script{sure: 20, answer: func(prompt string) string {
			return map[string]string{"a": "[1] > [0]", "b": "[1] \x00 > [0]"}[prompt[:1]]
		}})
		l.Stop = stops
		decode := l.Decode
		l.Decode = func(ids []int32) (string, error) {
			text, err := decode(ids)
			if strings.Contains(text, "\x00") {
				return "", errors.New("decode: a NUL")
			}
			return text, err
		}
		got, err := rankAll(t, l, []List{list("a", 2), list("b", 2)})
		require.NoError(t, err)
		require.Equal(t, []int{1, 0}, got[0].Order)
		require.Equal(t, "want a ranking, got tokens that are no text: decode: a NUL", got[1].Failure)
		require.Empty(t, got[1].Order)
	}
}

// A NUL that can be decoded makes no ranking either.
func TestLocalNUL(t *testing.T) {
	got := rankOne(t, free(says("[1] > [0]\x00")), list("p", 2))
	require.Empty(t, got.Failure)
	require.Equal(t, Repairs{Missing: 2, Refusal: 1}, got.Repairs)
}

// A grammar asks for choices alone: a list of three takes two forwards, and one
// more token than those is never read.
func TestConstrainedForwards(t *testing.T) {
	model := says("[2] > [0]")
	rankOne(t, constrained(t, model, 0), list("p", 3))
	require.Equal(t, 3, model.forwards, "at the bracket, and at two choices")
	model = says("[2] > [0]")
	l := constrained(t, model, 0)
	_, sum := runJob(t, newJob(t, l), numbered(1, 2), numbered(1, 2), numbered(1, 2))
	require.Equal(t, 2, model.forwards, "side by side")
	require.Equal(t, 3*(len("[1] > [0]")+1), sum.FullTokens)
}
