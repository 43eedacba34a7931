package main

import (
	"errors"
	"io/fs"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/ort"
	"github.com/ortscore/ortscore/rank"
)

// hints are the ways out of errors of a kind, the particular before the general.
var hints = []struct {
	err  error
	hint string
}{
	{fs.ErrExist, "--force replaces it"},
	{dataset.ErrChanged, "start again once nothing writes to it; --restart scores it anew"},
	{job.ErrChanged, "--restart throws away what was scored, and begins anew"},
	{rank.ErrNoRankings, "--dry-run shows the first prompt; --max-failures allows more of them"},
	{model.ErrOutOfMemory, "smaller weights (--dtype) or a shorter --max-length take less memory; on a GPU, --gpu-memory may be too small, and nvidia-smi shows what else is there"},
	{ort.ErrDriver, "update the driver, or take ONNX Runtime's build for CUDA 12; see docs/gpu.md"},
	{ort.ErrNoDriver, "install NVIDIA's driver; a container must be started with the GPUs (docker run --gpus all)"},
	{ort.ErrNoDevice, "nvidia-smi lists the devices; CUDA_VISIBLE_DEVICES or a container may hide them"},
	{ort.ErrNoKernels, "docs/gpu.md lists the GPUs that ONNX Runtime's wheel has kernels for; --ep cpu does without one"},
	{ort.ErrGraph, "--ep cpu runs it, slower; another export of the model (--dtype, docs/models.md) may run on CUDA"},
	{ort.ErrNoPlan, "--cuda-attention flash does without cuDNN's attention"},
	{ort.ErrDevice, "dmesg shows what the driver says of the GPU (Xid); CUDA_LAUNCH_BLOCKING=1 names the operator that failed; --ep cpu does without the GPU"},
	{ort.ErrCUDA, "the provider's libraries lie beside the library of ONNX Runtime, CUDA's own and cuDNN's on LD_LIBRARY_PATH; see docs/gpu.md"},
}

// hintOf returns what to do about an error, "" where nothing is known.
func hintOf(err error) string {
	var h *hinted
	if errors.As(err, &h) {
		return h.hint
	}
	for _, known := range hints {
		if errors.Is(err, known.err) {
			return known.hint
		}
	}
	return ""
}
