package hf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

const (
	root      = "../.."
	tiny      = "testdata/tiny-gqa"
	bosEOS    = "testdata/tokenizers/bos-eos"
	metaspace = "testdata/tokenizers/metaspace"
)

// load opens a fixture's tokenizer, with parts of its file replaced.
func load(t testing.TB, folder string, patch map[string]json.RawMessage) *Tokenizer {
	t.Helper()
	return loadJSON(t, patched(t, folder, patch))
}

// patched is a fixture's tokenizer.json, with parts of it replaced.
func patched(t testing.TB, folder string, patch map[string]json.RawMessage) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, folder, "tokenizer.json"))
	require.NoError(t, err)
	var file map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &file))
	for name, value := range patch {
		file[name] = value
	}
	data, err = json.Marshal(file)
	require.NoError(t, err)
	return string(data)
}

func loadJSON(t testing.TB, text string) *Tokenizer {
	t.Helper()
	tok, err := tryJSON(t, text)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tok.Close()) })
	return tok
}

func tryJSON(t testing.TB, text string) (*Tokenizer, error) {
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	tok, err := LoadTokenizer(path)
	if err != nil {
		require.ErrorContains(t, err, path+": ")
		err = fmt.Errorf("%s", strings.TrimPrefix(err.Error(), path+": "))
	}
	return tok, err
}

// dumped is an entry of testdata/encodings.json; dump.py beside it made it.
type dumped struct {
	Tokenizer string
	Patch     map[string]json.RawMessage
	Encodings []struct {
		Text         string
		IDs, Special []int32
		Offsets      [][2]int // bytes
	}
}

func readDump(t testing.TB) []dumped {
	t.Helper()
	data, err := os.ReadFile("testdata/encodings.json")
	require.NoError(t, err)
	var dump []dumped
	require.NoError(t, json.Unmarshal(data, &dump))
	require.Len(t, dump, 6)
	return dump
}

// Ids and offsets are those of the Python package.
func TestEncodeAsPython(t *testing.T) {
	for _, d := range readDump(t) {
		tok := load(t, d.Tokenizer, d.Patch)
		require.NotEmpty(t, d.Encodings)
		for _, want := range d.Encodings {
			about := fmt.Sprintf("%s %s %q", d.Tokenizer, d.Patch, want.Text)
			got, err := tok.Encode(want.Text, false)
			require.NoError(t, err, about)
			require.Len(t, got.IDs, len(want.IDs), about)
			for i := range want.IDs {
				require.Equal(t, want.IDs[i], got.IDs[i], about)
				require.Equal(t, model.Span{From: want.Offsets[i][0], To: want.Offsets[i][1]}, got.Offsets[i], about)
			}

			special, err := tok.Encode(want.Text, true)
			require.NoError(t, err, about)
			require.Equal(t, want.Special[:len(want.Special)-len(tok.After)], append([]int32{}, special.IDs...), about)
			require.Equal(t, tok.Before, special.IDs[:len(tok.Before)], "BOS is kept: %s", about)
			require.Equal(t, got.IDs, special.IDs[len(tok.Before):], "EOS is not: %s", about)
			for i := range tok.Before {
				require.Equal(t, model.Span{}, special.Offsets[i], "BOS is no part of the text")
			}
			require.Equal(t, got.Offsets, special.Offsets[len(tok.Before):])
		}
	}
}

// A few by hand, so that the dump is not the only witness.
func TestEncodeByHand(t *testing.T) {
	span := func(from, to int) model.Span { return model.Span{From: from, To: to} }
	for _, c := range []struct {
		folder, text string
		ids          []int32
		offsets      []model.Span
	}{
		{bosEOS, "Answer: the sea", []int32{0, 376, 318, 29, 262, 362},
			[]model.Span{{}, span(0, 2), span(2, 6), span(6, 7), span(7, 11), span(11, 15)}},
		// Each byte of a character has the offsets of all of it.
		{bosEOS, "café 🐝!", []int32{0, 70, 68, 73, 131, 106, 224, 176, 257, 242, 255, 4},
			[]model.Span{{}, span(0, 1), span(1, 2), span(2, 3), span(3, 5), span(3, 5), span(5, 6), span(6, 10), span(6, 10), span(6, 10), span(6, 10), span(10, 11)}},
		// The space that the normaliser puts before a text belongs to its first letter.
		{metaspace, "Answer: the sea", []int32{1, 381, 287, 360, 263, 302, 406},
			[]model.Span{{}, span(0, 1), span(1, 2), span(2, 6), span(6, 7), span(7, 11), span(11, 15)}},
		{metaspace, " leading", []int32{1, 299, 316, 306, 278, 395},
			[]model.Span{{}, span(0, 1), span(0, 2), span(2, 4), span(4, 5), span(5, 8)}},
		{metaspace, "é", []int32{1, 299, 198, 172}, []model.Span{{}, span(0, 2), span(0, 2), span(0, 2)}}, // byte fallback
		{metaspace, "", []int32{1}, []model.Span{{}}},
		{bosEOS, "", []int32{0}, []model.Span{{}}},
	} {
		got, err := load(t, c.folder, nil).Encode(c.text, true)
		require.NoError(t, err)
		require.Equal(t, model.Encoding{IDs: c.ids, Offsets: c.offsets}, got, "%s %q", c.folder, c.text)
	}
}

// Offsets stay within the text, on characters' ends, and do not go back.
func TestOffsetsAreBytes(t *testing.T) {
	for _, d := range readDump(t) {
		tok := load(t, d.Tokenizer, d.Patch)
		for _, e := range d.Encodings {
			enc, err := tok.Encode(e.Text, false)
			require.NoError(t, err)
			previous := 0
			for _, o := range enc.Offsets {
				require.LessOrEqual(t, o.From, o.To)
				require.LessOrEqual(t, o.To, len(e.Text))
				require.GreaterOrEqual(t, o.To, previous)
				require.True(t, onCharacter(e.Text, o.From) && onCharacter(e.Text, o.To), "%q %v", e.Text, o)
				previous = o.To
			}
		}
	}
}

func onCharacter(s string, at int) bool { return at == len(s) || s[at]&0xc0 != 0x80 }

func TestSpecialTokens(t *testing.T) {
	for _, c := range []struct {
		folder        string
		before, after []int32
		size          int
	}{{tiny, []int32{}, []int32{}, 512}, {bosEOS, []int32{0}, []int32{1}, 512}, {metaspace, []int32{1}, []int32{}, 419}} {
		tok := load(t, c.folder, nil)
		require.Equal(t, c.before, tok.Before, c.folder)
		require.Equal(t, c.after, tok.After, c.folder)
		require.Equal(t, c.size, tok.Size, c.folder)
	}
}

// A control token that stands in a passage is five or ten ordinary tokens.
func TestSpecialTokensInTextAreText(t *testing.T) {
	for _, c := range []struct {
		folder  string
		words   []string
		control int32 // ids below are control tokens
	}{
		{tiny, []string{"<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"}, 4},
		{bosEOS, []string{"<|bos|>", "<|eos|>", "<|im_start|>", "<|im_end|>"}, 4},
		{metaspace, []string{"<s>", "</s>", "<unk>"}, 3},
	} {
		tok := load(t, c.folder, nil)
		for _, word := range c.words {
			text := "a" + word + "b " + word
			enc, err := tok.Encode(text, false)
			require.NoError(t, err)
			for _, id := range enc.IDs {
				require.GreaterOrEqual(t, id, c.control, "%s: %q", c.folder, text)
			}
			decoded, err := tok.Decode(enc.IDs)
			require.NoError(t, err)
			require.Equal(t, text, strings.TrimPrefix(decoded, " "))
		}
	}
}

func TestEncodeRefusesNUL(t *testing.T) {
	tok := load(t, tiny, nil)
	_, err := tok.Encode("cut\x00off", false)
	require.EqualError(t, err, "want text without NUL, got one at byte 3")
	_, err = tok.Encode("\x00", true)
	require.EqualError(t, err, "want text without NUL, got one at byte 0")
}

func TestDecode(t *testing.T) {
	tok := load(t, bosEOS, nil)
	for _, text := range []string{"", "Answer: the sea", "café 🐝 東京", "  spaces  "} {
		enc, err := tok.Encode(text, true)
		require.NoError(t, err)
		got, err := tok.Decode(enc.IDs)
		require.NoError(t, err)
		require.Equal(t, "<|bos|>"+text, got)
	}
	got, err := tok.Decode([]int32{3, 176}) // a control token, and a quarter of an emoji
	require.NoError(t, err)
	require.Equal(t, "<|im_end|>\ufffd", got)
}

func TestTokenizerIsSafeForGoroutines(t *testing.T) {
	tok := load(t, bosEOS, nil)
	encodings := readDump(t)[1].Encodings
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				for _, want := range encodings {
					got, err := tok.Encode(want.Text, false)
					if err != nil || len(got.IDs) != len(want.IDs) {
						t.Errorf("%q: want %d ids, got %d, %v", want.Text, len(want.IDs), len(got.IDs), err)
						return
					}
					if _, err := tok.Decode(got.IDs); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
}
