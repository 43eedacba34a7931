package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/rank"
)

type object = map[string]any

// The parts of a tokenizer.json that decide where a ranking's tokens end, as
// well-known families have them.
var (
	byteLevel = object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
	bytesOnly = object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}
	fuse      = object{"type": "Sequence", "decoders": []object{
		{"type": "Replace", "pattern": object{"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}}}
	underlines = object{"type": "Replace", "pattern": object{"String": " "}, "content": "▁"}
	prepend    = object{"type": "Sequence", "normalizers": []object{{"type": "Prepend", "prepend": "▁"}, underlines}}
	metaspace  = object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}
)

func split(regex string) object {
	return object{"type": "Sequence", "pretokenizers": []object{
		{"type": "Split", "pattern": object{"Regex": regex}, "behavior": "Isolated", "invert": false}, bytesOnly}}
}

const (
	llama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// families are tokenizers with a vocabulary of characters and a few merges.
var families = map[string]struct {
	normalizer, pre, decoder any
	merges                   string // pairs "a+b"
}{
	"GPT-2":                    {nil, byteLevel, byteLevel, "Ġ+> Ġ+[ ]+> 1+0 1+1 10+0"},
	"Llama 3":                  {nil, split(llama3), byteLevel, "Ġ+> Ġ+[ 1+0 1+1 1+2 2+0 10+0 Ċ+Ċ"},
	"Qwen 2":                   {nil, split(qwen2), byteLevel, "Ġ+> Ġ+[ 1+0 Ċ+Ċ"},
	"no splits at all":         {nil, bytesOnly, byteLevel, "]+Ġ >+Ġ ]Ġ+>Ġ 1+0"},
	"Llama 2":                  {prepend, nil, fuse, "▁+> ▁+["},
	"Llama 2, two digits":      {prepend, nil, fuse, "▁+> ▁+[ 1+0 1+2 2+1"},
	"Llama 2, joint separator": {prepend, nil, fuse, "▁+> ▁+[ ]+▁> ]▁>+▁["},
	"Llama 2, joint numbers":   {prepend, nil, fuse, "[+1 [+2 ▁+> ▁+[1 [1+0 3+]"},
	"Gemma":                    {underlines, nil, fuse, "▁+> ▁+["},
	"Metaspace":                {nil, metaspace, fuse, "▁+> ▁+[ ▁[+1"},
}

// family makes the tokenizer of a family.
func family(t *testing.T, name string) *hf.Tokenizer {
	f := families[name]
	vocab := object{}
	add := func(token string) {
		if vocab[token] == nil {
			vocab[token] = len(vocab)
		}
	}
	for c := '!'; c <= '~'; c++ {
		add(string(c))
	}
	for _, c := range "ĠĊ▁\n" {
		add(string(c))
	}
	var merges []string
	for pair := range strings.FieldsSeq(f.merges) {
		add(strings.Replace(pair, "+", "", 1))
		merges = append(merges, strings.Replace(pair, "+", " ", 1))
	}
	file, err := json.Marshal(object{"version": "1.0", "added_tokens": []any{},
		"normalizer": f.normalizer, "pre_tokenizer": f.pre, "decoder": f.decoder, "post_processor": nil,
		"model": object{"type": "BPE", "vocab": vocab, "merges": merges}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	require.NoError(t, os.WriteFile(path, file, 0o644))
	return openTokenizer(t, path)
}

func openTokenizer(t *testing.T, path string) *hf.Tokenizer {
	tok, err := hf.LoadTokenizer(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, tok.Close()) })
	return tok
}

// teacherTokenizer opens the tokenizer of the real teacher.
func teacherTokenizer(t *testing.T) *hf.Tokenizer {
	path := filepath.Join(buildDir, "models", teachers[0], "tokenizer.json")
	needFile(t, path)
	return openTokenizer(t, path)
}

// blankLine ends a prompt as Llama 3's chat template does.
const blankLine = "assistant\n\n"

// Rankings under the grammar are the tokenizer's own tokens, and the text that
// the parser reads, for tokenizers of many kinds.
func TestGrammarOfTokenizers(t *testing.T) {
	toks := map[string]*hf.Tokenizer{}
	for name := range families {
		toks[name] = family(t, name)
	}
	for _, folder := range []string{"testdata/tiny-gqa", "testdata/tokenizers/bos-eos", "testdata/tokenizers/metaspace"} {
		toks[folder] = openTokenizer(t, filepath.Join(root, folder, "tokenizer.json"))
	}
	toks[teachers[0]] = teacherTokenizer(t)
	for name, tok := range toks {
		for _, prompt := range [][2]string{{"Ranking:", " "}, {"<|im_start|>assistant\n", ""}, {blankLine, ""}, {"", ""}} {
			if name == teachers[0] && prompt[0] == blankLine {
				continue // see TestGrammarOfTokenizersNotes
			}
			for _, first := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s, %q, from %d", name, prompt[0], first), func(t *testing.T) {
					checkGrammar(t, tok, prompt[0], prompt[1], first)
				})
			}
		}
	}
}

func checkGrammar(t *testing.T, tok *hf.Tokenizer, tail, lead string, first int) {
	g, err := rank.NewGrammar(tok, tail, lead, first, 101)
	require.NoError(t, err)
	require.Empty(t, g.Note)
	before, err := tok.Encode(tail, false)
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(5, uint64(first)))
	for _, n := range []int{2, 3, 5, 11, 12, 30, 101} {
		var ids []int32
		guide := g.Guide(n)
		for allowed := guide.Allowed(); len(allowed) > 0; allowed = guide.Allowed() {
			ids = append(ids, allowed[rng.IntN(len(allowed))])
			guide.Accept(ids[len(ids)-1])
		}
		got, err := g.Read(n, ids, nil)
		require.NoError(t, err)
		whole, err := tok.Encode(tail+lead+rank.Format(got.Order, first), false)
		require.NoError(t, err)
		want := whole.IDs[len(before.IDs):]
		require.Equal(t, want[:len(ids)], ids)
		require.Equal(t, len(want), g.Full(got.Order))

		text, err := tok.Decode(slices.Concat(before.IDs, ids))
		require.NoError(t, err)
		read := rank.Parse(strings.TrimPrefix(strings.TrimLeft(text, " "), tail), n, first)
		if n > 2 {
			require.GreaterOrEqual(t, read.Found, n-2, text)
			require.Equal(t, got.Order[:read.Found], read.Order[:read.Found], text)
			require.Equal(t, rank.Repairs{Missing: n - read.Found}, read.Repairs, text)
		}
	}
}

// The teacher has "][" for a token, and "\n\n" for one where no text follows:
// prompts that end so are tokenised otherwise before a ranking.
func TestGrammarOfTokenizersNotes(t *testing.T) {
	tok := teacherTokenizer(t)
	for _, tail := range []string{"[/INST]", blankLine} {
		g, err := rank.NewGrammar(tok, tail, "", 1, 20)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("rankings are tokenised apart from the prompt: want the prompt's end to keep its tokens before a ranking, got others for %q", tail), g.Note)
		var text string
		guide := g.Guide(3)
		for allowed := guide.Allowed(); len(allowed) > 0; allowed = guide.Allowed() {
			one, err := tok.Decode(allowed[:1])
			require.NoError(t, err)
			text += one
			guide.Accept(allowed[0])
		}
		require.Equal(t, "[1] > [2", text)
	}
}
