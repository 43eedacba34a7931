package hf

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// longTexts are of several prefixes: prose, and what tokenizers find hard.
func longTexts(rng *rand.Rand) map[string]string {
	var prose, mixed strings.Builder
	for prose.Len() < 40_000 {
		prose.WriteString([]string{"the ", "sea ", "what ", "insect ", "in 1907, ", "Zoë ", "ships.\n"}[rng.IntN(7)])
	}
	for mixed.Len() < 40_000 {
		mixed.WriteString(randomText(rng))
	}
	return map[string]string{
		"prose": prose.String(), "mixed": mixed.String(),
		"a letter": strings.Repeat("a", 40_000), "an emoji": strings.Repeat("🐝", 10_000), "unknown": strings.Repeat("日本", 20_000),
		"spaces": strings.Repeat(" ", 60_000) + "the sea", "newlines": strings.Repeat("\n", 60_000) + "the sea",
		"wide letters": strings.Repeat("Ａ½ ", 20_000), "a long word in the middle": prose.String()[:3000] + strings.Repeat("ab", 20_000) + prose.String(),
		"a long word at the cut": prose.String()[:8100] + strings.Repeat("x", 150) + " " + prose.String(),
	}
}

// The first tokens of a long text are those of the whole text, by every kind of
// tokenizer, and what is cut after them is the same.
func TestFirstTokensAsOfTheWhole(t *testing.T) {
	for _, name := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tok := loadKind(t, name)
			for about, text := range longTexts(rand.New(rand.NewPCG(3, 4))) {
				whole, err := tok.Encode(text, false)
				require.NoError(t, err)
				for _, n := range []int{64, 1500} {
					got, err := model.EncodeFirst(tok, text, n)
					require.NoError(t, err, "%s %d", about, n)
					k := min(n, len(whole.IDs))
					require.Equal(t, whole.IDs[:k], got.IDs[:k], "%s %d", about, n)
					require.Equal(t, whole.Offsets[:k], got.Offsets[:k], "%s %d", about, n)
					require.Equal(t, len(whole.IDs) > n, len(got.IDs) > n, "%s %d", about, n)
					require.Equal(t, model.CutAfter(text, whole, n), model.CutAfter(text, got, n), "%s %d", about, n)
				}
			}
		})
	}
}
