package rank

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// read is a ranking of three passages from 0, as a test writes it down.
func read(order []int, found int, repairs Repairs) Ranking {
	return Ranking{Order: order, Found: found, Repairs: repairs}
}

func TestParse(t *testing.T) {
	type list = []int
	for _, c := range []struct {
		name, text string
		want       Ranking
	}{
		{"as asked", "[2] > [0] > [1]", read(list{2, 0, 1}, 3, Repairs{})},
		{"spaces", " [2]>[0] >\n[1] \n", read(list{2, 0, 1}, 3, Repairs{})},
		{"among prose", "The 3 passages rank: [2] > [0] > [1]. Passage [0] is from 1907 [2].", read(list{2, 0, 1}, 3, Repairs{})},
		{"from 1", "[2] > [1] > [3]", read(list{1, 0, 2}, 3, Repairs{OtherBase: 1})},
		{"from 1, one is missing", "[3] > [1]", read(list{2, 0, 1}, 2, Repairs{Missing: 1, OtherBase: 1})},
		{"from 1 and from 0", "[1] > [3] > [0]", read(list{1, 0, 2}, 2, Repairs{Missing: 1, OutOfRange: 1})},
		{"from 0, as other identifiers say", "[3] > [1]. As to [0]:", read(list{1, 0, 2}, 1, Repairs{Missing: 2, OutOfRange: 1})},
		{"neither from 0 nor from 1", "[2] > [1]", read(list{2, 1, 0}, 2, Repairs{Missing: 1})},
		{"one is missing", "[1] > [0]", read(list{1, 0, 2}, 2, Repairs{Missing: 1})},
		{"two are missing", "[1]", read(list{1, 0, 2}, 1, Repairs{Missing: 2})},
		{"cut off", "[1] > [0] > [2", read(list{1, 0, 2}, 2, Repairs{Missing: 1})},
		{"twice", "[2] > [2] > [1]", read(list{2, 1, 0}, 2, Repairs{Missing: 1, Duplicate: 1})},
		{"over and over", "[2] > [1] > [0] > [2] > [1]", read(list{2, 1, 0}, 3, Repairs{Duplicate: 2})},
		{"no number at all", "I cannot rank these.", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"nothing", "", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"the form without numbers", "[] > [] > []", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"none in range", "[7] > [9]", read(list{0, 1, 2}, 0, Repairs{Missing: 3, OutOfRange: 2, Refusal: 1})},
		{"too large for an int", "[2] > [99999999999999999999] > [0]", read(list{2, 0, 1}, 2, Repairs{Missing: 1, OutOfRange: 1})},

		{"thinking", "<think>[0] > [1] > [2]? No.</think>\n[2] > [1] > [0]", read(list{2, 1, 0}, 3, Repairs{})},
		{"thinking without an end", "<think>[0] > [1] > [2]", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"thinking without a beginning", "[0] > [1] > [2]?</think>[2] > [1] > [0]", read(list{2, 1, 0}, 3, Repairs{})},
		{"thinking about tags", "<think>a </think> tag [0]</think>[2] > [1] > [0]", read(list{2, 1, 0}, 3, Repairs{})},
		{"thinking that ends twice", "[0] > [1] > [2]<think>a</think>b</think>[2] > [1] > [0]", read(list{2, 1, 0}, 3, Repairs{})},
		{"thinking after the answer", "[2] > [1]<thinking> > [0]", read(list{2, 1, 0}, 2, Repairs{Missing: 1})},
		{"other tags", "<Reasoning>[0]</REASONING><thinking>[1]</thinking>[2] > [1] > [0]", read(list{2, 1, 0}, 3, Repairs{})},
		{"a tag that is none", "<thinks>[0]</thinks>", read(list{0, 1, 2}, 1, Repairs{Missing: 2})},

		{"prose before the ranking", "Between [0] and [1] I prefer [1].\n[2] > [1] > [0]", read(list{2, 1, 0}, 3, Repairs{})},
		{"the last whole ranking", "[0] > [1]\n[2] > [1] > [0]\n[0] > [1] > [2]", read(list{0, 1, 2}, 3, Repairs{Revised: 1})},
		{"the same ranking twice", "[2] > [1] > [0]\nor: 2 > 1 > 0", read(list{2, 1, 0}, 3, Repairs{WrongForm: 3})},
		{"the longest", "[1] is poor, [2] > [0].", read(list{2, 0, 1}, 2, Repairs{Missing: 1})},
		{"two as long", "[0] > [1], [2] > [1]", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"an identifier in prose", "2, 0, 1 or rather [1]", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},

		{"without arrows", "[2] [0] [1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"commas", "[2], [0], [1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"a numbered list", "1. [2]\n2. [0]\n3. [1]\n", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"one bracket", "[2, 0, 1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 3})},
		{"one bracket with arrows", "of [0, 1, 2]: [2 > 0 > 1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 3})},
		{"ties", "[2] = [0] > [1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 1})},
		{"nothing but ties", "[2] = [0] = [1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"ties in a bracket", "[2, 0] > [1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"labels", "Passage [2] > Passage [0] > Passage [1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"labels in brackets", "[Passage 2] > [doc 0] > [#1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 3})},
		{"markdown", "**[2]** > **[0]** > `[1]`", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"other arrows", "[2] → [0] -> [1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"escaped", "[2] &gt; [0] >= [1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"spaces and zeros inside", "[ 2 ] > [00] > [1]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},
		{"full width", "【２】＞［０］＞[１]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 3})},
		{"two brackets", "[[2]] > [[0]] > [[1]]", read(list{2, 0, 1}, 3, Repairs{WrongForm: 2})},

		{"bare, with arrows", "2 > 0 > 1", read(list{2, 0, 1}, 3, Repairs{WrongForm: 3})},
		{"bare, among prose", "My ranking is 2>0 > 1, as 2 is on topic.", read(list{2, 0, 1}, 3, Repairs{WrongForm: 3})},
		{"bare, with commas", " 2, 0, 1.\n", read(list{2, 0, 1}, 3, Repairs{WrongForm: 3})},
		{"bare, line by line", "Ranking:\n2\n\n0\n1\n", read(list{2, 0, 1}, 3, Repairs{WrongForm: 3})},
		{"bare, behind a word", "I find the order is: 2 0", read(list{2, 0, 1}, 2, Repairs{Missing: 1, WrongForm: 2})},
		{"bare, too few for an arrow", "as 2 > 0", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"one number", "2", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"a count", "I found 3 relevant passages: 2 of them good.", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"scores", "Relevance: 2\nConfidence: 1", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"a list of prose", "1. The second passage\n2. The first", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"decimals", "0.2 > 1.5 > 0.1", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
		{"years", "1905, 1907", read(list{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1})},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, Parse(c.text, 3, 0), c.text) })
	}
}

// The same text means other passages in a prompt that counts from 1.
func TestParseBase(t *testing.T) {
	require.Equal(t, read([]int{1, 0, 2}, 3, Repairs{}), Parse("[2] > [1] > [3]", 3, 1))
	require.Equal(t, read([]int{2, 0, 1}, 3, Repairs{OtherBase: 1}), Parse("[2] > [0] > [1]", 3, 1))
	require.Equal(t, read([]int{1, 0, 2}, 3, Repairs{OutOfRange: 1}), Parse("[2] > [0] > [1] > [3]", 3, 1))
	require.Equal(t, read([]int{1, 0, 2}, 3, Repairs{WrongForm: 3}), Parse("2 > 1 > 3", 3, 1))
}

func TestParseShortLists(t *testing.T) {
	require.Equal(t, read([]int{0}, 1, Repairs{}), Parse("[0]", 1, 0))
	require.Equal(t, read([]int{0}, 1, Repairs{WrongForm: 1}), Parse("0", 1, 0))
	require.Equal(t, read([]int{1, 0}, 2, Repairs{WrongForm: 2}), Parse("so 1 > 0", 2, 0))
	require.Equal(t, read([]int{}, 0, Repairs{Refusal: 1}), Parse("", 0, 0))
}

func TestFormat(t *testing.T) {
	require.Equal(t, "[2] > [0] > [1]", Format([]int{2, 0, 1}, 0))
	require.Equal(t, "[10] > [1]", Format([]int{9, 0}, 1))
	require.Equal(t, "[0]", Format([]int{0}, 0))
	require.Empty(t, Format(nil, 0))
}

func TestRepairsAdd(t *testing.T) {
	r := Repairs{1, 2, 3, 4, 5, 6, 7}
	r.Add(Repairs{10, 20, 30, 40, 50, 60, 70})
	require.Equal(t, Repairs{11, 22, 33, 44, 55, 66, 77}, r)
}

// What Format writes, Parse reads, wherever it stands.
func TestParseReadsFormat(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 2; n <= 300; n += 1 + n/10 {
		for first := range 2 {
			order := rng.Perm(n)
			text := Format(order, first)
			for _, around := range []string{"%", "\n%\n", "<think>no</think>%", "Here it is: %. [1] was hard."} {
				got := Parse(strings.Replace(around, "%", text, 1), n, first)
				require.Equal(t, read(order, n, Repairs{}), got)
			}
		}
	}
}

// However long a text is, its end is read, in a time that does not grow with it.
func TestParseLongTexts(t *testing.T) {
	for _, s := range []string{
		"[1]\nx\n", "1. [2] ", "1. [2]\n", "[", "(", "{\"a\":", "[{", "<think", "&", "> ", "[1] > ", "- 1\n", "[1]\n", "1, ", "assistant ", "(a) > ",
		"Passage 2, then ", "<", "\\", "| 1 | 2 |\n", "x", "\n", "> [0] > [1]\n", "1", "[2]: 0.9\n", "*",
	} {
		text := strings.Repeat(s, 80<<10/len(s))
		require.Equal(t, 3, len(Parse(text, 3, 0).Order))
		got := Parse(text+"\n\nFinal ranking: [2] > [0] > [1]", 3, 0)
		if !strings.Contains(s, "<think") && got.Repairs.Refusal == 0 {
			require.Equal(t, []int{2, 0, 1}, got.Order, s)
		}
	}
	require.Equal(t, read([]int{2, 0, 1}, 3, Repairs{}), Parse(strings.Repeat("The passage [1] is off topic.\n", 1<<13)+"[2] > [0] > [1]", 3, 0))
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"[2] > [0] > [1]", "[1] > [1] > [7]", "<think>[0]</think>[2] > [1]", "</think>[1", "2 > 0 > 1", "2\n0\n1", "[2, 0] = [1]",
		"Passage [2]", "[99999999999999999999]", "I found 3", "［２］＞【０】", "[[1]] > **[2]**", "<thinking>", "a: 1, 2", "[0] > \x00[1]\xff",
		"[0] < [1]", "[3] > [1-2]", "(2) > **1**", "1. Passage 2: x\n2. [0]", "{\"ranking\": [2, 0]}", "[{\"id\": 1, \"rank\": 2}]", "[2], then [0]",
		"| 1 | [2] |\n| 2 | [0] |", "\\boxed{2 \\succ 0}", "[2]: 0.9\n[0]: 0.1", "> [2]\n> [0]", "&gt; <b>2</b>", "[2] > ... > [0]", "[2]~[0]",
	} {
		f.Add(s, "> [0] > [1] > [2]", uint8(3), uint8(1))
	}
	for _, all := range writtenRankings {
		for _, c := range all {
			f.Add(c.text, "", uint8(2), uint8(0))
		}
	}
	f.Fuzz(func(t *testing.T, text, more string, size, base uint8) {
		n, first := int(size)%12+1, int(base)%3
		got, closed := parse(text, n, first)
		require.Len(t, got.Order, n)
		seen := make([]bool, n)
		for _, i := range got.Order {
			require.False(t, seen[i])
			seen[i] = true
		}
		r := got.Repairs
		require.Equal(t, n, got.Found+r.Missing)
		require.LessOrEqual(t, r.WrongForm, got.Found)
		require.Equal(t, got.Found == 0, r.Refusal == 1)
		require.IsIncreasing(t, append([]int{-1}, got.Order[got.Found:]...), "the missing in the order shown")

		again := Parse(Format(got.Order, first), n, first)
		require.Equal(t, read(got.Order, n, Repairs{}), again)

		require.False(t, closed && r.Missing > 0)
		if strings.Contains(more, "\x00") || len(marksOf(more)) > 0 || strings.ContainsAny(more, "<>[]◁▷") || gluedThought.MatchString(text) {
			return
		}
		require.Equal(t, got, Parse("<think>"+more+"</think>"+text, n, first), "a thought changes nothing")
		if OpenThought(text) == "" {
			require.Equal(t, Parse(text+"\n", n, first), Parse(text+"<think>"+more, n, first), "nor one that does not end")
		}
	})
}

// Read as it grows or as a whole, a text gives one ranking.
func FuzzFreeDecoding(f *testing.F) {
	for _, all := range writtenRankings {
		for _, c := range all {
			f.Add(c.text, "\n", uint8(100))
			f.Add(c.text, "", uint8(len(c.text)))
		}
	}
	f.Fuzz(func(t *testing.T, text, stop string, most uint8) {
		if text == "" || len(text) > 300 {
			return
		}
		l := free(says(text))
		l.MaxNew = int(most) + 1
		want, ended := text, len(text) < l.MaxNew
		want = want[:min(len(want), l.MaxNew)]
		if stop != "" {
			l.Stop = []string{stop}
			before, _, found := strings.Cut(want, stop)
			want, ended = before, ended || found
		}
		got := rankOne(t, l, list("p", 3))
		all := readText("", want, want, 3, 0, !ended)
		all.Full = got.Full
		require.Equal(t, all, got)
	})
}

func FuzzForms(f *testing.F) {
	for k := range forms {
		f.Add(uint64(k), uint64(k), uint8(k))
	}
	f.Fuzz(func(t *testing.T, one, two uint64, form uint8) {
		checkForm(t, rand.New(rand.NewPCG(one, two)), int(form)%len(forms))
	})
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"ranking", Format(rand.Perm(20)[:19], 0)},
		{"prose", strings.Repeat("The passage [3] says what is asked, but not when. ", 40)},
		{"thinking", "<think>" + strings.Repeat("The passage [3] says what is asked, but not when. ", 800)},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				Parse(c.text, 20, 0)
			}
		})
	}
}
