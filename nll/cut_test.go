package nll

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/modeltest"
)

func TestBuildCutsPassageToKeyMaxLength(t *testing.T) {
	for _, c := range []struct {
		passage string
		n       int
		want    string
		cut     bool
	}{
		{"0123456789", 10, "0123456789", false},
		{"0123456789", 9, "012345678", true},
		{"0123456789", 1, "0", true},
		{"éé", 4, "éé", false},
		{"éé", 3, "é", true}, // half a character goes with the rest
		{"éé", 2, "é", true},
		{"éé", 1, "", true},
		{"a🐝b", 4, "a", true},
		{"a🐝b", 5, "a🐝", true},
		{"", 1, "", false},
	} {
		b := builder()
		b.KeyMaxLength = c.n
		ex := example(t, `{"query": "q", "answers": ["a", "b"], "pos": ["x"]}`)
		ex.Passages = []string{c.passage, "k"}
		built, err := build(&b, ex)
		require.NoError(t, err)
		require.Equal(t, "<s>Knowledge: "+c.want+"\n\nQuestion: q\n\nAnswer: a", texts(built.Sequences)[0][0])
		cuts := 0
		if c.cut {
			cuts = 1 // a passage is one cut, however many answers
		}
		require.Equal(t, cuts, built.Cuts, "%q %d", c.passage, c.n)
	}
}

// --max-length takes from the passage's end and from nothing else, and no more
// than it must.
func TestBuildCutsPassageToMaxLength(t *testing.T) {
	passage := "An évening by the 🐝🐝 hives, "
	line := `{"query": "où?", "answers": ["là-bas 🌻"], "pos": ["` + passage + `"]}`
	empty := len("?Knowledge: \n\nQuestion: où?\n\nAnswer: là-bas 🌻") // ? for BOS
	for limit := empty; limit < empty+len(passage)+2; limit++ {
		b := builder()
		b.MaxLength = limit
		built, err := build(&b, example(t, line))
		require.NoError(t, err)
		require.LessOrEqual(t, len(built.Sequences[0].Tokens), limit)
		text := texts(built.Sequences)[0]
		rest, ok := strings.CutPrefix(text[0], "<s>Knowledge: ")
		require.True(t, ok)
		kept, ok := strings.CutSuffix(rest, "\n\nQuestion: où?\n\nAnswer: là-bas 🌻")
		require.True(t, ok, "%d: %q", limit, text[0])
		require.Equal(t, "là-bas 🌻", text[1])
		require.True(t, strings.HasPrefix(passage, kept) && utf8.ValidString(kept), "%q", kept)
		whole := limit >= empty+len(strings.TrimSpace(passage))
		require.Equal(t, whole, built.Cuts == 0, "%d", limit)
		if !whole {
			room := limit - empty
			require.Greater(t, len(kept), room-6, "a character of 4 bytes and a space may go")
		}
	}
	b := builder()
	b.MaxLength = empty - 1
	_, err := build(&b, example(t, line))
	requireBad(t, err, "query: want question and answer within 49 tokens, got 50")
}

// A passage that stands twice in the template gives half as much each.
func TestBuildCutsEveryOccurrence(t *testing.T) {
	b := builder()
	var err error
	b.Template, err = ParseTemplate("{passage}|{passage}|{answer}", false)
	require.NoError(t, err)
	b.MaxLength = 1 + 2*7 + 3
	built, err := build(&b, example(t, `{"query": "q", "answers": "a", "pos": ["0123456789"]}`))
	require.NoError(t, err)
	require.Equal(t, "<s>0123456|0123456|a", texts(built.Sequences)[0][0])
	require.Equal(t, 1, built.Cuts)
}

// White space at a passage's end is stripped in the text, so that dropping it
// does not shorten the whole; the cut goes on until something does.
func TestBuildCutsThroughWhiteSpace(t *testing.T) {
	b := builder()
	line := `{"query": "q", "answers": "a", "pos": ["abc` + strings.Repeat(" ", 300) + `def"]}`
	b.MaxLength = len("?Knowledge: ab\n\nQuestion: q\n\nAnswer: a")
	built, err := build(&b, example(t, line))
	require.NoError(t, err)
	require.Equal(t, "<s>Knowledge: ab\n\nQuestion: q\n\nAnswer: a", texts(built.Sequences)[0][0])
}

// trailing gives every text a last token without text, as no tokenizer should.
type trailing struct{ modeltest.Bytes }

// The cut ends whatever the offsets are.
func TestBuildCutEnds(t *testing.T) {
	b := builder()
	b.Tokenizer = trailing{}
	b.MaxLength = len("?Knowledge: ab\n\nQuestion: q\n\nAnswer: a?")
	built, err := build(&b, example(t, `{"query": "q", "answers": "a", "pos": ["abcdef"]}`))
	require.NoError(t, err)
	require.Len(t, built.Sequences[0].Tokens, b.MaxLength)
}
