package hf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchTexts are rows as they come: a question with a passage, and a long one.
func benchTexts(b *testing.B) map[string]string {
	b.Helper()
	source, err := os.ReadFile(filepath.Join(root, "examples", "questions.jsonl"))
	require.NoError(b, err)
	prose := string(source)
	return map[string]string{"short": prose[:240], "long": prose[:2400], "100 KB": strings.Repeat(prose, 100_000/len(prose)+1)[:100_000]}
}

// BenchmarkEncode tokenises with the demo's teacher's tokenizer, or a fixture's.
func BenchmarkEncode(b *testing.B) {
	path := filepath.Join(root, "build", "models", "smollm2-135m-instruct", "tokenizer.json")
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(root, tiny, "tokenizer.json")
	}
	tok, err := LoadTokenizer(path)
	require.NoError(b, err)
	defer tok.Close()
	for name, text := range benchTexts(b) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := tok.Encode(text, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
