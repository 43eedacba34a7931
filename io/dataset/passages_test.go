package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPassageField(t *testing.T) {
	require.Equal(t, []string{"pos[0]", "pos[1]", "neg[0]", "neg[1]"},
		[]string{PassageField(0, 2), PassageField(1, 2), PassageField(2, 2), PassageField(3, 2)})
}

// A draw depends on the seed and on every word, and on where the words part.
func TestDraw(t *testing.T) {
	draw := func(seed uint64, query string, texts []string, more ...uint64) uint64 {
		return Draw(seed, query, texts, more...).Uint64()
	}
	want := draw(1, "q", []string{"a", "b"})
	require.Equal(t, want, draw(1, "q", []string{"a", "b"}))
	for _, other := range []uint64{draw(2, "q", []string{"a", "b"}), draw(1, "r", []string{"a", "b"}), draw(1, "q", []string{"ab"}),
		draw(1, "qa", []string{"b"}), draw(1, "q", []string{"b", "a"}), draw(1, "q", []string{"a", "b"}, 0)} {
		require.NotEqual(t, want, other)
	}
}
