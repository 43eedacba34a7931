package openai

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A server that takes the first 2,000 tokens of a prompt and says nothing.
func TestCutPromptsAreTold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for name, tokens := range map[string]func(bytes int) int{
		"cut":               func(bytes int) int { return min(2000, bytes/4) },
		"by a little":       func(bytes int) int { return min(300, bytes/4) },
		"always cut":        func(int) int { return 2000 },
		"cut, some are not": func(bytes int) int { return min(2000, bytes/(3+bytes%2)) },
	} {
		var l lengths
		var told []string
		for range 500 {
			bytes := 2000 + rng.IntN(14000)
			if name == "by a little" {
				bytes = 1250 + rng.IntN(100)
			}
			if note := l.add(bytes, tokens(bytes)); note != "" {
				told = append(told, note)
			}
		}
		require.Len(t, told, 1, name)
		require.Regexp(t, `^the endpoint counts (2000|300) tokens in a prompt of \d+ bytes and in one of \d+: `, told[0])
	}
}

func TestOtherPromptsAreNotTold(t *testing.T) {
	for name, draw := range map[string]func(rng *rand.Rand) (bytes, tokens int){
		"counted": func(rng *rand.Rand) (int, int) {
			tokens := 200 + rng.IntN(3000)
			return tokens * (30 + rng.IntN(20)) / 10, tokens
		},
		"short": func(rng *rand.Rand) (int, int) {
			tokens := 60 + rng.IntN(20)
			return tokens * (38 + rng.IntN(8)) / 10, tokens
		},
		"two languages": func(rng *rand.Rand) (int, int) {
			tokens := 200 + rng.IntN(3000)
			return tokens * []int{3, 6}[rng.IntN(2)], tokens
		},
		"not counted": func(rng *rand.Rand) (int, int) { return rng.IntN(9000), 0 },
		"alike":       func(rng *rand.Rand) (int, int) { return 1000 + rng.IntN(60), 300 },
	} {
		for seed := range uint64(50) {
			var l lengths
			rng := rand.New(rand.NewPCG(seed, 2))
			for range 2000 {
				require.Empty(t, l.add(draw(rng)), name)
			}
		}
	}
}

func TestAFewPromptsAreEnough(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { say(w, "ok") }) // which counts 7
	opts := s.options()
	var notes []string
	opts.Parallel = 1
	opts.OnNote = func(note string) { notes = append(notes, note) }
	c, _ := newClient(t, opts)
	_, err := c.Complete(t.Context(), []string{strings.Repeat("x", 100), strings.Repeat("x", 150), strings.Repeat("x", 201)}, nil)
	require.NoError(t, err)
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], "the endpoint counts 7 tokens in a prompt of 100 bytes and in one of 201:")
}
