package ort

import (
	"context"
	"errors"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// huge is a forward whose mask [1, 1, T, T] takes 490 GB. Its positions are few,
// so that the table of RoPE has them all.
func huge() *forward {
	const width = 700_000
	f := &forward{rows: 1, width: width, at: placesOf(0, 0), targets: []int64{1}}
	f.ids, f.positions, f.mask = make([]int64, width), make([]int64, width), make([]int64, width)
	for t := range f.mask {
		f.mask[t] = 1
	}
	return f
}

// What ONNX Runtime says where memory runs out is understood, and a model that was
// made anew gives what it gave before.
func TestOutOfMemory(t *testing.T) {
	lm := openFixture(t, "tiny-explicit", Options{Threads: 1})
	seqs := someSequences(7, lm.Info().Vocab)
	want := score(t, lm, model.Limits{Tokens: 100}, seqs)

	out, err := onnx.NewTensor(onnx.NewShape(1, 1), []float32{0})
	require.NoError(t, err)
	defer out.Destroy()
	err = lm.withPast(1, func(past []onnx.Value) error {
		return lm.run(context.Background(), huge(), past, []onnx.Value{out})
	})
	require.ErrorIs(t, err, model.ErrOutOfMemory)
	require.ErrorContains(t, err, "out of memory: failed to allocate memory for requested buffer of size")

	for range 2 {
		require.NoError(t, lm.Reopen(context.Background()))
		require.Equal(t, want, score(t, lm, model.Limits{Tokens: 100}, seqs))
	}
	require.Equal(t, LogProbsPast, lm.Info().Form)
}

// The words of CUDA and of its libraries, as ONNX Runtime passes them on.
func TestOutOfMemoryWords(t *testing.T) {
	for text, want := range map[string]string{
		"Non-zero status code returned while running MatMul node. Name:'/lm_head/MatMul' Status Message: /onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:376 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 1258291200\n": "out of memory: failed to allocate memory for requested buffer of size 1258291200",
		"Status Message: Available memory of 1024 is smaller than requested bytes of 4096":                                                                   "out of memory: available memory of 1024 is smaller than requested bytes of 4096",
		"CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_allocator.cc ; line=1 ; expr=f(); ": "out of memory",
		"CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=h ; file=cuda_stream_handle.cc ; line=1 ; expr=cublasCreate(&h); ":                  "out of memory: cublas failure 3: cublas_status_alloc_failed",
		"std::bad_alloc": "out of memory: bad_alloc",
		"CUBLAS failure 3: the resource allocation failed ; GPU=0 ; hostname=h ; ":            "out of memory: cublas failure 3: the resource allocation failed",
		"CUBLAS failure 1: the library was not initialized ; GPU=0 ; hostname=h ; ":           "out of memory: cublas failure 1: the library was not initialized",
		"CUDNN failure 5003: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ; GPU=0 ; ": "out of memory: device_allocation_failed",
	} {
		err := cleanError(errors.New(text))
		require.ErrorIs(t, err, model.ErrOutOfMemory)
		require.EqualError(t, err, want)
		require.Equal(t, err, cudaReason(err, 0), "CUDA did start")
	}
	// cuBLAS's 13 and 14 begin like 1.
	for _, text := range []string{"CUBLAS failure 13: the function failed to launch on the GPU", "CUBLAS failure 14: an internal operation failed"} {
		err := cleanError(errors.New(text))
		require.NotErrorIs(t, err, model.ErrOutOfMemory)
		require.ErrorIs(t, explain(err, 0), ErrDevice)
	}
	none := cleanError(errors.New("CUDA failure 100: no CUDA-capable device is detected ; GPU=-1"))
	require.NotErrorIs(t, none, model.ErrOutOfMemory)
	require.ErrorIs(t, cudaReason(none, 0), ErrCUDA)
	require.NotErrorIs(t, cudaReason(cleanError(errors.New("Invalid input name: x")), 0), ErrCUDA)
}

// A buffer that cannot be had is an error, and not the end of the process.
func TestCacheOutOfMemory(t *testing.T) {
	for name := range decoders {
		d := openDecoder(t, name).(*cached)
		err := d.Reset(1<<16, 8, 1<<30)
		require.ErrorIs(t, err, model.ErrOutOfMemory, name)
		want := written(t, openDecoder(t, name), model.Limits{Rows: 4, Tokens: 64}, model.Sampling{}, prompts(5))
		require.NoError(t, d.Reopen(context.Background()))
		require.Equal(t, want, written(t, d, model.Limits{Rows: 4, Tokens: 64}, model.Sampling{}, prompts(5)), name)
	}
}

// A model whose reopening failed says so, and is closed as any other.
func TestReopenStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	lm := openFixture(t, "tiny-gqa", Options{})
	require.ErrorIs(t, lm.Reopen(ctx), context.Canceled)
	err := lm.LogProbs(context.Background(), &model.Batch{Rows: 1, Width: 2, Lens: []int{2}, TokenIDs: []int64{1, 2}},
		[]model.Position{{Target: 1}}, make([]float32, 1))
	require.ErrorIs(t, err, errClosed)
	_, err = lm.FreeMemory()
	require.ErrorIs(t, err, errClosed)
}

func scoringPresent(int) graph.Form { return graph.ScoringPresent }

// The graph for CUDA, with outputs that nobody reads, gives what that of the cpu
// gives.
func TestScoringPresent(t *testing.T) {
	for name, limit := range map[string]float64{"tiny-gqa": 1e-5, "tiny-gqa-fp16": 5e-3, "tiny-explicit": 1e-5} {
		want := openFixture(t, name, Options{Threads: 1})
		got, err := openLM(context.Background(), fixture(name), Options{Threads: 1}, scoringPresent)
		require.NoError(t, err)
		defer got.Close()
		require.Equal(t, want.Info().Form, got.Info().Form, name)
		seqs := someSequences(9, want.Info().Vocab)
		limits := model.Limits{Tokens: 100}
		require.InDeltaSlice(t, score(t, want, limits, seqs), score(t, got, limits, seqs), limit, name)
	}
}

// Which provider runs what is asked of sessions on CUDA; here the cpu runs all.
func TestAssignments(t *testing.T) {
	needLibrary(t)
	so, err := onnx.NewSessionOptions()
	require.NoError(t, err)
	defer so.Destroy()
	require.NoError(t, so.AddSessionConfigEntry(recordAssignment, "1"))
	s, err := onnx.NewDynamicAdvancedSession(fixture("tiny-gqa"), []string{"input_ids"}, []string{"logits"}, so)
	require.NoError(t, err)
	defer s.Destroy()
	got, err := assignments(s)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, 2, got["CPUExecutionProvider"]["GroupQueryAttention"])
	require.Regexp(t, `^\d+ of the graph's \d+ nodes run on the cpu: .*GroupQueryAttention, MatMul`, got.onCPU())
	require.Equal(t, "2 of the graph's 6 nodes run on the cpu: GatherND, MatMulInteger",
		assigned{"CPUExecutionProvider": {"Shape": 1, "MatMulInteger": 1, "GatherND": 1}, "CUDAExecutionProvider": {"MatMul": 3}}.onCPU())
	require.Empty(t, assigned{"CPUExecutionProvider": {"Shape": 1, "Cast": 1}, "CUDAExecutionProvider": {"MatMul": 3}}.onCPU())
}

func TestFreeMemory(t *testing.T) {
	lm := openFixture(t, "tiny-gqa", Options{})
	free, err := lm.FreeMemory()
	require.NoError(t, err)
	require.Greater(t, free, int64(1<<20))

	files := func(pairs ...string) fstest.MapFS {
		m := fstest.MapFS{"proc/meminfo": {Data: []byte("MemTotal: 9000 kB\nMemAvailable:   8000 kB\n")}}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		}
		return m
	}
	for name, c := range map[string]struct {
		root fstest.MapFS
		want int64
	}{
		"no groups":      {files(), 8000 * 1024},
		"no limit":       {files("proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/a/memory.max", "max\n", "sys/fs/cgroup/a/memory.current", "100\n"), 8000 * 1024},
		"a limit":        {files("proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/a/memory.max", "5000\n", "sys/fs/cgroup/a/memory.current", "3000\n"), 2000},
		"file pages":     {files("proc/self/cgroup", "0::/a\n", "sys/fs/cgroup/a/memory.max", "5000\n", "sys/fs/cgroup/a/memory.current", "3000\n", "sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 700\n"), 2700},
		"a limit above":  {files("proc/self/cgroup", "0::/a/b\n", "sys/fs/cgroup/a/memory.max", "5000\n", "sys/fs/cgroup/a/memory.current", "4000\n"), 1000},
		"in a container": {files("proc/self/cgroup", "0::/host/path\n", "sys/fs/cgroup/memory.max", "5000\n", "sys/fs/cgroup/memory.current", "1000\n"), 4000},
		"version 1":      {files("proc/self/cgroup", "3:cpu:/x\n2:memory:/x\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes", "5000\n", "sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1\n"), 4999},
		"beyond it":      {files("proc/self/cgroup", "0::/\n", "sys/fs/cgroup/memory.max", "5000\n", "sys/fs/cgroup/memory.current", "6000\n"), 0},
	} {
		got, err := freeMemory(c.root)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	_, err = freeMemory(fstest.MapFS{})
	require.Error(t, err)
}
