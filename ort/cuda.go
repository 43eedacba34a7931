package ort

import (
	_ "embed" // for double.onnx
	"fmt"
	"strconv"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
)

// Attention says which attention kernels CUDA may take.
type Attention string

// The kernels. ONNX Runtime by itself prefers cuDNN's on compute capability 9.0 and
// above. It builds a plan for each new shape [B, T] of a batch, some 400 ms each by
// others' reports, and keeps them all, so that Flash is the default.
const (
	Flash Attention = "flash" // flash, memory-efficient, or separate multiplies and a softmax
	CuDNN Attention = "cudnn" // cuDNN's where it takes the model, else as Flash
)

// sdpaKernels is a sum of AttentionBackend's bits in onnxruntime's
// contrib_ops/cpu/bert/attention_common.h: 1 flash, 2 memory-efficient, 8 cuDNN's
// flash, 16 multiplies and a softmax.
var sdpaKernels = map[Attention]string{Flash: "19", CuDNN: "27", "": "19"}

// cudaSession opens the graph on CUDA, and says which of its nodes ONNX Runtime
// puts on the cpu all the same: the arithmetic of shapes, as a rule, and whatever
// the provider has no kernel for.
func cudaSession(src source, in, out []string, opts Options) (*onnx.DynamicAdvancedSession, []string, error) {
	s, err := open(src, in, out, opts, func(so *onnx.SessionOptions) error {
		for key, value := range map[string]string{
			recordAssignment: "1",
			// The weights are as large as they are; the arena would round them up to
			// its own regions.
			"session.use_device_allocator_for_initializers": "1",
			// GroupQueryAttentionFusion of ONNX Runtime 1.31 reads a past that scoring
			// does not have: SIGSEGV where the rotation stands outside of the operator.
			"optimization.disable_specified_optimizers": "GroupQueryAttentionFusion",
		} {
			if err := so.AddSessionConfigEntry(key, value); err != nil {
				return err
			}
		}
		return appendCUDA(so, opts, src.size)
	})
	if err != nil {
		return nil, nil, cudaReason(err, opts.Device)
	}
	nodes, err := assignments(s)
	if err != nil {
		_ = s.Destroy()
		return nil, nil, err
	}
	if note := nodes.onCPU(); note != "" {
		return s, []string{note}, nil
	}
	return s, nil, nil
}

// appendCUDA puts the CUDA provider first, for a model whose weights take so many
// bytes. Update comes before Append because only its error holds the loader's reason.
//
// The arena grows by powers of two: few allocations, most at a job's beginning. Once
// memory ran out it grows by what is asked: that takes a block for every batch larger
// than those before, and fits where the next power of two does not. TF32 is off: it
// would cut fp32 to ten bits, also in the tail of a 16-bit model that makes its
// log-probabilities exact.
func appendCUDA(so *onnx.SessionOptions, opts Options, weights int64) error {
	restore := saveSignals()
	defer restore()
	cuda, err := onnx.NewCUDAProviderOptions()
	if err != nil {
		return cudaError(cleanError(err), opts.Device)
	}
	defer cuda.Destroy()
	settings := map[string]string{
		"device_id":             strconv.Itoa(opts.Device),
		"arena_extend_strategy": "kNextPowerOfTwo",
		"use_tf32":              "0",
		"sdpa_kernel":           sdpaKernels[opts.Attention],
	}
	if opts.tight {
		settings["arena_extend_strategy"] = "kSameAsRequested"
	}
	// Update loads CUDA's runtime, which arenaLimit asks, and knows nothing of what an
	// Update before it set.
	if err := cuda.Update(settings); err != nil {
		return cudaError(cleanError(err), opts.Device)
	}
	limit, err := arenaLimit(opts, weights)
	if err != nil {
		return err
	}
	if limit > 0 {
		settings["gpu_mem_limit"] = strconv.FormatInt(limit, 10)
		err = cuda.Update(settings)
	}
	if err == nil {
		err = so.AppendExecutionProviderCUDA(cuda)
	}
	if err != nil {
		return cudaError(cleanError(err), opts.Device)
	}
	return nil
}

// arenaLimit bounds the bytes of a session's weights and arena, 0 for no bound.
// Beside a cache, the arena gets half of what the weights leave of the free memory:
// growing by powers of two, it would leave less to a cache that is made larger later.
func arenaLimit(opts Options, weights int64) (int64, error) {
	if !opts.cache {
		return opts.MemoryLimit, nil
	}
	rt, err := openCudart(opts.Device)
	if err != nil {
		return 0, err
	}
	free, err := rt.freeMemory()
	if err != nil || free <= weights {
		return opts.MemoryLimit, nil // the session says what is wrong, in better words
	}
	half := weights + (free-weights)/2
	if opts.MemoryLimit > 0 {
		half = min(half, opts.MemoryLimit)
	}
	return half, nil
}

// checkLimit refuses a model whose weights alone take what is allowed. ONNX Runtime
// 1.31 subtracts them from the limit without a sign, so that there would be none.
func (m *memory) checkLimit(limit int64) error {
	if m.cuda == nil || limit == 0 {
		return nil
	}
	weights, err := m.inUse()
	if err == nil && weights >= limit {
		err = fmt.Errorf("%w: the weights take %d MiB of the %d allowed", model.ErrOutOfMemory, weights>>20, limit>>20)
	}
	return err
}

// double is a graph of one Add node, y = x + x, float [1], made with onnx.helper. It
// stands in for a model where only the provider is tried.
//
//go:embed double.onnx
var double []byte

// CheckCUDA reports why the CUDA provider does not run a graph, or nil. It runs a
// kernel: the library may have none for the device, which a session does not notice.
func CheckCUDA(device int) error {
	t := newThread()
	defer t.close()
	return t.do(func() error { return tryKernel(device) })
}

func tryKernel(device int) error {
	so, err := onnx.NewSessionOptions()
	if err != nil {
		return cleanError(err)
	}
	defer so.Destroy()
	if err := appendCUDA(so, Options{Device: device}, 0); err != nil {
		return err
	}
	restore := saveSignals()
	defer restore()
	s, err := onnx.NewDynamicAdvancedSessionWithONNXData(double, []string{"x"}, []string{"y"}, so)
	if err != nil {
		return cudaError(cleanError(err), device)
	}
	defer s.Destroy()
	var values [2]onnx.Value
	for i := range values {
		if values[i], err = onnx.NewTensor(onnx.NewShape(1), []float32{1}); err != nil {
			return cleanError(err)
		}
		defer values[i].Destroy()
	}
	if err := s.Run(values[:1], values[1:]); err != nil {
		return cudaError(cleanError(err), device)
	}
	return nil
}
