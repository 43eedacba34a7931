package ort

import (
	"errors"
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
)

// What ONNX Runtime 1.31 prints, seen with scripts/fakecuda.
const (
	cudaCallText = "Exception during initialization: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:154 " +
		"std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, int) [with ERRTYPE = cublasStatus_t] " +
		"/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:146 onnxruntime::CudaCall(ERRTYPE) CUBLAS failure 14: an internal operation failed ; GPU=0 ; hostname=h ; file=f.cc ; line=67 ; expr=cublasCreate(&h); "
	deviceText = `provider_options_utils.h:187 Parse Failed to parse provider option "device_id": cuda_execution_provider_info.cc:71 operator() ` +
		"Invalid device ID: 3, must be between 0 (inclusive) and 1 (exclusive)"
	cudnnText = `Failed to build cuDNN graph for Flash Attention:{"context":{"io_data_type":"HALF"},"tensors":[{"uid":7}]}cudnn version:91300`
)

func TestCudaErrors(t *testing.T) {
	for text, want := range map[string]error{
		`Parse Failed to parse provider option "device_id": CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1`: ErrDriver,
		"CUDA failure 100: no CUDA-capable device is detected ; GPU=-1":                                                                             ErrNoDevice,
		"CUDA failure 101: invalid device ordinal ; GPU=-1":                                                                                         ErrNoDevice,
		deviceText: ErrNoDevice,
		"CUDNN_FE failure 11: CUDNN_BACKEND_API_FAILED ; GPU=0 ; hostname=h":                                  ErrNoPlan,
		"CUDA error cudaErrorNoKernelImageForDevice:no kernel image is available for execution on the device": ErrNoKernels,
	} {
		err := cudaReason(cleanError(errors.New(text)), 0)
		require.ErrorIs(t, err, ErrCUDA, text)
		require.ErrorIs(t, err, want, text)
	}
	for _, text := range []string{
		"CUDA failure 700: an illegal memory access was encountered ; GPU=0",
		"CUDA error cudaErrorIllegalAddress:an illegal memory access was encountered",
	} {
		require.ErrorIs(t, explain(cleanError(errors.New(text)), 0), ErrDevice)
	}
	require.NoError(t, explain(nil, 0))
	require.ErrorIs(t, explain(model.ErrOutOfMemory, 0), model.ErrOutOfMemory)
	require.NotErrorIs(t, explain(cleanError(errors.New("Invalid input name: x")), 0), ErrDevice)
}

func TestCleanCudaText(t *testing.T) {
	require.Equal(t, "CUBLAS failure 14: an internal operation failed", cleanText(cudaCallText))
	require.Equal(t, "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
		cleanText(`provider_options_utils.h:187 Parse Failed to parse provider option "device_id": CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1`))
	require.Equal(t, "invalid device ID: 3, must be between 0 (inclusive) and 1 (exclusive)", cleanText(deviceText))
	require.Equal(t, "non-zero status code returned while running MoE node. Name:'/moe' Status Message: Arch unsupported for MoE GEMM",
		cleanText("Non-zero status code returned while running MoE node. Name:'/moe' Status Message: /onnxruntime_src/a.h:967 void k::R<T>::f(G<T>, In) [with E = D; T = __half] Arch unsupported for MoE GEMM"))
	for _, odd := range []string{"/onnxruntime_src/a.cc:1 ", "/onnxruntime_src/a.cc:1 f(", "/onnxruntime_src/a.cc:1 )( [with"} {
		require.NotPanics(t, func() { cleanText(odd) })
	}
	require.Equal(t, "failed to build cuDNN graph for Flash Attention, cudnn version:91300", cleanText(cudnnText))
}

// What the cpu says comes first, and alone decides what to do.
func TestErrorOfBothProviders(t *testing.T) {
	cpu, cuda := errors.New("no such input"), fmt.Errorf("%w: no library", ErrCUDA)
	require.EqualError(t, afterCUDA(cpu, cuda), "no such input; before that, the cuda provider does not start: no library")
	require.ErrorIs(t, afterCUDA(cpu, cuda), cpu)
	require.NotErrorIs(t, afterCUDA(cpu, cuda), ErrCUDA)
	require.EqualError(t, afterCUDA(cpu, errors.New("no such input")), "no such input")
}

func TestDriverVersion(t *testing.T) {
	root := fstest.MapFS{"proc/driver/nvidia/version": {Data: []byte(
		"NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\nGCC version:  gcc version 12.3.0\n")}}
	require.Equal(t, "535.129.03", installedDriver(root))
	root["proc/driver/nvidia/version"].Data = []byte("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n")
	require.Equal(t, "580.65.06", installedDriver(root))
	require.Empty(t, installedDriver(fstest.MapFS{}))
	require.Equal(t, "12.8", cudaVersion(12080))
	require.Equal(t, "13.0", cudaVersion(13000))
}
