package rank

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// toy is a tokenizer that takes the longest of its words wherever it stands, and
// one byte where none fits.
type toy struct {
	words  []string
	prefix bool // puts a space before a text, as SentencePiece does
}

func (t toy) Encode(text string, _ bool) (model.Encoding, error) {
	added := 0
	if t.prefix && text != "" {
		text, added = " "+text, 1
	}
	var enc model.Encoding
	for at := 0; at < len(text); {
		id, size := int32(text[at]), 1
		for i, w := range t.words {
			if len(w) > size && strings.HasPrefix(text[at:], w) {
				id, size = int32(256+i), len(w)
			}
		}
		enc.IDs = append(enc.IDs, id)
		enc.Offsets = append(enc.Offsets, model.Span{From: max(0, at-added), To: at + size - added})
		at += size
	}
	return enc, nil
}

// text is what token ids stand for.
func (t toy) text(ids []int32) string {
	var out strings.Builder
	for _, id := range ids {
		if id < 256 {
			out.WriteByte(byte(id))
		} else {
			out.WriteString(t.words[id-256])
		}
	}
	return out.String()
}

// toys are tokenizers that merge a ranking's text in all the ways that have a
// place to cut.
var toys = map[string]toy{
	"bytes":                         {},
	"words, as GPT-2 has them":      {words: []string{" >", " ["}},
	"three digits, as Llama 3":      {words: append(numbers(10, 130), " >", " [")},
	"a space before the text":       {words: []string{" >", " [", " Ranking", "10"}, prefix: true},
	"some numbers":                  {words: []string{"10", "12", "99", "100", " [", "] "}},
	"bracket and separator":         {words: []string{"] >", " ["}},
	"bracket and space":             {words: []string{"] ", "> ["}},
	"the separator":                 {words: []string{" > ", "> "}},
	"the separator with a bracket":  {words: []string{" > ["}},
	"the separator up to the digit": {words: []string{"] > ["}},
	"all but the last bracket":      {words: []string{"] > "}},
	"bracket and digit":             {words: []string{"[1", "[2", "[10", " >"}},
	"digit and bracket":             {words: []string{"1]", "0]", "12]", " > ["}},
	"whole identifiers":             {words: []string{"[1]", "[10]", "[3]", " [4]", "[100]", " > ["}},
	"digit and separator":           {words: []string{"1] > [", "0] >", " ["}},
	"digit, then separator":         {words: []string{"1] > [", "2] > [", "] > [", "[1"}},
}

func numbers(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// tails are ends of a prompt, and what stands between them and the ranking.
var tails = [][2]string{{"Ranking:", " "}, {"assistant\n", ""}, {"", ""}}

// eachGrammar runs a test on all toys, all tails and several first identifiers.
func eachGrammar(t *testing.T, most int, test func(t *testing.T, s setting)) {
	for name, tok := range toys {
		for _, tail := range tails {
			for _, first := range []int{0, 1, 8, 98} {
				s := setting{tok: tok, tail: tail[0], lead: tail[1], first: first}
				t.Run(fmt.Sprintf("%s, %q, from %d", name, tail[0], first), func(t *testing.T) {
					var err error
					s.Grammar, err = NewGrammar(tok, s.tail, s.lead, first, most)
					require.NoError(t, err)
					require.Empty(t, s.Note)
					test(t, s)
				})
			}
		}
	}
}

type setting struct {
	*Grammar
	tok        toy
	tail, lead string
	first      int
}

// written is a ranking as the prompt goes on with it.
func (s setting) written(order []int) string {
	return s.lead + Format(order, s.first)
}

// tokens are the tokenizer's own of a ranking that follows the tail.
func (s setting) tokens(order []int) []int32 {
	before, _ := s.tok.Encode(s.tail, false)
	whole, _ := s.tok.Encode(s.tail+s.written(order), false)
	return whole.IDs[len(before.IDs):]
}

// decode is the text of what was written after the tail.
func (s setting) decode(ids []int32) string {
	text := s.tok.text(ids)
	if s.tail == "" && s.tok.prefix {
		text = strings.TrimPrefix(text, " ")
	}
	return text
}

// drive walks a guide of n passages by a rule and returns what it wrote.
func drive(g *Grammar, n int, choose func(allowed []int32) int32) []int32 {
	var ids []int32
	guide := g.Guide(n)
	for allowed := guide.Allowed(); len(allowed) > 0; allowed = guide.Allowed() {
		id := choose(allowed)
		ids = append(ids, id)
		guide.Accept(id)
	}
	return ids
}

// By brute force: a token is allowed where one of all n! rankings, tokenised as
// whole texts, has it, and none is once a single ranking is left.
func TestGrammarAllowsWhatRankingsHave(t *testing.T) {
	eachGrammar(t, 5, func(t *testing.T, s setting) {
		for n := range 6 {
			var all [][]int32
			for _, order := range permutations(n) {
				all = append(all, s.tokens(order))
			}
			checkAllowed(t, s.Guide(n), all, 0, func(before []int32) model.Guide {
				g := s.Guide(n)
				for _, id := range before {
					g.Accept(id)
				}
				return g
			})
		}
	})
}

// checkAllowed holds a guide against the token sequences that share the first
// at tokens, and goes on with each token that they allow.
func checkAllowed(t *testing.T, g model.Guide, all [][]int32, at int, replay func([]int32) model.Guide) {
	if len(all) < 2 {
		require.Empty(t, g.Allowed())
		return
	}
	next := map[int32][][]int32{}
	var want []int32
	for _, ids := range all {
		if next[ids[at]] == nil {
			want = append(want, ids[at])
		}
		next[ids[at]] = append(next[ids[at]], ids)
	}
	slices.Sort(want)
	require.Equal(t, want, g.Allowed(), "after %v", all[0][:at])
	require.Equal(t, want, g.Allowed(), "asking changes nothing")
	for id, some := range next {
		on := replay(some[0][:at])
		on.Accept(id)
		checkAllowed(t, on, some, at+1, replay)
	}
}

// permutations returns all orders of 0..n-1.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var out [][]int
	for _, p := range permutations(n - 1) {
		for at := range n {
			out = append(out, slices.Insert(slices.Clone(p), at, n-1))
		}
	}
	return out
}

// Whatever is chosen, the text is a ranking but for its end, and Read knows all
// of it.
func TestGrammarWalks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	eachGrammar(t, 30, func(t *testing.T, s setting) {
		for n := range 31 {
			ids := drive(s.Grammar, n, func(allowed []int32) int32 {
				require.IsIncreasing(t, append([]int32{-1}, allowed...))
				return allowed[rng.IntN(len(allowed))]
			})
			checkWritten(t, s, n, ids)
		}
	})
}

func checkWritten(t *testing.T, s setting, n int, ids []int32) {
	got, err := s.Read(n, ids, nil)
	require.NoError(t, err)
	sorted := slices.Sorted(slices.Values(got.Order))
	for i, p := range sorted {
		require.Equal(t, i, p, "a permutation: %v", got.Order)
	}
	require.Len(t, got.Order, n)

	text, whole := s.decode(ids), s.written(got.Order)
	require.True(t, strings.HasPrefix(whole, strings.TrimRight(text, " >[")), "%q of %q", text, whole)
	if n > 1 {
		require.Greater(t, len(text), len(s.written(got.Order[:n-2])), "all but two are written to their end")
		require.NotContains(t, text, fmt.Sprintf("[%d", s.first+got.Order[n-1])+"]", "the last is not")
		require.Equal(t, s.tokens(got.Order)[:len(ids)], ids, "the tokenizer's own tokens")
		// Not to the token where a separator clings to some identifiers only.
		require.InDelta(t, len(s.tokens(got.Order)), s.Full(got.Order), float64(len("] > [")-1))
	}
	if n > 2 {
		read := Parse(text, n, s.first)
		require.GreaterOrEqual(t, read.Found, n-2, text)
		require.Equal(t, Repairs{Missing: n - read.Found}, read.Repairs, text)
		require.Equal(t, got.Order[:read.Found], read.Order[:read.Found], text)
	}
	require.LessOrEqual(t, len(ids), s.Room(n))
	require.LessOrEqual(t, s.Full(got.Order), s.Room(n))
}

func TestGrammarReachesEveryRanking(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	eachGrammar(t, 30, func(t *testing.T, s setting) {
		for n := 1; n <= 30; n++ {
			order := rng.Perm(n)
			left := s.tokens(order)
			ids := drive(s.Grammar, n, func(allowed []int32) int32 {
				id := left[0]
				left = left[1:]
				require.Contains(t, allowed, id)
				return id
			})
			got, err := s.Read(n, ids, nil)
			require.NoError(t, err)
			require.Equal(t, order, got.Order)
		}
	})
}

// By hand, with one token a byte: what is asked, what is forced, and where the
// text ends.
func TestGrammarByHand(t *testing.T) {
	for _, c := range []struct {
		first, n int
		chosen   string
		want     string
		asked    []string
	}{
		{0, 0, "", "", nil},
		{0, 1, "", "", nil},
		{0, 2, "1", " [1", []string{"01"}},
		{0, 3, "20", " [2] > [0", []string{"012", "01"}},
		{1, 3, "13", " [1] > [3", []string{"123", "23"}},
		// "1" for 10 alone: 9 is left, and nothing more is needed.
		{9, 2, "1", " [1", []string{"19"}},
		{9, 3, "101", " [10] > [1", []string{"19", "01", "19"}},
		// "1" is 10 or 1; once 10 stands, it is 1, and "]" is forced.
		{0, 11, "10123456789", " [10] > [1] > [2] > [3] > [4] > [5] > [6] > [7] > [8] > [9",
			[]string{"0123456789", "0]", "0123456789", "023456789", "03456789", "0456789", "056789", "06789", "0789", "089", "09"}},
		// 1, 10 and 11 are left: "1" is forced.
		{0, 12, "023456789]1", " [0] > [2] > [3] > [4] > [5] > [6] > [7] > [8] > [9] > [1] > [11",
			[]string{"0123456789", "123456789", "13456789", "1456789", "156789", "16789", "1789", "189", "19", "01]", "01"}},
	} {
		g, err := NewGrammar(modeltest.Bytes{}, "Ranking:", " ", c.first, 12)
		require.NoError(t, err)
		var asked []string
		ids := drive(g, c.n, func(allowed []int32) int32 {
			if len(allowed) == 1 {
				return allowed[0]
			}
			asked = append(asked, modeltest.Bytes{}.Text(allowed))
			return int32(c.chosen[len(asked)-1])
		})
		require.Equal(t, c.want, modeltest.Bytes{}.Text(ids))
		require.Equal(t, c.asked, asked, c.want)
		require.Len(t, c.chosen, len(asked))
	}
}

func TestGrammarCountsTokens(t *testing.T) {
	g, err := NewGrammar(modeltest.Bytes{}, "Ranking:", " ", 9, 3)
	require.NoError(t, err)
	require.Equal(t, len(" [10] > [9] > [11]"), g.Full([]int{1, 0, 2}))
	require.Equal(t, len(" [9]"), g.Full([]int{0}))
	require.Zero(t, g.Full(nil))
	require.Equal(t, len(" [10] > [9] > [11]"), g.Room(3))
	require.Equal(t, len(" [9]"), g.Room(1))
}

// Guides of one grammar do not know of each other.
func TestGrammarGuidesAreApart(t *testing.T) {
	g, err := NewGrammar(toys["bytes"], "", "", 0, 3)
	require.NoError(t, err)
	a, b := g.Guide(3), g.Guide(2)
	a.Accept('[')
	before := a.Allowed()
	b.Accept('[')
	b.Accept('1')
	require.Empty(t, b.Allowed())
	require.Equal(t, []int32{'0', '1', '2'}, before)
	a.Accept('1')
	require.Equal(t, []int32{']'}, a.Allowed())

	a.Accept('7') // is not among them
	require.Empty(t, a.Allowed())
	a.Accept(']')
	require.Empty(t, a.Allowed())
}

// A guide that is reset is as good as new, wherever it was.
func TestGrammarGuideReset(t *testing.T) {
	eachGrammar(t, 4, func(t *testing.T, s setting) {
		guide := s.Guide(4)
		for steps := range 12 {
			for range steps {
				if allowed := guide.Allowed(); len(allowed) > 0 {
					guide.Accept(allowed[len(allowed)-1])
				}
			}
			guide.Reset()
			fresh := s.Guide(4)
			for allowed := fresh.Allowed(); len(allowed) > 0; allowed = fresh.Allowed() {
				require.Equal(t, allowed, guide.Allowed())
				id := allowed[steps%len(allowed)]
				fresh.Accept(id)
				guide.Accept(id)
			}
			require.Empty(t, guide.Allowed())
			guide.Accept(-1) // is not among them
			guide.Reset()
		}
	})
}

// FuzzGrammar chooses tokens by the bytes of its input.
func FuzzGrammar(f *testing.F) {
	f.Add(uint8(3), []byte{})
	f.Add(uint8(12), []byte("any choices"))
	f.Add(uint8(30), []byte{1, 0, 1, 1, 9, 2, 255, 3, 1, 1, 1, 1})
	var settings []setting
	for _, tok := range toys {
		g, err := NewGrammar(tok, "Ranking:", " ", 1, 100)
		require.NoError(f, err)
		settings = append(settings, setting{Grammar: g, tok: tok, tail: "Ranking:", lead: " ", first: 1})
	}
	f.Fuzz(func(t *testing.T, size uint8, choices []byte) {
		n := int(size) % 101
		for _, s := range settings {
			left := choices
			checkWritten(t, s, n, drive(s.Grammar, n, func(allowed []int32) int32 {
				if len(allowed) == 1 || len(left) == 0 {
					return allowed[0]
				}
				id := allowed[int(left[0])%len(allowed)]
				left = left[1:]
				return id
			}))
		}
	})
}

// BenchmarkGrammarWalk writes a whole ranking of 100 passages.
func BenchmarkGrammarWalk(b *testing.B) {
	g, err := NewGrammar(toys["words, as GPT-2 has them"], "Ranking:", " ", 0, 100)
	require.NoError(b, err)
	for b.Loop() {
		drive(g, 100, func(allowed []int32) int32 { return allowed[len(allowed)/2] })
	}
}
