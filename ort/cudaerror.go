package ort

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/ortscore/ortscore/model"
)

// Why CUDA does not run a model. ErrCUDA is in the chain of each error that says why
// it does not start, with one of the others where the reason is known.
var (
	ErrCUDA      = errors.New("the cuda provider does not start")
	ErrDriver    = errors.New("the NVIDIA driver is too old")
	ErrNoDriver  = errors.New("no NVIDIA driver")
	ErrNoDevice  = errors.New("no CUDA device")
	ErrNoKernels = errors.New("no kernels for the GPU")
	ErrGraph     = errors.New("the cuda provider does not run this graph")
	ErrNoPlan    = errors.New("no cuDNN plan for the attention")
	// ErrDevice is a call that failed on a device that is there: a fault of the GPU, of
	// the driver or of a kernel.
	ErrDevice = errors.New("the CUDA device failed")
)

// cudaFailures are words in ONNX Runtime's messages, in lower case, for what no other
// graph would mend, by what they mean.
var cudaFailures = []struct {
	words string
	means error
}{
	{"cuda failure 35:", ErrDriver},
	{"cudaerrorinsufficientdriver", ErrDriver},
	{"cuda failure 100:", ErrNoDevice},
	{"cudaerrornodevice", ErrNoDevice},
	{"cuda failure 101:", ErrNoDevice}, // a device id beyond those there are
	{"invalid device ordinal", ErrNoDevice},
	{"invalid device id", ErrNoDevice}, // ONNX Runtime's own words for the same
	{"cuda failure 209:", ErrNoKernels},
	{"cudaerrornokernelimagefordevice", ErrNoKernels},
	{"no kernel image is available", ErrNoKernels},
	{"failed to build cudnn graph", ErrNoPlan},
	{"cudnn_fe failure", ErrNoPlan}, // a plan that was built, and does not run
	{"cuda failure", ErrDevice},
	{"cuda error", ErrDevice},
	{"cublas failure", ErrDevice},
	{"cudnn failure", ErrDevice},
	{"cudnn is unavailable", nil},
	{"a cudnn handle is required", nil},
}

// cudaError makes the error of a CUDA provider that does not start.
func cudaError(err error, device int) error {
	err = explain(err, device)
	if errors.Is(err, model.ErrOutOfMemory) || errors.Is(err, ErrCUDA) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCUDA, err)
}

// cudaReason puts ErrCUDA before errors of CUDA and its libraries that a session
// or its first run shows. Another graph would not help there.
func cudaReason(err error, device int) error {
	if known, _ := meaning(err); known {
		return cudaError(err, device)
	}
	return err
}

// notOnCUDA says of a first forward that CUDA did not do whether the device or the
// graph is the reason. What a trial finds in a forward's numbers stays as it is.
func notOnCUDA(err error, device int) error {
	if known, _ := meaning(err); known {
		return cudaError(err, device)
	}
	if errors.Is(err, errFirstForward) && !errors.Is(err, model.ErrOutOfMemory) {
		return fmt.Errorf("%w: %w", ErrGraph, err)
	}
	return err
}

// explain puts what it means before an error of ONNX Runtime that is a device's, and
// makes the particulars those that help.
func explain(err error, device int) error {
	if err == nil {
		return nil
	}
	known, means := meaning(err)
	if !known || means == nil || errors.Is(err, means) || errors.Is(err, model.ErrOutOfMemory) {
		return err
	}
	switch means {
	case ErrDriver:
		return driverError(device, err)
	case ErrNoKernels:
		return fmt.Errorf("%w: %s", ErrNoKernels, capability(device, err))
	}
	return fmt.Errorf("%w: %w", means, err)
}

// meaning says whether an error is CUDA's, and what it means.
func meaning(err error) (known bool, means error) {
	for _, named := range []error{ErrDriver, ErrNoDriver, ErrNoDevice, ErrNoKernels, ErrNoPlan, ErrDevice} {
		if errors.Is(err, named) {
			return true, named
		}
	}
	text := strings.ToLower(err.Error())
	for _, f := range cudaFailures {
		if strings.Contains(text, f.words) {
			return true, f.means
		}
	}
	return false, nil
}

// leastDriver is the oldest driver branch for a major version of CUDA, from the tables
// of NVIDIA's CUDA release notes.
var leastDriver = map[int]int{12: 525, 13: 580}

// driverError tells the driver that there is and the one that is wanted.
func driverError(device int, cause error) error {
	rt, err := openCudart(device)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDriver, cause)
	}
	driver, runtime := rt.versions()
	want := fmt.Sprintf("want one for CUDA %d.0", runtime/1000)
	if least, ok := leastDriver[runtime/1000]; ok {
		want += fmt.Sprintf(" (%d or later)", least)
	}
	if driver == 0 {
		return fmt.Errorf("%w: %s", ErrNoDriver, want)
	}
	got := "got one for CUDA " + cudaVersion(driver)
	if version := installedDriver(os.DirFS("/")); version != "" {
		got += fmt.Sprintf(" (%s)", version)
	}
	if driver >= runtime/1000*1000 { // new enough by its own words, so that CUDA's are wanted
		return fmt.Errorf("%w: %s, %s: %w", ErrDriver, want, got, cause)
	}
	return fmt.Errorf("%w: %s, %s", ErrDriver, want, got)
}

// DescribeDevice tells what a CUDA device is driven by: its compute capability, the
// driver's version, and the CUDA version of the runtime; "" for what is unknown. The
// provider's libraries must be loaded.
func DescribeDevice(device int) (capability, driver, runtime string) {
	rt, err := openCudart(device)
	if err != nil {
		return "", "", ""
	}
	major, minor := rt.capability()
	_, version := rt.versions()
	return fmt.Sprintf("%d.%d", major, minor), installedDriver(os.DirFS("/")), cudaVersion(version)
}

// cudaVersion spells a version as CUDA numbers it, 1000 times the major one and 10
// times the minor.
func cudaVersion(v int) string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

var driverVersion = regexp.MustCompile(`Kernel Module.*?\s(\d+\.\d+(\.\d+)?)\s`)

// installedDriver is the version of the kernel's NVIDIA module, "" where there is
// none. root is "/".
func installedDriver(root fs.FS) string {
	data, err := fs.ReadFile(root, "proc/driver/nvidia/version")
	if err != nil {
		return ""
	}
	if found := driverVersion.FindSubmatch(data); found != nil {
		return string(found[1])
	}
	return ""
}

// capability tells the compute capability of a device that ONNX Runtime has no
// kernels for.
func capability(device int, cause error) string {
	rt, err := openCudart(device)
	if err != nil {
		return cause.Error()
	}
	major, minor := rt.capability()
	return fmt.Sprintf("compute capability %d.%d is not in this build of ONNX Runtime", major, minor)
}
