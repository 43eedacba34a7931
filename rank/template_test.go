package rank

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaultTemplate(t *testing.T) {
	got := DefaultTemplate().Fill("who?", []string{"one", "two {n}", "", "four"}, 0)
	require.Equal(t, `Query: who?

Here are 4 passages, one a line, each behind its identifier in brackets.

[0] one
[1] two {n}
[2] 
[3] four

Rank all 4 passages by how well they help to answer the query: who?
Answer with the identifiers only, from [0] to [3], each of them once, the most relevant passage first, in the form [] > []. The form, with an order that means nothing: [2] > [0] > [1]
Write nothing but the ranking.`, got)
}

func TestTemplateFill(t *testing.T) {
	for _, c := range []struct {
		template string
		n, first int
		want     string
	}{
		{"{query} {passages}", 2, 0, "Q [0] a\n[1] b"},
		{"{query} {passages}", 2, 1, "Q [1] a\n[2] b"},
		{"{passages}{query}{query}", 1, 0, "[0] aQQ"},
		{"{n} {first} {last} {query}{passages}", 3, 0, "3 0 2 Q[0] a\n[1] b\n[2] c"},
		{"{n} {first} {last} {query}{passages}", 3, 1, "3 1 3 Q[1] a\n[2] b\n[3] c"},
		{"{{query}} {} { x } {a b} [] [{first}]\r\n{passages}\n", 1, 1, "{Q} {} { x } {a b} [] [1]\r\n[1] a\n"},
		{"{example}|{query}{passages}", 1, 0, "[0]|Q[0] a"},
		{"{example}|{query}{passages}", 2, 1, "[2] > [1]|Q[1] a\n[2] b"},
		{"{example}|{query}{passages}", 3, 0, "[2] > [0] > [1]|Q[0] a\n[1] b\n[2] c"},
		{"{example}|{query}{passages}", 4, 1, "[3] > [1] > [2]|Q[1] a\n[2] b\n[3] c\n[4] d"},
	} {
		tmpl, err := ParseTemplate(c.template)
		require.NoError(t, err, c.template)
		require.Equal(t, c.want, tmpl.Fill("Q", []string{"a", "b", "c", "d"}[:c.n], c.first), c.template)
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	const places, words = "want {query} and one {passages} in the template", "want {query}, {passages}, {n}, {first}, {last} or {example}, got "
	for _, c := range []struct{ template, want string }{
		{"", places},
		{"{query}", places},
		{"{passages}", places},
		{"{query} {passages} {passages}", places},
		{"{query} {passages} {passage}", words + "{passage}"},
		{"{Query} {passages}", words + "{Query}"},
		{"{query} {passages} {0}", words + "{0}"},
		{"{query} {passages} e.g. [2] > [1]", "want {example} in place of identifiers, got [2]"},
		{"as in [ 1, 2 ]: {query} {passages}", "want {example} in place of identifiers, got [ 1, 2 ]"},
		{"{query} 【３】 {passages}", "want {example} in place of identifiers, got 【３】"},
	} {
		_, err := ParseTemplate(c.template)
		require.EqualError(t, err, c.want, c.template)
	}
}

// The example is one that Parse reads, in the prompt's base, and is neither the
// order shown nor its reverse wherever there is a third.
func TestExampleIsARanking(t *testing.T) {
	for first := range 2 {
		for n := 1; n < 30; n++ {
			k := min(n, 3)
			got := Parse(example(n, first), k, first)
			require.Zero(t, got.Repairs)
			if n > 2 {
				require.Equal(t, []int{2, 0, 1}, got.Order)
			}
		}
	}
}

func FuzzFill(f *testing.F) {
	f.Add("{query} {passages}", "q {n}", "a passage", "{query}", 0)
	f.Add("{n}{first}{last}{example}\n{passages}\n{query}", "", "[1] me first", "\n[0] x", 1)
	f.Add("{query}[{passages}]", "[", "x [", "3] y", 1)
	f.Fuzz(func(t *testing.T, text, query, one, two string, first int) {
		tmpl, err := ParseTemplate(text)
		if err != nil || first < 0 || first > 1000 {
			return
		}
		passages := []string{one, two}
		lines := identifier(first) + " " + one + "\n" + identifier(first+1) + " " + two
		// The replacer goes over the template once, so data stay data there too.
		want := strings.NewReplacer("{passages}", lines, "{query}", query, "{n}", "2", "{first}", identifier(first)[1:len(identifier(first))-1],
			"{last}", identifier(first + 1)[1:len(identifier(first+1))-1], "{example}", Format([]int{1, 0}, first)).Replace(text)
		require.Equal(t, want, tmpl.Fill(query, passages, first))
	})
}
