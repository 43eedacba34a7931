//go:build cgo

package rank_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/rank"
)

// With real tokenizers a passage's tokens change a little among others; the
// prompt fits all the same, uses the room it has, and is found in a few calls.
func TestFitWithTokenizers(t *testing.T) {
	const text = "The café of Zoë 🐝 opened in 1907; 東京 and the sea were far away, said the keeper. "
	row, err := dataset.Parse("rows.jsonl", 1, []byte(`{}`))
	require.NoError(t, err)
	ex := &rank.Example{Row: row, Query: "who opened the café?"}
	shown := make([]int, 8)
	for i := range shown {
		shown[i] = i
		ex.Passages = append(ex.Passages, string(rune('a'+i))+strings.Repeat(text, 1+i%3)[i:])
	}
	for _, name := range []string{"tiny-gqa", "tokenizers/bos-eos", "tokenizers/metaspace"} {
		tok, err := hf.LoadTokenizer(filepath.Join("../testdata", name, "tokenizer.json"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = tok.Close() })
		p, err := rank.Prepare(tok, ex, 60)
		require.NoError(t, err)
		calls := 0
		f := rank.Fitter{Template: rank.DefaultTemplate(), Frame: func(prompt string) ([]int32, error) {
			calls++
			enc, err := tok.Encode(prompt, true)
			return enc.IDs, err
		}, MaxPrompt: 1 << 20}
		whole, err := f.Fit(p, shown)
		require.NoError(t, err)
		fitted := 0
		for f.MaxPrompt = len(whole.Tokens); ; f.MaxPrompt -= 3 {
			calls = 0
			got, err := f.Fit(p, shown)
			require.LessOrEqual(t, calls, 6, name)
			if err != nil {
				require.ErrorContains(t, err, "with all passages empty")
				break
			}
			fitted++
			total := len(got.Tokens)
			require.LessOrEqual(t, total, f.MaxPrompt, name)
			// One more token each may be a character of four, and so many more at once.
			require.Greater(t, total, f.MaxPrompt-5*len(shown), "%s: no more is cut than must be", name)
		}
		require.Greater(t, fitted, 50, name)
	}
}
