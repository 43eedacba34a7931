package ort

/*
#include <dlfcn.h>
#include <stdlib.h>

// cudart is what is used of CUDA's runtime, with the types of cuda_runtime_api.h;
// cudaError_t is an enum, and 0 is success.
typedef struct {
	int (*get_device)(int *device);
	int (*set_device)(int device);
	int (*mem_get_info)(size_t *free, size_t *total);
	int (*driver_version)(int *version);
	int (*runtime_version)(int *version);
	int (*attribute)(int *value, int attribute, int device);
	int (*malloc)(void **p, size_t size);
	int (*free)(void *p);
	int (*last_error)(void);
	const char *(*error_string)(int error);
} cudart;

// open_cudart finds the runtime that the provider has loaded, and loads none.
static int open_cudart(cudart *rt) {
	void *handle = dlopen("libcudart.so.13", RTLD_LAZY | RTLD_NOLOAD);
	if (handle == NULL) handle = dlopen("libcudart.so.12", RTLD_LAZY | RTLD_NOLOAD);
	if (handle == NULL) return 0;
	*(void **)&rt->get_device = dlsym(handle, "cudaGetDevice");
	*(void **)&rt->set_device = dlsym(handle, "cudaSetDevice");
	*(void **)&rt->mem_get_info = dlsym(handle, "cudaMemGetInfo");
	*(void **)&rt->driver_version = dlsym(handle, "cudaDriverGetVersion");
	*(void **)&rt->runtime_version = dlsym(handle, "cudaRuntimeGetVersion");
	*(void **)&rt->attribute = dlsym(handle, "cudaDeviceGetAttribute");
	*(void **)&rt->malloc = dlsym(handle, "cudaMalloc");
	*(void **)&rt->free = dlsym(handle, "cudaFree");
	*(void **)&rt->last_error = dlsym(handle, "cudaGetLastError");
	*(void **)&rt->error_string = dlsym(handle, "cudaGetErrorString");
	dlclose(handle); // the provider holds it as long as the environment lives
	return rt->get_device && rt->set_device && rt->mem_get_info && rt->driver_version &&
		rt->runtime_version && rt->attribute && rt->malloc && rt->free &&
		rt->last_error && rt->error_string;
}

// enter makes device the calling thread's own, and leave gives the thread back
// the one that it had. A call's error is also kept for the thread, and the
// provider would take it for that of its next kernel: leave clears it.
static int enter(const cudart *rt, int device, int *before) {
	int error = rt->get_device(before);
	if (error == 0 && *before != device) error = rt->set_device(device);
	return error;
}

static int leave(const cudart *rt, int device, int before, int error) {
	if (before != device) rt->set_device(before);
	if (error != 0) rt->last_error();
	return error;
}

static int device_memory(const cudart *rt, int device, size_t *free) {
	int before = device;
	size_t total;
	int error = enter(rt, device, &before);
	if (error == 0) error = rt->mem_get_info(free, &total);
	return leave(rt, device, before, error);
}

static int device_malloc(const cudart *rt, int device, void **p, size_t size) {
	int before = device;
	int error = enter(rt, device, &before);
	if (error == 0) error = rt->malloc(p, size);
	return leave(rt, device, before, error);
}

static int device_free(const cudart *rt, int device, void *p) {
	int before = device;
	int error = enter(rt, device, &before);
	if (error == 0) error = rt->free(p);
	return leave(rt, device, before, error);
}

static void cuda_versions(const cudart *rt, int *driver, int *runtime) {
	*driver = *runtime = 0;
	rt->driver_version(driver);
	rt->runtime_version(runtime);
}

// capability_of asks for cudaDevAttrComputeCapabilityMajor and Minor.
static void capability_of(const cudart *rt, int device, int *major, int *minor) {
	*major = *minor = 0;
	rt->attribute(major, 75, device);
	rt->attribute(minor, 76, device);
}

static const char *device_error(const cudart *rt, int error) { return rt->error_string(error); }
*/
import "C"

import (
	"errors"
	"unsafe"
)

// cudart is CUDA's runtime for one device.
type cudart struct {
	calls  C.cudart
	device C.int
}

func openCudart(device int) (*cudart, error) {
	rt := &cudart{device: C.int(device)}
	if C.open_cudart(&rt.calls) == 0 {
		return nil, errors.New("want libcudart.so.13 or .12, loaded by the cuda provider, got neither")
	}
	return rt, nil
}

// failed makes an error of a call's result, nil for success. "out of memory" is
// CUDA's own word for cudaErrorMemoryAllocation.
func (rt *cudart) failed(result C.int) error {
	if result == 0 {
		return nil
	}
	return cleanError(errors.New("CUDA: " + C.GoString(C.device_error(&rt.calls, result))))
}

// freeMemory is the device's, in bytes.
func (rt *cudart) freeMemory() (int64, error) {
	var free C.size_t
	err := rt.failed(C.device_memory(&rt.calls, rt.device, &free))
	return int64(free), err
}

// versions are the CUDA version that the driver supports and that of the runtime, as
// CUDA numbers them; 0 for one that is unknown.
func (rt *cudart) versions() (driver, runtime int) {
	var d, r C.int
	C.cuda_versions(&rt.calls, &d, &r)
	return int(d), int(r)
}

// capability is the device's compute capability.
func (rt *cudart) capability() (major, minor int) {
	var a, b C.int
	C.capability_of(&rt.calls, rt.device, &a, &b)
	return int(a), int(b)
}

func (rt *cudart) alloc(size int) (p unsafe.Pointer, err error) {
	err = rt.failed(C.device_malloc(&rt.calls, rt.device, &p, C.size_t(size)))
	return p, err
}

func (rt *cudart) free(p unsafe.Pointer) { C.device_free(&rt.calls, rt.device, p) }
