package hf

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// kinds are small tokenizers of every kind; kinds.py beside them made them.
var kinds = []string{"byte-level", "digits", "nfc", "llama2", "metaspace", "unigram", "unigram-bytes", "unigram-nfkc",
	"unigram-precompiled", "wordpiece", "wordlevel"}

func loadKind(t testing.TB, name string) *Tokenizer {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "kinds", name+".json"))
	require.NoError(t, err)
	return loadJSON(t, string(data))
}

// alphabet is what random texts are made of: words that the tokenizers know, and
// characters that they do not, of all lengths, neighbours of one another.
var alphabet = []string{"the", "sea", "what", "ship", "a", "b", "in", " ", " ", " ", "  ", "\n", ".", "?", ",", "1907", "24",
	"é", "ß", "Ł", "日", "本", "語", "한", "🐝", "🌻", "👨", "\u200b", "Ж", "ж", "½", "ﬁ", "Ａ", "ｚ", "㍿", "①", "×"}

func randomText(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(40) {
		b.WriteString(alphabet[rng.IntN(len(alphabet))])
	}
	return b.String()
}

// Every token's span against a count of bytes: the tokens' own texts, laid end to
// end over the text as the tokenizer normalizes it.
func TestSpansAsCounted(t *testing.T) {
	for _, name := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok, rng, moved := loadKind(t, name), rand.New(rand.NewPCG(1, 2)), 0
			words := wordsOf(tok)
			for range 1000 {
				text := randomText(rng)
				enc, err := tok.Encode(text, false)
				require.NoError(t, err)
				want := countSpans(t, name, text, words, tok, enc)
				require.Equal(t, want, enc.Offsets, "%q %v", text, enc.IDs)
				given, err := raw(tok.tok, text, false)
				require.NoError(t, err)
				require.Equal(t, toInt32(given.IDs), enc.IDs, "%q", text)
				if !slices.Equal(spans(given), enc.Offsets) {
					moved++
				}
			}
			if tok.bytes == nil {
				require.Zero(t, moved, "other tokenizers' spans stay as they come")
			} else {
				require.Greater(t, moved, 500)
			}
		})
	}
}

// wordsOf are the tokens by their ids.
func wordsOf(tok *Tokenizer) map[int32]string {
	words := map[int32]string{}
	for word, id := range tok.vocab {
		words[id] = word
	}
	return words
}

// normalized is a byte of a normalized text and the character that it comes from.
type normalized struct {
	value byte
	from  model.Span
}

// compatible are the forms that NFKC gives to characters of the alphabet, and the
// table of unigram-precompiled to those with true.
var compatible = map[rune]struct {
	form  string
	table bool
}{'½': {"1⁄2", true}, 'ﬁ': {"fi", true}, 'Ａ': {"A", true}, 'ｚ': {"z", true}, '㍿': {"株式会社", true}, '①': {"1", false}}

func normalize(name, text string) (out []normalized) {
	add := func(s string, from model.Span) {
		for i := range len(s) {
			out = append(out, normalized{s[i], from})
		}
	}
	spaces := slices.Contains([]string{"llama2", "metaspace", "unigram", "unigram-bytes", "unigram-nfkc", "unigram-precompiled"}, name)
	for at, r := range text {
		span := model.Span{From: at, To: at + len(string(r))}
		first := at == 0 && spaces && name != "unigram-precompiled"
		if first && (name == "llama2" || r != ' ') {
			add("▁", span)
		}
		form := string(r)
		c, ok := compatible[r]
		if ok && (name == "unigram-nfkc" || name == "unigram-precompiled" && c.table) {
			form = c.form
		}
		if name == "wordpiece" {
			form = strings.ToLower(strings.NewReplacer("é", "e", "\u200b", "").Replace(form))
		}
		if spaces {
			form = strings.ReplaceAll(form, " ", "▁")
		}
		add(form, span)
	}
	return out
}

// countSpans lays the tokens over the normalized text. A token for unknown
// characters has no text of its own: its span is taken as given, and must begin
// where the token before it ended.
func countSpans(t *testing.T, name, text string, words map[int32]string, tok *Tokenizer, enc model.Encoding) []model.Span {
	rest, out := normalize(name, text), []model.Span{}
	for i, id := range enc.IDs {
		for name[0] == 'w' && len(rest) > 0 && unicode.IsSpace(rune(rest[0].value)) {
			rest = rest[1:]
		}
		piece := pieceBytes(name, words[id])
		if id == tok.unknown {
			n := 0
			for n < len(rest) && rest[n].from.To <= enc.Offsets[i].To {
				n++
			}
			require.NotZero(t, n, "%q: token %d", text, i)
			piece = ""
			for _, r := range rest[:n] {
				piece += string([]byte{r.value})
			}
		}
		require.LessOrEqual(t, len(piece), len(rest), "%q: token %d", text, i)
		for k := range len(piece) {
			if piece[k] != rest[k].value { // a million times
				t.Fatalf("%q: token %d: want byte %x, got %x", text, i, rest[k].value, piece[k])
			}
		}
		out = append(out, model.Span{From: rest[0].from.From, To: rest[len(piece)-1].from.To})
		rest = rest[len(piece):]
	}
	return out
}

// pieceBytes is a token's text.
func pieceBytes(name, word string) string {
	var b byte
	switch {
	case slices.Contains([]string{"byte-level", "digits", "nfc"}, name):
		var out []byte
		for _, r := range word {
			out = append(out, byteOfLetter[r])
		}
		return string(out)
	case name == "wordpiece":
		return strings.TrimPrefix(word, "##")
	}
	if _, err := fmt.Sscanf(word, "<0x%02X>", &b); err == nil {
		return string([]byte{b})
	}
	return word
}

// byteOfLetter is the byte that a letter stands for in a byte-level vocabulary.
var byteOfLetter = func() map[rune]byte {
	out, next := map[rune]byte{}, rune(256)
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xA1 && b <= 0xAC || b >= 0xAE {
			out[rune(b)] = byte(b)
		} else {
			out[next] = byte(b)
			next++
		}
	}
	return out
}()

// What stands in the text as "<0x41>" is one token of a Unigram, as in the library,
// and no byte of its neighbours.
func TestSpansOfWrittenBytes(t *testing.T) {
	tok := loadKind(t, "unigram-bytes")
	enc, err := tok.Encode("<0x30>日本<0x31>", false)
	require.NoError(t, err)
	span := func(from, to int) model.Span { return model.Span{From: from, To: to} }
	require.Equal(t, []model.Span{span(0, 1), span(0, 6), span(6, 9), span(6, 9), span(6, 9), span(9, 12), span(9, 12), span(9, 12), span(12, 18)}, enc.Offsets)
}

// Special tokens in the vocabulary of a Unigram or a WordLevel are text in a text,
// though the library makes control tokens of them.
func TestSpecialTokensInVocabularyAreText(t *testing.T) {
	for _, name := range kinds {
		tok := loadKind(t, name)
		for special, id := range tok.Special {
			for _, text := range []string{special, "the " + special + " sea", special + special, "日" + special + "本 " + special, strings.ToUpper(special)} {
				enc, err := tok.Encode(text, false)
				require.NoError(t, err)
				require.Len(t, enc.Offsets, len(enc.IDs))
				if id != tok.unknown {
					require.NotContains(t, enc.IDs, id, "%s %q", name, text)
				}
				previous := 0
				for i, o := range enc.Offsets {
					require.False(t, enc.IDs[i] == tok.unknown && text[o.From:o.To] == special && len(special) > 1, "%s %q", name, text)
					require.True(t, o.From <= o.To && o.To <= len(text) && o.To >= previous, "%s %q %v", name, text, enc.Offsets)
					previous = o.To
				}
			}
		}
	}
	tok := loadKind(t, "unigram-bytes")
	enc, err := tok.Encode("the</s>sea", false)
	require.NoError(t, err)
	text, words := "", wordsOf(tok)
	for _, id := range enc.IDs {
		text += pieceBytes("unigram-bytes", words[id])
	}
	require.Equal(t, "▁the</s>sea", text)
}

// Whatever the text, spans lie on its characters, one behind another, and no token of
// more than one character is a control token.
func FuzzKinds(f *testing.F) {
	f.Add("the sea 日本🐝 <s></s> ½㍿ [CLS] <0x41>\n\u0301e\u0301\u200d")
	f.Add("<<s>/s></s</s>>")
	f.Add("ａ\u3000\ufeff\u00ad한글\U000F0000")
	var toks []*Tokenizer
	for _, name := range kinds {
		toks = append(toks, loadKind(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) || !utf8.ValidString(text) {
			return
		}
		for i, tok := range toks {
			enc, err := tok.Encode(text, false)
			if err != nil && strings.Contains(err.Error(), "can be tokenized as text") {
				continue
			}
			require.NoError(t, err, kinds[i])
			require.Len(t, enc.Offsets, len(enc.IDs))
			for k, o := range enc.Offsets {
				require.True(t, o.From <= o.To && o.To <= len(text) && onCharacter(text, o.From) && onCharacter(text, o.To), "%s %q %v", kinds[i], text, enc.Offsets)
				require.True(t, tok.special[enc.IDs[k]] == "" || enc.IDs[k] == tok.unknown, "%s %q %v", kinds[i], text, enc.IDs)
			}
		}
	})
}
