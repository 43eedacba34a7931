package graph

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestColumnsOf(t *testing.T) {
	for vocab, want := range map[int64]int64{
		49152: 256, 50257: 1733, 128256: 384, 151936: 1187, 512: 32, 64: 8,
		24: 0, // not worth it
		-1: 0, 0: 0, 1: 0,
		50261:     0, // a prime
		8 * 9973:  0, // a table of 8 rows would be too wide
		1<<31 - 1: 0,
	} {
		require.Equal(t, want, columnsOf(vocab), "%d", vocab)
	}
}
