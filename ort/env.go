// Package ort runs decoder graphs on ONNX Runtime. It is the one package that
// knows ONNX Runtime: it finds and loads the library, makes sessions on a
// provider, and implements model.Forwarder.
package ort

import (
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

var (
	// buildPath begins the place in ONNX Runtime's sources that an exception names,
	// with the function's signature behind it.
	buildPath = regexp.MustCompile(`/onnxruntime_src/\S+:\d+ `)
	// optionFailure is what stands before CUDA's words where an option asked for a device.
	optionFailure = regexp.MustCompile(`^.*Failed to parse provider option "device_id": (\S+\.cc:\d+ operator\(\) )?`)
	// cudnnPlan is a plan as JSON, some 2 kB.
	cudnnPlan = regexp.MustCompile(`:?\{"context":.*\}`)
)

// dropSignatures takes the places in ONNX Runtime's sources out of a text: path and
// line, and a function with all its template arguments, such as "void f(T) [with T =
// float]".
func dropSignatures(text string) string {
	for {
		at := buildPath.FindStringIndex(text)
		if at == nil {
			return text
		}
		rest := text[at[1]:]
		rest = strings.TrimPrefix(strings.TrimSpace(afterBrackets(rest, '(', ')')), "const ")
		if strings.HasPrefix(rest, "[with ") {
			rest = strings.TrimSpace(afterBrackets(rest, '[', ']'))
		}
		text = text[:at[0]] + rest
	}
}

// afterBrackets returns what follows the first pair of brackets and all within it;
// the text itself where there is none.
func afterBrackets(text string, open, end byte) string {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case open:
			depth++
		case end:
			if depth--; depth == 0 {
				return text[i+1:]
			}
		}
	}
	return text
}

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

// Error is what ONNX Runtime says went wrong, on one line and in lower case.
type Error string

func (e Error) Error() string { return string(e) }

// cleanError makes an Error of a binding's, without the wrapper's own prefixes. One that says that memory ran out has
// model.ErrOutOfMemory in its chain.
func cleanError(err error) error {
	text := cleanText(err.Error())
	if err := memoryError(text); err != nil {
		return err
	}
	return Error(text)
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
	text = optionFailure.ReplaceAllString(dropSignatures(text), "")
	text = strings.TrimPrefix(text, "Exception during initialization: ")
	// ONNX Runtime puts its own source file and function before the reason.
	if m := ortPrefix.FindStringIndex(text); m != nil {
		text = text[m[1]:]
	}
	if len(text) > 1 && text[1] >= 'a' && text[1] <= 'z' {
		text = strings.ToLower(text[:1]) + text[1:]
	}
	return strings.TrimSuffix(text, ".")
}
