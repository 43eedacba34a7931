package hf

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/daulet/tokenizers"
	"github.com/stretchr/testify/require"
)

// handle rests on it.
func TestBindingLayout(t *testing.T) {
	typ := reflect.TypeFor[tokenizers.Tokenizer]()
	require.Equal(t, 1, typ.NumField())
	require.Equal(t, reflect.UnsafePointer, typ.Field(0).Type.Kind())
}

func TestMemoryIsBounded(t *testing.T) {
	if !memoryIsBounded() && os.Getenv("ORTSCORE_TEST_NATIVE") == "" {
		t.Skip("built by a compiler without alloc_error_hook")
	}
	require.True(t, memoryIsBounded())
}

// silently runs f, during which nothing may be written to standard error: neither a
// panic's words nor a backtrace.
func silently(t *testing.T, f func()) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	require.NoError(t, err)
	restore := redirectStderr(t, file)
	defer restore()
	f()
	restore()
	written, err := os.ReadFile(file.Name())
	require.NoError(t, err)
	require.Empty(t, string(written))
}

// charsmap is a precompiled_charsmap of so many bytes of trie, by its own word.
func charsmap(size uint32, rest string) string {
	head := []byte{byte(size), byte(size >> 8), byte(size >> 16), byte(size >> 24)}
	return base64.StdEncoding.EncodeToString(append(head, rest...))
}

func splitting(regex string) map[string]json.RawMessage {
	return map[string]json.RawMessage{"pre_tokenizer": json.RawMessage(fmt.Sprintf(
		`{"type": "Split", "pattern": {"Regex": %q}, "behavior": "Isolated", "invert": false}`, regex))}
}

func normalizing(format string, args ...any) map[string]json.RawMessage {
	return map[string]json.RawMessage{"normalizer": json.RawMessage(fmt.Sprintf(format, args...))}
}

// replacing is a normalizer of so many steps, each of which puts ten letters for one.
func replacing(steps int, pattern string) string {
	step := `{"type": "Replace", "pattern": ` + pattern + `, "content": "aaaaaaaaaa"}`
	return `{"type": "Sequence", "normalizers": [` + strings.TrimSuffix(strings.Repeat(step+",", steps), ",") + `]}`
}

// A tokenizer.json that makes the library panic, or take all memory, is refused with
// the reason, and the library goes on.
func TestBrokenTokenizersAreRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		patch map[string]json.RawMessage
		want  string
	}{
		{"a chain of replacements", normalizing("%s", replacing(12, `{"String": "a"}`)), "it takes too much memory"},
		{"replacements of every place", normalizing("%s", replacing(12, `{"Regex": "a|"}`)), "it takes too much memory"},
		{"a text that is prepended", normalizing(`{"type": "Prepend", "prepend": "a"}`), ""},
		{"a trie of 4 GB", normalizing(`{"type": "Precompiled", "precompiled_charsmap": %q}`, charsmap(0xfffffffc, "abcd")), "it takes too much memory"},
		{"a trie that is longer than the map", normalizing(`{"type": "Precompiled", "precompiled_charsmap": %q}`, charsmap(64, "abcd")), "recompiled"},
		{"a trie of no size", normalizing(`{"type": "Precompiled", "precompiled_charsmap": %q}`, charsmap(0, "")), "index out of bounds"},
		{"an empty map", normalizing(`{"type": "Precompiled", "precompiled_charsmap": ""}`), "recompiled"},
		{"a map that is no base64", normalizing(`{"type": "Precompiled", "precompiled_charsmap": "???"}`), "Invalid byte"},
		{"a map of garbage", normalizing(`{"type": "Precompiled", "precompiled_charsmap": %q}`, charsmap(8, "\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xfe")), ""},
		{"an unknown special token", map[string]json.RawMessage{"post_processor": json.RawMessage(
			`{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {}}`)}, "no entry found for key"},
		{"a special token without ids", map[string]json.RawMessage{"post_processor": json.RawMessage(
			`{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": {"x": {"id": "x", "ids": [1, 2], "tokens": ["x"]}}}`)}, ""},
		{"a regex that is none", splitting(`(((`), "end pattern with unmatched parenthesis"},
		{"a regex of 100,000 brackets", splitting(strings.Repeat("(", 100000) + strings.Repeat(")", 100000)), "parse depth limit over"},
		{"a regex that repeats repeats", splitting(`((((a{1000}){1000}){1000}){1000})`), ""},
		{"a regex of many alternatives", splitting("(" + strings.Repeat("a|b|", 100000) + "c)"), ""},
		{"a regex that calls itself", splitting(`(?<x>a\g<x>)`), "never ending recursion"},
		{"a regex that calls itself, in the end", splitting(`(?<x>a\g<x>?)`), ""},
		{"normalizers in normalizers", normalizing("%s", strings.Repeat(`{"type": "Sequence", "normalizers": [`, 3000)+strings.Repeat("]}", 3000)), "recursion limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			silently(t, func() {
				tok, err := tryJSON(t, patched(t, tiny, c.patch))
				if err == nil { // then each text is tokenised, or has its reason
					_, err = tok.Encode("an Ant, 3 ants"+strings.Repeat("a", 2000), true)
					require.NoError(t, tok.Close())
				}
				t.Log(err)
				if c.want != "" {
					require.ErrorContains(t, err, c.want)
				}
				if err != nil {
					require.NotContains(t, err.Error(), "\n")
				}
				goesOn(t)
			})
		})
	}
}

func goesOn(t *testing.T) {
	t.Helper()
	enc, err := load(t, bosEOS, nil).Encode("Answer: the sea", true)
	require.NoError(t, err)
	require.Len(t, enc.IDs, 6)
}

// A text that the library fails at is an error with the reason, and the next one is
// tokenised as ever.
func TestATextFails(t *testing.T) {
	for _, c := range []struct{ name, regex, text, want string }{
		{"a regex that backtracks", `(a+)+$|.`, strings.Repeat("a", 40) + "!", "retry-limit-in-match over"},
		{"at every place", `(a|a)*(a|a)*(a|a)*b|.`, strings.Repeat("a", 300), "retry-limit-in-"},
		{"by its stack", `(?:a|b)*c|.`, strings.Repeat("ab", 4<<20), "match-stack limit over"},
		{"by recursion", `(?<x>a\g<x>?a)|.`, strings.Repeat("a", 1<<20), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			silently(t, func() {
				tok := load(t, tiny, splitting(c.regex))
				before, err := tok.Encode("the sea", false)
				require.NoError(t, err)
				begin := time.Now()
				_, err = tok.Encode(c.text, false)
				t.Log(time.Since(begin).Round(time.Millisecond), err)
				if c.want != "" {
					require.ErrorContains(t, err, "tokenize: ")
					require.ErrorContains(t, err, c.want)
				}
				after, err := tok.Encode("the sea", false)
				require.NoError(t, err)
				require.Equal(t, before, after)
			})
		})
	}
}

// What the library refuses without a panic has its reason too.
func TestAnUnknownWord(t *testing.T) {
	tok := loadJSON(t, `{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"}, "added_tokens": []}`)
	_, err := tok.Encode("b", false)
	require.EqualError(t, err, "tokenize: Encoding error: WordLevel error: Missing [UNK] token from the vocabulary")
	enc, err := tok.Encode("", false)
	require.NoError(t, err)
	require.Empty(t, enc.IDs)
}

func TestDecodeTakesNUL(t *testing.T) {
	tok := loadJSON(t, `{"model": {"type": "WordLevel", "vocab": {"a": 0, "\u0000": 1, "x\u0000y": 2}, "unk_token": "a"}, "added_tokens": [], "decoder": {"type": "Fuse"}}`)
	text, err := tok.Decode([]int32{0, 1, 2, 1})
	require.NoError(t, err)
	require.Equal(t, "a\x00x\x00y\x00", text)
	text, err = tok.Decode(nil)
	require.NoError(t, err)
	require.Empty(t, text)

	// A byte-level tokenizer has a token for the byte 0.
	bytes := load(t, bosEOS, nil)
	for id := range int32(bytes.Size) {
		_, err := bytes.Decode([]int32{id})
		require.NoError(t, err)
	}
}

func TestDecoderThatGrows(t *testing.T) {
	step := `{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaa"},`
	silently(t, func() {
		tok := loadJSON(t, `{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}, "added_tokens": [],
			"decoder": {"type": "Sequence", "decoders": [`+strings.Repeat(step, 14)+`{"type": "Fuse"}]}}`)
		_, err := tok.Decode([]int32{0, 0})
		require.ErrorContains(t, err, "decode: it takes too much memory")
		goesOn(t)
	})
}
