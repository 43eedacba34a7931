// libcudart: kernels. None runs, but each launch is held against what a device would
// take: an image for its architecture in the library that holds the kernel, a grid and a
// block that are not empty, no more shared memory than there is.
//
//     FAKECUDA_LAUNCH_ERROR  CODE:N, what a launch ends in after N went well
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "device.h"

using namespace fakecuda;

namespace {

// A fat binary holds images one behind another, each for one architecture. The layout is
// no secret but in no header: a program gives the address of a wrapper, whose data begins
// with a header of its own.
struct Wrapper {
	uint32_t magic, version;
	const char *data;
};
struct Header {
	uint32_t magic;
	uint16_t version, header_size;
	uint64_t size; // of the images
};
struct Image {
	uint16_t kind; // 1 is PTX, 2 machine code
	uint16_t version;
	uint32_t header_size;
	uint64_t size;
	uint32_t compressed_size, unknown;
	uint16_t minor, major;
	uint32_t architecture; // 75 for 7.5
};
constexpr uint16_t machine_code = 2;

// Module is what one call of __cudaRegisterFatBinary brings.
struct Module {
	bool ptx = false;
	std::set<int> architectures;

	explicit Module(const Wrapper *wrapper) {
		const Header *header = reinterpret_cast<const Header *>(wrapper->data);
		const char *at = wrapper->data + header->header_size, *end = at + header->size;
		while (at < end) {
			const Image *image = reinterpret_cast<const Image *>(at);
			if (image->kind == machine_code) architectures.insert(image->architecture);
			else ptx = true;
			at += image->header_size + image->size;
		}
	}

	// Machine code runs on its own architecture and on later ones of the same number before
	// the point; PTX is compiled for whatever comes later.
	bool runs_on(int sm) const {
		for (int a : architectures)
			if (a / 10 == sm / 10 && a <= sm) return true;
		return ptx;
	}
};

struct Kernel {
	const Module *module;
	std::string name;
};

std::mutex mutex; // for kernels
std::map<const void *, Kernel> &kernels = *new std::map<const void *, Kernel>;

// What <<<grid, block, shared, stream>>> leaves for the launch that follows.
struct Configuration {
	dim3 grid, block;
	size_t shared;
	void *stream;
};
thread_local Configuration pushed;

bool empty(dim3 d) { return d.x == 0 || d.y == 0 || d.z == 0; }

cudaError_t launch(const void *function, dim3 grid, dim3 block, size_t shared) {
	static Failure ordered("FAKECUDA_LAUNCH_ERROR");
	RETURN_IF_NOT_READY();
	Kernel kernel;
	{
		std::lock_guard<std::mutex> lock(mutex);
		kernel = kernels[function];
	}
	cudaError_t error = cudaError_t(ordered.next());
	if (kernel.module == nullptr || !kernel.module->runs_on(sm())) error = cudaErrorNoKernelImageForDevice;
	else if (empty(grid) || empty(block) || block.x * block.y * block.z > 1024) error = cudaErrorInvalidConfiguration;
	else if (shared > size_t(shared_memory_size())) error = cudaErrorInvalidValue;
	trace("launch error=%d grid=%ux%ux%u block=%ux%ux%u shared=%zu kernel=%s", error,
		grid.x, grid.y, grid.z, block.x, block.y, block.z, shared, kernel.name.c_str());
	return failed(error);
}

} // namespace

extern "C" {

void **__cudaRegisterFatBinary(void *wrapper) {
	return reinterpret_cast<void **>(new Module(static_cast<const Wrapper *>(wrapper)));
}
void __cudaRegisterFatBinaryEnd(void **) {}
void __cudaUnregisterFatBinary(void **) {}
void __cudaRegisterVar(void **, char *, char *, const char *, int, size_t, int, int) {}

void __cudaRegisterFunction(void **module, const char *host, char *, const char *name, int, void *, void *, void *, void *, int *) {
	std::lock_guard<std::mutex> lock(mutex);
	kernels[host] = {reinterpret_cast<const Module *>(module), name};
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void *stream) {
	pushed = {grid, block, shared, stream};
	return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
	*grid = pushed.grid;
	*block = pushed.block;
	*shared = pushed.shared;
	*static_cast<void **>(stream) = pushed.stream;
	return cudaSuccess;
}

// A kernel's handle is its function on the host.
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function) {
	*kernel = static_cast<cudaKernel_t>(const_cast<void *>(function));
	return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void **, size_t shared, cudaStream_t) {
	return launch(kernel, grid, block, shared);
}
cudaError_t cudaLaunchKernel(const void *function, dim3 grid, dim3 block, void **, size_t shared, cudaStream_t) {
	return launch(function, grid, block, shared);
}
cudaError_t cudaLaunchCooperativeKernel(const void *function, dim3 grid, dim3 block, void **, size_t shared, cudaStream_t) {
	return launch(function, grid, block, shared);
}
cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *config, const void *function, void **) {
	return launch(function, config->gridDim, config->blockDim, config->dynamicSmemBytes);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *) {
	RETURN_IF_NOT_READY();
	memset(attributes, 0, sizeof *attributes);
	attributes->maxThreadsPerBlock = 1024;
	attributes->binaryVersion = attributes->ptxVersion = sm();
	attributes->maxDynamicSharedSizeBytes = shared_memory_size();
	return cudaSuccess;
}
static cudaError_t set_attribute(cudaFuncAttribute attribute, int value) {
	RETURN_IF_NOT_READY();
	if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize && value > shared_memory_size()) {
		trace("refuse shared=%d", value);
		return failed(cudaErrorInvalidValue);
	}
	return cudaSuccess;
}
cudaError_t cudaFuncSetAttribute(const void *, cudaFuncAttribute attribute, int value) { return set_attribute(attribute, value); }
cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t, cudaFuncAttribute attribute, int value, int) { return set_attribute(attribute, value); }
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *, int, size_t, unsigned) {
	*blocks = 2;
	return ready();
}

} // extern "C"
