// libcudart: the device, streams, events and errors.
//
//     FAKECUDA_SM            compute capability, 90 by default
//     FAKECUDA_DRIVER        the driver's newest CUDA, 13020 by default; 0 for no driver
//     FAKECUDA_DEVICE_ERROR  what every call ends in: 100 is no device
//     FAKECUDA_SYNC_ERROR    CODE:N, what waiting for a stream ends in after N times
#include <cstring>

#include "device.h"

using namespace fakecuda;

namespace {

constexpr int runtime_version = 13020;
constexpr int processors = 132;

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;
std::atomic<cudaError_t> sticky_error{cudaSuccess};

struct ErrorText {
	cudaError_t code;
	const char *name, *text;
};

// CUDA's own words, by which programs know errors.
constexpr ErrorText error_texts[] = {
	{cudaSuccess, "cudaSuccess", "no error"},
	{cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
	{cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
	{cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
	{cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version"},
	{cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
	{cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
	{cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice", "no kernel image is available for execution on the device"},
	{cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
	{cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
	{cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const ErrorText &text_of(cudaError_t code) {
	for (const ErrorText &e : error_texts)
		if (e.code == code) return e;
	return text_of(cudaErrorUnknown);
}

// Handles are numbers that are never the same; nobody may look behind one.
template <class T> cudaError_t make(T *handle, const char *what) {
	static std::atomic<uintptr_t> made{1};
	RETURN_IF_NOT_READY();
	*handle = reinterpret_cast<T>(made++);
	if (what != nullptr) trace("create what=%s", what);
	return cudaSuccess;
}

} // namespace

int fakecuda::sm() {
	static const int value = setting("FAKECUDA_SM", 90);
	return value;
}

int fakecuda::shared_memory_size() {
	switch (sm()) {
	case 80: case 87: return 163 << 10;
	case 90: case 100: case 103: return 227 << 10;
	default: return (sm() < 80 ? 64 : 99) << 10;
	}
}

cudaError_t fakecuda::failed(cudaError_t error) {
	if (error == cudaErrorIllegalAddress) sticky_error = error;
	return last_error = error;
}

cudaError_t fakecuda::ready() {
	static const unsigned long long driver = setting("FAKECUDA_DRIVER", runtime_version);
	static const int ordered = setting("FAKECUDA_DEVICE_ERROR", 0);
	if (driver / 1000 < runtime_version / 1000) return failed(cudaErrorInsufficientDriver);
	if (ordered != 0) return failed(cudaError_t(ordered));
	if (sticky_error != cudaSuccess) return failed(sticky_error);
	return cudaSuccess;
}

extern "C" {

cudaError_t cudaDriverGetVersion(int *version) {
	*version = setting("FAKECUDA_DRIVER", runtime_version);
	return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
	*version = runtime_version;
	return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
	*count = 0;
	RETURN_IF_NOT_READY();
	*count = 1;
	return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
	RETURN_IF_NOT_READY();
	*device = current_device;
	return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
	RETURN_IF_NOT_READY();
	if (device != 0) return failed(cudaErrorInvalidDevice);
	current_device = device;
	return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device) {
	RETURN_IF_NOT_READY();
	if (device != 0) return failed(cudaErrorInvalidDevice);
	memset(p, 0, sizeof *p);
	strcpy(p->name, "stand-in");
	p->totalGlobalMem = memory_size();
	p->major = sm() / 10;
	p->minor = sm() % 10;
	p->multiProcessorCount = processors;
	p->warpSize = 32;
	p->maxThreadsPerBlock = 1024;
	p->maxThreadsPerMultiProcessor = sm() == 75 ? 1024 : 2048;
	p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024;
	p->maxThreadsDim[2] = 64;
	p->maxGridSize[0] = 0x7fffffff;
	p->maxGridSize[1] = p->maxGridSize[2] = 65535;
	p->sharedMemPerBlock = 48 << 10;
	p->sharedMemPerBlockOptin = shared_memory_size();
	p->sharedMemPerMultiprocessor = shared_memory_size() + (1 << 10);
	p->regsPerBlock = p->regsPerMultiprocessor = 65536;
	p->l2CacheSize = 50 << 20;
	p->memoryPoolsSupported = 1;
	return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int) {
	RETURN_IF_NOT_READY();
	switch (attribute) {
	case cudaDevAttrComputeCapabilityMajor: *value = sm() / 10; break;
	case cudaDevAttrComputeCapabilityMinor: *value = sm() % 10; break;
	case cudaDevAttrMultiProcessorCount: *value = processors; break;
	case cudaDevAttrWarpSize: *value = 32; break;
	case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
	case cudaDevAttrMaxSharedMemoryPerBlock: *value = 48 << 10; break;
	case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = shared_memory_size(); break;
	case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = shared_memory_size() + (1 << 10); break;
	case cudaDevAttrL2CacheSize: *value = 50 << 20; break;
	default: *value = 1; // most attributes ask whether the device can do something
	}
	return cudaSuccess;
}

const char *cudaGetErrorName(cudaError_t error) { return text_of(error).name; }
const char *cudaGetErrorString(cudaError_t error) { return text_of(error).text; }
cudaError_t cudaPeekAtLastError() { return sticky_error != cudaSuccess ? sticky_error.load() : last_error; }

cudaError_t cudaGetLastError() {
	cudaError_t error = cudaPeekAtLastError();
	last_error = cudaSuccess;
	return error;
}

// What was queued has been done already, so that to wait for it is only to say so.
static cudaError_t wait(const char *what) {
	static Failure ordered("FAKECUDA_SYNC_ERROR");
	RETURN_IF_NOT_READY();
	trace("wait for=%s", what);
	return failed(cudaError_t(ordered.next()));
}

cudaError_t cudaDeviceSynchronize() { return wait("device"); }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return wait("stream"); }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return wait("event"); }

cudaError_t cudaStreamCreate(cudaStream_t *stream) { return make(stream, "stream"); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) { return make(stream, "stream"); }
cudaError_t cudaStreamDestroy(cudaStream_t) { return ready(); }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return ready(); }

cudaError_t cudaEventCreate(cudaEvent_t *event) { return make(event, nullptr); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) { return make(event, nullptr); }
cudaError_t cudaEventDestroy(cudaEvent_t) { return ready(); }
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return ready(); }
cudaError_t cudaEventRecordWithFlags(cudaEvent_t, cudaStream_t, unsigned) { return ready(); }
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t, cudaEvent_t) {
	*milliseconds = 1;
	return ready();
}

cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t function, void *data) {
	RETURN_IF_NOT_READY();
	trace("call name=cudaLaunchHostFunc");
	function(data);
	return cudaSuccess;
}

// CUDA graphs and kernels that are compiled at run time are not part of the play.
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus *status) {
	*status = cudaStreamCaptureStatusNone;
	return ready();
}
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) { return failed(cudaErrorNotSupported); }
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *) { return failed(cudaErrorNotSupported); }
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *, cudaGraph_t, unsigned long long) { return failed(cudaErrorNotSupported); }
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t) { return failed(cudaErrorNotSupported); }
cudaError_t cudaGraphDestroy(cudaGraph_t) { return cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t) { return cudaSuccess; }
cudaError_t cudaLibraryLoadData(cudaLibrary_t *, const void *, cudaJitOption *, void **, unsigned, cudaLibraryOption *, void **, unsigned) {
	return failed(cudaErrorNotSupported);
}
cudaError_t cudaLibraryGetKernel(cudaKernel_t *, cudaLibrary_t, const char *) { return failed(cudaErrorNotSupported); }
cudaError_t cudaLibraryUnload(cudaLibrary_t) { return cudaSuccess; }

// Where there is no entry point, a program does without the driver's functions.
cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned, unsigned long long, cudaDriverEntryPointQueryResult *found) {
	trace("call name=cudaGetDriverEntryPointByVersion asked=%s", name);
	*function = nullptr;
	if (found != nullptr) *found = cudaDriverEntryPointSymbolNotFound;
	return cudaSuccess;
}

} // extern "C"
