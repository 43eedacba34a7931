package ort

import (
	_ "embed" // for identity.onnx
	"errors"
	"fmt"
	"strconv"
	"strings"

	onnx "github.com/yalue/onnxruntime_go"
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

// cudaSession opens the graph on CUDA. Nodes that ONNX Runtime puts on the CPU
// all the same are first forbidden, then, where the graph cannot do without
// them, allowed and reported.
func cudaSession(src source, in, out []string, opts Options) (*onnx.DynamicAdvancedSession, []string, error) {
	for _, fallback := range []bool{false, true} {
		s, err := open(src, in, out, opts, func(so *onnx.SessionOptions) error {
			if !fallback {
				if err := so.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1"); err != nil {
					return err
				}
			}
			return appendCUDA(so, opts.Device)
		})
		if err == nil && fallback {
			return s, []string{"some nodes of the graph run on the cpu (shape arithmetic, as a rule)"}, nil
		}
		if err == nil || fallback || !strings.Contains(err.Error(), "fallback") {
			return s, nil, err
		}
	}
	panic("unreachable")
}

// appendCUDA puts the CUDA provider first. Update comes before Append because
// only its error holds the loader's reason.
func appendCUDA(so *onnx.SessionOptions, device int) error {
	restore := saveSignals()
	defer restore()
	cuda, err := onnx.NewCUDAProviderOptions()
	if err != nil {
		return cudaError(err)
	}
	defer cuda.Destroy()
	err = cuda.Update(map[string]string{
		"device_id":             strconv.Itoa(device),
		"arena_extend_strategy": "kSameAsRequested",
	})
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
	if err := appendCUDA(so, device); err != nil {
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
