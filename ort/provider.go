package ort

import (
	"context"
	"errors"
	"fmt"
	"slices"

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

// onProvider opens a model on the provider that the options name, of which Auto is
// none: it takes CUDA if that runs the model, else the CPU with a note.
func onProvider[T any](ctx context.Context, opts Options, open func(Options) (T, error)) (none T, err error) {
	switch opts.Provider {
	case CPU, CUDA:
		return open(opts)
	case "":
		opts.Provider = CPU
		return open(opts)
	case Auto:
	default:
		return none, fmt.Errorf("want provider cpu, cuda or auto, got %q", opts.Provider)
	}
	opts.Provider = CUDA
	if err = CheckCUDA(opts.Device); err == nil {
		m, failed := open(opts)
		if failed == nil || ctx.Err() != nil {
			return m, failed
		}
		err = failed
	}
	opts.Provider = CPU
	opts.notes = append(slices.Clone(opts.notes), "runs on the cpu: "+err.Error())
	m, failed := open(opts)
	if failed != nil && ctx.Err() == nil {
		failed = afterCUDA(failed, err)
	}
	return m, failed
}

// afterCUDA is why the cpu did not take a model, with what CUDA said before where that
// was another thing. CUDA's error is not in the chain: its hint would not help here.
func afterCUDA(cpu, cuda error) error {
	if cpu.Error() == cuda.Error() {
		return cpu
	}
	return fmt.Errorf("%w; before that, %s", cpu, cuda.Error())
}

// newSession opens a graph on a provider, with notes on what a person should know.
func newSession(src source, in, out []string, opts Options) (*onnx.DynamicAdvancedSession, []string, error) {
	if opts.Provider == CUDA {
		return cudaSession(src, in, out, opts)
	}
	s, err := cpuSession(src, in, out, opts)
	return s, nil, err
}

func cpuSession(src source, in, out []string, opts Options) (*onnx.DynamicAdvancedSession, error) {
	return open(src, in, out, opts, nil)
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
