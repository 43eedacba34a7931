// The device that the runtime's stand-in (runtime.cpp, memory.cpp, launch.cpp) pretends to be.
#pragma once

#include <cuda_runtime_api.h>

#include "trace.h"

namespace fakecuda {

// The compute capability, 75 for 7.5.
int sm();

// The device's memory in bytes.
size_t memory_size();

// The most bytes of shared memory that a block may ask for.
int shared_memory_size();

// failed keeps an error for cudaGetLastError, and returns it.
cudaError_t failed(cudaError_t error);

// ready is what a call that touches the device begins with: success, or the error
// that it ends in. There may be no driver or no device, and after some errors, such
// as an illegal address, every call of the process fails.
cudaError_t ready();

} // namespace fakecuda

#define RETURN_IF_NOT_READY() \
	if (cudaError_t error = fakecuda::ready(); error != cudaSuccess) return error
