package ort

import (
	_ "embed" // for identity.onnx
	"errors"
	"fmt"
	"strconv"
	"strings"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model"
)

// Provider is the hardware that runs the graph.
type Provider string

// The providers. Auto takes CUDA where it starts and the CPU where it does not,
// and says which and why in Info.Notes.
const (
	CPU  Provider = "cpu"
	CUDA Provider = "cuda"
	Auto Provider = "auto"
)

// newSession opens a graph on the wanted provider.
func newSession(src source, in, out []string, opts Options) (*onnx.DynamicAdvancedSession, Provider, []string, error) {
	switch opts.Provider {
	case CUDA:
		s, notes, err := cudaSession(src, in, out, opts)
		return s, CUDA, notes, err
	case CPU, "":
		s, err := cpuSession(src, in, out, opts)
		return s, CPU, nil, err
	case Auto:
		s, notes, err := cudaSession(src, in, out, opts)
		if err == nil {
			return s, CUDA, notes, nil
		}
		note := "runs on the cpu: " + err.Error()
		s, err = cpuSession(src, in, out, opts)
		return s, CPU, []string{note}, err
	}
	return nil, "", nil, fmt.Errorf("want provider cpu, cuda or auto, got %q", opts.Provider)
}

func cpuSession(src source, in, out []string, opts Options) (*onnx.DynamicAdvancedSession, error) {
	return open(src, in, out, opts, nil)
}

// cudaSession opens the graph on CUDA, and says which of its nodes ONNX Runtime
// puts on the cpu all the same: the arithmetic of shapes, as a rule, and whatever
// the provider has no kernel for.
func cudaSession(src source, in, out []string, opts Options) (*onnx.DynamicAdvancedSession, []string, error) {
	s, err := open(src, in, out, opts, func(so *onnx.SessionOptions) error {
		if err := so.AddSessionConfigEntry(recordAssignment, "1"); err != nil {
			return err
		}
		return appendCUDA(so, opts)
	})
	if err != nil {
		return nil, nil, cudaReason(err)
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

// appendCUDA puts the CUDA provider first. Update comes before Append because
// only its error holds the loader's reason.
//
// The arena grows by what is asked: by powers of two, a batch that does not fit
// would double it. TF32 is off: it would cut fp32 to ten bits, also in the tail of
// a 16-bit model that makes its log-probabilities exact. cuDNN is left on: the library loads it when an operator asks
// first, and sums of integers, as GroupQueryAttention graphs make of the mask, ask.
func appendCUDA(so *onnx.SessionOptions, opts Options) error {
	restore := saveSignals()
	defer restore()
	cuda, err := onnx.NewCUDAProviderOptions()
	if err != nil {
		return cudaError(err)
	}
	defer cuda.Destroy()
	settings := map[string]string{
		"device_id":             strconv.Itoa(opts.Device),
		"arena_extend_strategy": "kSameAsRequested",
		"use_tf32":              "0",
	}
	if opts.MemoryLimit > 0 {
		settings["gpu_mem_limit"] = strconv.FormatInt(opts.MemoryLimit, 10)
	}
	err = cuda.Update(settings)
	if err == nil {
		err = so.AppendExecutionProviderCUDA(cuda)
	}
	if err != nil {
		return cudaError(err)
	}
	return nil
}

// ErrCUDA is in the chain of every error that says why CUDA does not start.
var ErrCUDA = errors.New("the cuda provider does not start")

func cudaError(err error) error {
	return fmt.Errorf("%w: %w", ErrCUDA, cleanError(err))
}

// cudaReason puts ErrCUDA before errors of CUDA and its libraries that a session
// or its first run shows: no device, a driver that is too old, no cuDNN. Another
// graph would not help there.
func cudaReason(err error) error {
	if errors.Is(err, ErrCUDA) || errors.Is(err, model.ErrOutOfMemory) {
		return err
	}
	text := strings.ToLower(err.Error())
	for _, part := range []string{"cuda failure", "cuda error", "cublas failure", "cudnn failure", "cudnn is unavailable", "a cudnn handle is required"} {
		if strings.Contains(text, part) {
			return cudaError(err)
		}
	}
	return err
}

// identity is a graph of one Identity node, from x to y, float [1], made with
// onnx.helper. It stands in for a model where only the provider is tried.
//
//go:embed identity.onnx
var identity []byte

// CheckCUDA reports why the CUDA provider does not run a graph, or nil. The
// device is first touched when a session is made.
func CheckCUDA(device int) error {
	so, err := onnx.NewSessionOptions()
	if err != nil {
		return cleanError(err)
	}
	defer so.Destroy()
	if err := appendCUDA(so, Options{Device: device}); err != nil {
		return err
	}
	restore := saveSignals()
	defer restore()
	s, err := onnx.NewDynamicAdvancedSessionWithONNXData(identity, []string{"x"}, []string{"y"}, so)
	if err != nil {
		return cudaError(err)
	}
	return s.Destroy()
}

func open(src source, in, out []string, opts Options, provider func(*onnx.SessionOptions) error) (*onnx.DynamicAdvancedSession, error) {
	so, err := onnx.NewSessionOptions()
	if err != nil {
		return nil, cleanError(err)
	}
	defer so.Destroy()
	// A memory pattern is kept for every shape that was ever run: over days of
	// batches of all shapes, that is a leak.
	err = errors.Join(so.SetIntraOpNumThreads(opts.Threads), so.SetMemPattern(false), exactIntegers(so))
	if err == nil && opts.Profile != "" {
		err = so.EnableProfiling(opts.Profile)
	}
	if err == nil && provider != nil {
		err = provider(so)
	}
	if err != nil {
		return nil, err
	}
	restore := saveSignals()
	defer restore()
	s, err := src.session(in, out, so)
	if err != nil {
		return nil, cleanError(err)
	}
	return s, nil
}
