package main

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/hf"
	"github.com/ortscore/ortscore/ort"
)

func TestTunerStaysWithinTheMemory(t *testing.T) {
	require.Equal(t, 8192, tuner(ort.CPU, math.MaxInt32).Most)
	require.Equal(t, 65536, tuner(ort.CUDA, math.MaxInt32).Most)
	require.Equal(t, 2048, tuner(ort.CUDA, 9000).Least)
	small := tuner(ort.CUDA, 300)
	require.Equal(t, []int{300, 300}, []int{small.Least, small.Most})
	require.Equal(t, 300, small.Tokens(100))
	big := tuner(ort.CUDA, math.MaxInt32)
	require.Equal(t, 65536, big.Tokens(100), "the largest memory is taken first")
}

// A forward of Llama-7B in fp16 takes, by the sizes of its tensors, about 90 KB a
// token (the MLP's 3 of 11,008 and some 6 of 4,096 numbers); the estimate, in fp32
// and from above, is no less, and not so much that a GPU would starve.
func TestForwardToken(t *testing.T) {
	llama := &teacher{config: &hf.Config{Heads: 32, HeadDim: 128}}
	got := llama.forwardToken(4096)
	require.Greater(t, got, 90<<10)
	require.Less(t, got, 1<<20)
	require.Zero(t, (&teacher{config: &hf.Config{}}).forwardToken(4096))
}

func TestDecodeBudget(t *testing.T) {
	const gib = 1 << 30
	var f decodeFlags
	require.Equal(t, decodeBudget{1024, 16, 32768}, f.budget(ort.CPU, 20*gib, 100<<10, 46080))
	// Llama-7B in fp16 beside 100 GiB: half of them hold 102,400 tokens.
	require.Equal(t, decodeBudget{8192, 64, 102400}, f.budget(ort.CUDA, 100*gib, 500<<10, 512<<10))
	// Little memory, and memory of which nothing is known.
	require.Equal(t, decodeBudget{512, 64, 1024}, f.budget(ort.CUDA, gib, 512<<10, 512<<10))
	require.Equal(t, decodeBudget{8192, 64, math.MaxInt32}, f.budget(ort.CUDA, math.MaxInt64, 512<<10, 512<<10))
	// The flags decide.
	f = decodeFlags{batchTokens: 5, batchSize: 6, cacheTokens: 7}
	require.Equal(t, decodeBudget{5, 6, 7}, f.budget(ort.CUDA, gib, 512<<10, 512<<10))
}
