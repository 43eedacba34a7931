package ort

import (
	"errors"
	"fmt"

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
		err := CheckCUDA(opts.Device)
		if err == nil {
			s, notes, failed := cudaSession(src, in, out, opts)
			if failed == nil {
				return s, CUDA, notes, nil
			}
			err = failed
		}
		note := "runs on the cpu: " + err.Error()
		s, err := cpuSession(src, in, out, opts)
		return s, CPU, []string{note}, err
	}
	return nil, "", nil, fmt.Errorf("want provider cpu, cuda or auto, got %q", opts.Provider)
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
