package model

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reader is a tokenizer with a token for each word, or one for each letter; it notes the longest text that it was given.
type reader struct {
	letters bool
	longest int
}

func (r *reader) Encode(text string, _ bool) (enc Encoding, err error) {
	r.longest = max(r.longest, len(text))
	for at := 0; at < len(text); {
		end := at + 1
		for end < len(text) && text[end] != ' ' && !r.letters {
			end++
		}
		enc.IDs, enc.Offsets = append(enc.IDs, int32(end-at)), append(enc.Offsets, Span{at, end})
		at = end
	}
	return enc, nil
}

func TestEncodeFirst(t *testing.T) {
	word, words := strings.Repeat("a", 16<<20), strings.Repeat("some words ", 1<<20)
	for _, c := range []struct {
		name    string
		tok     reader
		text    string
		n       int
		read    int // bytes at most
		refused string
	}{
		{"short", reader{}, words[:longText], 1, longText, ""},
		{"long", reader{}, words, 512, 2 * firstPrefix, ""},
		{"all of it", reader{}, words, len(words), len(words), ""},
		{"many tokens", reader{}, words, 100_000, 2 << 20, ""},
		{"very many tokens", reader{}, words, 400_000, 8 << 20, ""},
		{"no end of a word", reader{}, word, 512, 1 << 20, "want a text whose first 512 tokens end within 1048576 bytes, got 16777216 bytes in which they do not: shorten it, or break up its long words"},
		{"a little more than the bound", reader{}, word[:1<<20+1], 512, 1 << 20, "got 1048577 bytes in which they do not"},
		{"no end of a word, but no more than the bound", reader{}, word[:1<<20], 512, 1 << 20, ""},
		{"an endless word behind", reader{}, words[:8<<10] + word, 512, 32 << 10, ""},
		{"an endless word too soon", reader{}, words[:2<<10] + word, 512, 1 << 20, "got 16779264 bytes in which they do not"},
		{"letters", reader{letters: true}, word, 512, 2 * firstPrefix, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := EncodeFirst(&c.tok, c.text, c.n)
			require.LessOrEqual(t, c.tok.longest, c.read)
			if c.refused != "" {
				require.ErrorContains(t, err, c.refused)
				return
			}
			require.NoError(t, err)
			whole, err := c.tok.Encode(c.text, false)
			require.NoError(t, err)
			n := min(c.n, len(whole.IDs))
			require.Equal(t, whole.IDs[:n], got.IDs[:n])
			require.Equal(t, whole.Offsets[:n], got.Offsets[:n])
			require.Equal(t, len(whole.IDs) > c.n, len(got.IDs) > c.n, "whether there are more can be told")
		})
	}
}

func TestWordEnd(t *testing.T) {
	for _, c := range []struct {
		text string
		size int
		want int
	}{
		{"some words here", 12, 10}, {"some words here", 10, 10}, {"some words here", 9, 4 + 5}, {"some words  here", 11, 10},
		{"aaaaaaaaaaaa", 8, 8}, {"aaé", 3, 2}, {"a aaaaaaaaaa", 8, 8}, {"aaaaaa\u3000b", 8, 6},
	} {
		require.Equal(t, c.want, wordEnd(c.text, c.size), "%q %d", c.text, c.size)
	}
}
