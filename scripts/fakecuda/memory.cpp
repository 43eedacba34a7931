// libcudart: memory and copies.
//
//     FAKECUDA_MEMORY   bytes of the device, 80 GiB by default
//     FAKECUDA_PATTERN  what results are, 49212 (0xC03C) by default
//
// Device memory is an address range that nothing may be read from or written to, so
// that a program that follows a device's pointer dies here as it would on a device.
// Copies read and write the host's side alone. What comes from the device is what
// kernels would have computed, and stands in for it: one 16-bit pattern over and over,
// a finite number in every type, which is negative and no probability: fp16 -2.117,
// bf16 -2.938, fp32 -2.949. As an integer it is no length of anything: a graph whose
// integers are computed on the device and used on the host wants 0.
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>

#include "device.h"

using namespace fakecuda;

namespace {

constexpr size_t page = 4096;

std::mutex mutex; // for all of the below
size_t used = 0;

// By their first address. Never destroyed: the provider frees memory while the process ends.
std::map<uintptr_t, size_t> &blocks = *new std::map<uintptr_t, size_t>;

size_t pages(size_t size) { return (size + page - 1) / page * page + page; }

bool on_device(const void *p) {
	auto after = blocks.upper_bound(uintptr_t(p));
	if (after == blocks.begin()) return false;
	--after;
	return uintptr_t(p) < after->first + std::max<size_t>(after->second, 1);
}

// read goes through the host's side of a copy, which must be there.
void read(const void *from, size_t size) {
	volatile char sum = 0;
	for (size_t i = 0; i < size; i++) sum = sum ^ static_cast<const char *>(from)[i];
}

void write(void *to, size_t size) {
	static const unsigned pattern = setting("FAKECUDA_PATTERN", 0xC03C);
	for (size_t i = 0; i < size; i++) static_cast<char *>(to)[i] = pattern >> 8 * (i % 2);
}

cudaError_t take(void **p, size_t size, const char *call) {
	RETURN_IF_NOT_READY();
	std::lock_guard<std::mutex> lock(mutex);
	*p = nullptr;
	if (size > memory_size() - used) {
		trace("refuse bytes=%zu total=%zu call=%s", size, used, call);
		return failed(cudaErrorMemoryAllocation);
	}
	void *range = mmap(nullptr, pages(size), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED) return failed(cudaErrorMemoryAllocation);
	*p = range;
	blocks[uintptr_t(range)] = size;
	used += size;
	trace("malloc bytes=%zu total=%zu call=%s", size, used, call);
	return cudaSuccess;
}

cudaError_t give_back(void *p) {
	RETURN_IF_NOT_READY();
	if (p == nullptr) return cudaSuccess;
	std::lock_guard<std::mutex> lock(mutex);
	auto it = blocks.find(uintptr_t(p));
	if (it == blocks.end()) return failed(cudaErrorInvalidValue);
	size_t size = it->second;
	munmap(p, pages(size));
	blocks.erase(it);
	used -= size;
	trace("free bytes=%zu total=%zu", size, used);
	return cudaSuccess;
}

const char *direction(bool from_device, bool to_device) {
	if (from_device) return to_device ? "device-device" : "device-host";
	return to_device ? "host-device" : "host-host";
}

// copy goes by where the pointers lie, as cudaMemcpyDefault does, and holds what the
// caller says against it.
cudaError_t copy(void *to, const void *from, size_t size, cudaMemcpyKind kind, bool waits) {
	RETURN_IF_NOT_READY();
	std::lock_guard<std::mutex> lock(mutex);
	bool source = on_device(from), target = on_device(to);
	bool right = kind == cudaMemcpyDefault ||
		(source == (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice) &&
		 target == (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice));
	trace("copy way=%s bytes=%zu waits=%d", direction(source, target), size, waits);
	if (size == 0) return cudaSuccess;
	if (!right) return failed(cudaErrorInvalidValue);
	if (!source && !target) memmove(to, from, size);
	else if (!source) read(from, size);
	else if (!target) write(to, size);
	return cudaSuccess;
}

cudaError_t set(void *p, size_t size, bool waits) {
	RETURN_IF_NOT_READY();
	std::lock_guard<std::mutex> lock(mutex);
	trace("set bytes=%zu waits=%d", size, waits);
	return on_device(p) ? cudaSuccess : failed(cudaErrorInvalidValue);
}

} // namespace

size_t fakecuda::memory_size() {
	static const size_t size = setting("FAKECUDA_MEMORY", 80ull << 30);
	return size;
}

extern "C" {

cudaError_t cudaMalloc(void **p, size_t size) { return take(p, size, "cudaMalloc"); }
cudaError_t cudaMallocFromPoolAsync(void **p, size_t size, cudaMemPool_t, cudaStream_t) { return take(p, size, "cudaMallocFromPoolAsync"); }
cudaError_t cudaFree(void *p) { return give_back(p); }
cudaError_t cudaFreeAsync(void *p, cudaStream_t) { return give_back(p); }

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
	RETURN_IF_NOT_READY();
	std::lock_guard<std::mutex> lock(mutex);
	*total = memory_size();
	*available = memory_size() - used;
	return cudaSuccess;
}

// Pinned memory is the host's own.
cudaError_t cudaHostAlloc(void **p, size_t size, unsigned) {
	RETURN_IF_NOT_READY();
	trace("pin bytes=%zu", size);
	*p = aligned_alloc(256, (size + 255) / 256 * 256 + 256);
	return *p == nullptr ? failed(cudaErrorMemoryAllocation) : cudaSuccess;
}
cudaError_t cudaMallocHost(void **p, size_t size) { return cudaHostAlloc(p, size, 0); }
cudaError_t cudaFreeHost(void *p) {
	free(p);
	return ready();
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *p) {
	RETURN_IF_NOT_READY();
	std::lock_guard<std::mutex> lock(mutex);
	*attributes = {};
	attributes->type = on_device(p) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
	return cudaSuccess;
}

// Of pageable memory only a copy to the host waits until it is done, whatever its name says.
cudaError_t cudaMemcpy(void *to, const void *from, size_t size, cudaMemcpyKind kind) { return copy(to, from, size, kind, true); }
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind kind, cudaStream_t) {
	return copy(to, from, size, kind, false);
}
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t) {
	for (size_t row = 0; row < height; row++) {
		cudaError_t error = copy(static_cast<char *>(to) + row * to_pitch, static_cast<const char *>(from) + row * from_pitch, width, kind, false);
		if (error != cudaSuccess) return error;
	}
	return cudaSuccess;
}
cudaError_t cudaMemcpyFromSymbol(void *to, const void *, size_t size, size_t, cudaMemcpyKind) {
	RETURN_IF_NOT_READY();
	trace("copy way=symbol-host bytes=%zu waits=1", size);
	memset(to, 0, size);
	return cudaSuccess;
}
cudaError_t cudaMemset(void *p, int, size_t size) { return set(p, size, true); }
cudaError_t cudaMemsetAsync(void *p, int, size_t size, cudaStream_t) { return set(p, size, false); }

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *) {
	*pool = reinterpret_cast<cudaMemPool_t>(1);
	return ready();
}
cudaError_t cudaMemPoolDestroy(cudaMemPool_t) { return ready(); }
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *) { return ready(); }
cudaError_t cudaMemPoolTrimTo(cudaMemPool_t, size_t) { return ready(); }
cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t, cudaMemPoolAttr, void *value) {
	*static_cast<uint64_t *>(value) = 0;
	return ready();
}

} // extern "C"
