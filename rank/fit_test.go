package rank

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// frameWith takes prompts as tok does with its special tokens, and counts its calls.
func frameWith(tok model.Tokenizer, calls *int) func(string) ([]int32, error) {
	var mu sync.Mutex
	return func(prompt string) ([]int32, error) {
		mu.Lock()
		*calls++
		mu.Unlock()
		enc, err := tok.Encode(prompt, true)
		return enc.IDs, err
	}
}

// counted is a frame of as many tokens as a function makes of another's.
func counted(frame func(string) ([]int32, error), count func(n int) int) func(string) ([]int32, error) {
	return func(prompt string) ([]int32, error) {
		ids, err := frame(prompt)
		return make([]int32, count(len(ids))), err
	}
}

// fitter has a short template and a tokenizer's count.
func fitter(t testing.TB, tok model.Tokenizer, maxPrompt int) (*Fitter, *int) {
	t.Helper()
	tmpl, err := ParseTemplate("{query}\n{passages}\n{query}")
	require.NoError(t, err)
	calls := 0
	return &Fitter{Template: tmpl, MaxPrompt: maxPrompt, Frame: frameWith(tok, &calls)}, &calls
}

func prepare(t testing.TB, tok model.Tokenizer, maxLength int, query string, passages ...string) *Prepared {
	t.Helper()
	p, err := Prepare(tok, &Example{Row: parseRow(t, `{}`), Query: query, Passages: passages}, maxLength)
	require.NoError(t, err)
	return p
}

func TestPrepareCuts(t *testing.T) {
	p := prepare(t, modeltest.Bytes{}, 6, " a [1]\nquery ", "ab  cdefg", " [3] x ", "éééé", "abcde fgh", "")
	require.Equal(t, "a (1) query", p.query)
	require.Equal(t, []string{"ab cde", "(3) x", "ééé", "abcde", ""}, p.passages)
	require.Equal(t, []int{6, 5, 6, 6, 0}, p.lens)
}

func TestPrepareNamesThePassage(t *testing.T) {
	ex := readExample(t, `{"query": "q", "pos": ["p"], "neg": ["n", "BAD"]}`)
	_, err := Prepare(modeltest.Bytes{Err: "BAD"}, ex, 9)
	requireBad(t, err, `neg[1]: want text without "BAD", got it`)
}

func TestFit(t *testing.T) {
	p := prepare(t, modeltest.Bytes{}, 12, "q", "0123456789", "abc", "ABCDEFGHIJKLMNO", "éé")
	const empty = len("?q\n[0] \n[1] \n[2] \n[3] \nq") // ? for BOS
	for _, c := range []struct {
		name  string
		shown []int
		max   int
		want  string
		cut   []int
		calls int
	}{
		{"all fits", []int{0, 1, 2, 3}, empty + 29, "[0] 0123456789\n[1] abc\n[2] ABCDEFGHIJKL\n[3] éé", []int{2}, 1},
		{"the longest gives way first", []int{0, 1, 2, 3}, empty + 28, "[0] 0123456789\n[1] abc\n[2] ABCDEFGHIJK\n[3] éé", []int{2}, 2},
		{"then the longest two", []int{0, 1, 2, 3}, empty + 20, "[0] 012345\n[1] abc\n[2] ABCDEF\n[3] éé", []int{0, 2}, 2},
		{"evenly", []int{0, 1, 2, 3}, empty + 9, "[0] 01\n[1] ab\n[2] AB\n[3] é", []int{0, 1, 2, 3}, 2},
		{"in the order shown", []int{3, 2}, len("?q\n[0] \n[1] \nq") + 9, "[0] éé\n[1] ABCDE", []int{2}, 2},
		{"nothing is left", []int{0, 1, 2, 3}, empty + 1, "[0] \n[1] \n[2] \n[3] ", []int{0, 1, 2, 3}, 2},
	} {
		f, calls := fitter(t, modeltest.Bytes{}, c.max)
		got, err := f.Fit(p, c.shown)
		require.NoError(t, err, c.name)
		require.Equal(t, []any{"q\n" + c.want + "\nq", c.cut}, []any{got.Text, got.Cut}, c.name)
		require.Equal(t, c.calls, *calls, c.name)
	}
}

func TestFitRefuses(t *testing.T) {
	long := strings.Repeat("q", 5000)
	f, calls := fitter(t, modeltest.Bytes{}, 100)
	_, err := f.Fit(prepare(t, modeltest.Bytes{}, 512, long, "passage", "other"), []int{0, 1})
	requireBad(t, err, "query: want a prompt of at most 100 tokens, got 10012 with all passages empty")
	require.Equal(t, 2, *calls)

	_, err = f.Fit(prepare(t, modeltest.Bytes{}, 512, long, ""), []int{0})
	requireBad(t, err, "query: want a prompt of at most 100 tokens, got 10007 with all passages empty")

	f.Frame = func(string) ([]int32, error) { return nil, errors.New("want a chat template, got none") }
	_, err = f.Fit(prepare(t, modeltest.Bytes{}, 512, "q", "passage"), []int{0})
	requireBad(t, err, "want a chat template, got none")
}

// Whatever the limit and however the whole is counted, the prompt fits, every
// identifier stands in it, one limit holds for all passages, and Frame is called
// a few times.
func TestFitFits(t *testing.T) {
	const text = "The café of Zoë 🐝 opened in 1907; 東京 and the sea were far away, said the keeper of the northern lighthouse. "
	var passages []string
	shown := make([]int, 12)
	for i := range shown {
		shown[i] = i
		passages = append(passages, strings.Repeat(text, i%4+1)[i:])
	}
	for _, tok := range []model.Tokenizer{modeltest.Bytes{}, Words{}} {
		p := prepare(t, tok, 200, "who?", passages...)
		shown := shown[:len(p.passages)] // cut, some are the same
		for name, count := range map[string]func(int) int{
			"as it is":             func(n int) int { return n },
			"half as much again":   func(n int) int { return n*3/2 + 40 },
			"half":                 func(n int) int { return n / 2 },
			"in blocks":            func(n int) int { return (n + 63) / 64 * 64 },
			"with a fixed chatter": func(n int) int { return n + 500 },
		} {
			fitted := 0
			for limit := 10; limit < 3500; limit += 97 {
				f, calls := fitter(t, tok, limit)
				f.Frame = counted(f.Frame, count)
				got, err := f.Fit(p, shown)
				require.LessOrEqual(t, *calls, 12, "%s, %d", name, limit)
				if err != nil {
					require.ErrorContains(t, err, "with all passages empty")
					require.Zero(t, fitted, "what fits into %d tokens fits into more", limit)
					continue
				}
				fitted++
				total := len(got.Tokens)
				require.LessOrEqual(t, total, limit, name)
				requireEven(t, p, got)
				if got.Text != whole(t, p, shown) {
					require.Greater(t, total, limit-110, "%s: of the room for a character of 4 bytes more each, and a block", name)
				}
			}
			require.Greater(t, fitted, 10, name)
		}
	}
}

// whole is the prompt with nothing more cut than the passages were.
func whole(t *testing.T, p *Prepared, shown []int) string {
	t.Helper()
	f, _ := fitter(t, Words{}, 1<<20)
	got, err := f.Fit(p, shown)
	require.NoError(t, err)
	return got.Text
}

// A count that knows no reason still leads to an end.
func TestFitEnds(t *testing.T) {
	p := prepare(t, Words{}, 512, "q", strings.Repeat("a ", 512))
	f, _ := fitter(t, Words{}, 100)
	calls := 0
	f.Frame = func(prompt string) ([]int32, error) {
		calls++
		if strings.Contains(prompt, "a") {
			return make([]int32, 101), nil
		}
		return make([]int32, 100), nil
	}
	got, err := f.Fit(p, []int{0})
	require.NoError(t, err)
	require.Equal(t, "q\n[0] \nq", got.Text)
	require.Less(t, calls, 25)
}

// requireEven wants the passages 0..n-1 in a prompt, those that are cut of about
// the same length, and no others longer.
func requireEven(t *testing.T, p *Prepared, got Prompt) {
	t.Helper()
	lines := strings.Split(got.Text, "\n")
	lines = lines[1 : len(lines)-1]
	require.Len(t, lines, len(p.passages))
	cut := 0
	for i, line := range lines {
		text, ok := strings.CutPrefix(line, identifier(i)+" ")
		require.True(t, ok, line)
		require.True(t, strings.HasPrefix(p.passages[i], text))
		if len(text) < len(p.passages[i]) {
			require.Contains(t, got.Cut, i)
			cut = max(cut, len(text))
		}
	}
	for i, line := range lines {
		if text := strings.TrimPrefix(line, identifier(i)+" "); len(text) < len(p.passages[i]) {
			require.GreaterOrEqual(t, len(text), cut-20, "a character of 4 bytes and a space may go, or a long word")
		}
	}
}

// The prompts of many windows cost no further tokenising.
func TestFitTokenisesOnce(t *testing.T) {
	tok := &countingTokenizer{}
	p := prepare(t, tok, 50, "q", strings.Repeat("a b ", 90), strings.Repeat("c d ", 90), "e")
	require.Equal(t, 3, tok.calls)
	f, _ := fitter(t, Words{}, 40)
	for range 5 {
		_, err := f.Fit(p, []int{2, 0, 1})
		require.NoError(t, err)
	}
	require.Equal(t, 3, tok.calls)
}

type countingTokenizer struct {
	Words
	calls int
}

func (c *countingTokenizer) Encode(text string, special bool) (model.Encoding, error) {
	c.calls++
	return c.Words.Encode(text, special)
}

func TestWords(t *testing.T) {
	enc, err := Words{}.Encode(" ab\tc\u3000é🐝 \n", true)
	require.NoError(t, err)
	require.Equal(t, model.Encoding{IDs: []int32{0, 0, 0}, Offsets: []model.Span{{From: 1, To: 3}, {From: 4, To: 5}, {From: 8, To: 14}}}, enc)
	enc, err = Words{}.Encode(" ", true)
	require.NoError(t, err)
	require.Empty(t, enc.IDs)
}

// Cutting a passage of words leaves whole words.
func FuzzPrepare(f *testing.F) {
	f.Add(" a  b [1] c", uint8(2))
	f.Add("\u3000\x1fé\x1c🐝", uint8(1))
	f.Fuzz(func(t *testing.T, text string, limit uint8) {
		p, err := Prepare(Words{}, &Example{Passages: []string{text}}, int(limit))
		require.NoError(t, err)
		words := strings.Fields(Clean(text))
		require.Equal(t, strings.Join(words[:min(len(words), int(limit))], " "), p.passages[0])
	})
}

// With Protect, the frame sees the row's texts protected and the template's as it
// is; the list keeps them as they are.
func TestFitProtects(t *testing.T) {
	p := prepare(t, modeltest.Bytes{}, 12, "who", "abc", "def")
	f, _ := fitter(t, modeltest.Bytes{}, 100)
	var err error
	f.Template, err = ParseTemplate("own {query}\n{passages}")
	require.NoError(t, err)
	f.Protect = strings.ToUpper
	prompt, err := f.Fit(p, []int{1, 0})
	require.NoError(t, err)
	require.Equal(t, "own who\n[0] def\n[1] abc", prompt.Text)
	require.Equal(t, "<s>own WHO\n[0] DEF\n[1] ABC", modeltest.Bytes{}.Text(prompt.Tokens))
}

// measured notes the longest text that it was given.
type measured struct {
	modeltest.Bytes
	longest int
}

func (m *measured) Encode(text string, special bool) (model.Encoding, error) {
	m.longest = max(m.longest, len(text))
	return m.Bytes.Encode(text, special)
}

// Of a long passage no more than its beginning is tokenised, and a query that is too
// long is refused by its own.
func TestLongTextsAreReadByTheirBeginning(t *testing.T) {
	long := strings.Repeat("word ", 1<<20)
	tok := &measured{}
	p := prepare(t, tok, 512, long, "short", long)
	require.LessOrEqual(t, tok.longest, 32<<10)
	require.Equal(t, []string{"short", strings.TrimRight(long[:512], " ")}, p.passages)
	require.Equal(t, []int{5, 512}, p.lens)

	f, _ := fitter(t, tok, 1000)
	requireBad(t, f.checkQuery(tok, p), "query: want a prompt of at most 1000 tokens, got more in a query of 5242879 bytes")
	require.LessOrEqual(t, tok.longest, 32<<10)
	f.MaxPrompt = math.MaxInt // an endpoint's own matter
	require.NoError(t, f.checkQuery(tok, p))
	require.LessOrEqual(t, tok.longest, 32<<10)
	_, err := Prepare(Words{}, &Example{Row: parseRow(t, `{}`), Passages: []string{strings.Repeat("a", 2<<20)}}, 512)
	requireBad(t, err, "neg[0]: want a text whose first 512 tokens end within 1048576 bytes, got 2097152 bytes in which they do not: shorten it, or break up its long words")
}
