// Package ort runs decoder graphs on ONNX Runtime. It is the one package that
// knows ONNX Runtime: it finds and loads the library, makes sessions on a
// provider, and implements model.Forwarder.
package ort

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"sync"

	onnx "github.com/yalue/onnxruntime_go"
)

// Library is a loaded ONNX Runtime.
type Library struct {
	Place   Place
	Version string
}

// cudaCall is where the reason begins in a failed call of CUDA's libraries: before
// it stand ONNX Runtime's own function, with all of its template arguments, and a
// provider's option. cudnnPlan is a plan as JSON, some 2 kB.
var (
	cudaCall  = regexp.MustCompile(`^.*(?:::CudaCall\(|Failed to parse provider option).*?((?:CUDA|CUBLAS|CUDNN|CUDNN_FE|CURAND|CUFFT) failure \d+: )`)
	cudnnPlan = regexp.MustCompile(`:?\{"context":.*\}`)
)

var ortPrefix = regexp.MustCompile(`^.*\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : `)

var (
	envMu  sync.Mutex
	loaded *Library
)

// Load finds and loads the ONNX Runtime library and makes its environment, once
// for the process. flag is the value of --ort-lib, or "".
func Load(flag string) (*Library, error) {
	envMu.Lock()
	defer envMu.Unlock()
	if loaded != nil {
		return loaded, nil
	}
	// Without it the library, as soon as it is loaded, writes a device id and a
	// database for Microsoft into the user's cache; DisableTelemetry comes too late.
	_ = os.Setenv("ORT_DISABLE_TELEMETRY", "1")
	place, err := load(places(flag), func(path string) error {
		onnx.SetSharedLibraryPath(path)
		// Errors reach the caller as errors; the library's own log would only
		// print them twice.
		if err := onnx.InitializeEnvironment(onnx.WithLogLevelFatal()); err != nil {
			return cleanError(err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	_ = onnx.DisableTelemetry()
	loaded = &Library{Place: place, Version: onnx.GetVersion()}
	return loaded, nil
}

// Unload releases the environment. No session may be open.
func Unload() error {
	envMu.Lock()
	defer envMu.Unlock()
	if loaded == nil {
		return nil
	}
	loaded = nil
	return onnx.DestroyEnvironment()
}

// cleanError gives a binding's error the form of this project's: one line, lower
// case, without the wrapper's own prefixes. One that says that memory ran out has
// model.ErrOutOfMemory in its chain.
func cleanError(err error) error {
	text := cleanText(err.Error())
	if err := memoryError(text); err != nil {
		return err
	}
	return errors.New(text)
}

func cleanText(text string) string {
	// After CUDA's words come its device, the machine's name and a line of C++.
	text, _, _ = strings.Cut(text, " ; GPU=")
	for _, prefix := range []string{
		"Platform-specific initialization failed: ", "Error running network: ",
		"Error creating C session from file: ", "Error creating session: ", "Error creating C session: ",
	} {
		text = strings.TrimPrefix(text, prefix)
	}
	text = strings.Join(strings.Fields(text), " ")
	text = cudnnPlan.ReplaceAllString(text, ", ")
	text = cudaCall.ReplaceAllString(text, "$1")
	// ONNX Runtime puts its own source file and function before the reason.
	if m := ortPrefix.FindStringIndex(text); m != nil {
		text = text[m[1]:]
	}
	if len(text) > 1 && text[1] >= 'a' && text[1] <= 'z' {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return strings.TrimSuffix(text, ".")
}
