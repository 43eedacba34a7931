package ort

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include "onnxruntime_c_api.h"

// Each function returns NULL, or an error's text that the caller frees.

static char *text(const OrtApi *api, OrtStatus *status) {
	if (status == NULL) return NULL;
	char *copy = strdup(api->GetErrorMessage(status));
	api->ReleaseStatus(status);
	return copy;
}

static char *open_api(const char *library, const OrtApi **api) {
	void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
	if (handle == NULL) return strdup("the library of onnx runtime is not loaded");
	const OrtApiBase *(*base)(void) = (const OrtApiBase *(*)(void))dlsym(handle, "OrtGetApiBase");
	*api = base == NULL ? NULL : base()->GetApi(ORT_API_VERSION);
	dlclose(handle); // the binding holds it as long as the environment lives
	return *api == NULL ? strdup("the library of onnx runtime is too old") : NULL;
}

static char *open_allocator(const OrtApi *api, const OrtSession *session, const char *name, int id,
		OrtMemoryInfo **info, OrtAllocator **allocator) {
	OrtStatus *status = api->CreateMemoryInfo(name, OrtDeviceAllocator, id, OrtMemTypeDefault, info);
	if (status != NULL) return text(api, status);
	status = api->CreateAllocator(session, *info, allocator);
	if (status != NULL) {
		api->ReleaseMemoryInfo(*info);
		return text(api, status);
	}
	return NULL;
}

static void close_allocator(const OrtApi *api, OrtMemoryInfo *info, OrtAllocator *allocator) {
	api->ReleaseAllocator(allocator);
	api->ReleaseMemoryInfo(info);
}

// Reserve goes round the arena, which would round a large block up to a power of
// two and keep it for good.
static char *alloc(const OrtApi *api, OrtAllocator *allocator, size_t size, void **out) {
	if (allocator->version >= 18 && allocator->Reserve != NULL) {
		*out = allocator->Reserve(allocator, size);
		return *out == NULL ? strdup("out of memory") : NULL;
	}
	return text(api, api->AllocatorAlloc(allocator, size, out));
}

static void release(const OrtApi *api, OrtAllocator *allocator, void *p) {
	OrtStatus *status = api->AllocatorFree(allocator, p);
	if (status != NULL) api->ReleaseStatus(status);
}

static char *view(const OrtApi *api, const OrtMemoryInfo *info, void *p, size_t size,
		const int64_t *shape, size_t rank, int type, OrtValue **out) {
	return text(api, api->CreateTensorWithDataAsOrtValue(info, p, size, shape, rank, type, out));
}

static void release_value(const OrtApi *api, OrtValue *v) { api->ReleaseValue(v); }
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	onnx "github.com/yalue/onnxruntime_go"

	"github.com/ortscore/ortscore/model/graph"
)

// memory makes buffers where a session computes: what stays there between runs
// is never copied to the host. The binding has none of this; see internals.
type memory struct {
	api       *C.OrtApi
	info      *C.OrtMemoryInfo
	allocator *C.OrtAllocator
}

func newMemory(session *onnx.DynamicAdvancedSession, provider Provider, device int) (*memory, error) {
	library := C.CString(loaded.Place.Path)
	defer C.free(unsafe.Pointer(library))
	m := &memory{}
	if err := failure(C.open_api(library, &m.api)); err != nil {
		return nil, err
	}
	s, err := sessionPointer(session)
	if err != nil {
		return nil, err
	}
	place := "Cpu"
	if provider == CUDA {
		place = "Cuda"
	} else {
		device = 0
	}
	name := C.CString(place)
	defer C.free(unsafe.Pointer(name))
	return m, failure(C.open_allocator(m.api, (*C.OrtSession)(s), name, C.int(device), &m.info, &m.allocator))
}

// failure makes an error of a C text, and frees it.
func failure(text *C.char) error {
	if text == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(text))
	return cleanError(errors.New(C.GoString(text)))
}

func (m *memory) close() { C.close_allocator(m.api, m.info, m.allocator) }

// buffer is a block of memory on the device.
type buffer struct {
	memory *memory
	data   unsafe.Pointer
	size   int // bytes
}

func (m *memory) alloc(size int) (*buffer, error) {
	b := &buffer{memory: m, size: size}
	if err := failure(C.alloc(m.api, m.allocator, C.size_t(size), &b.data)); err != nil {
		return nil, fmt.Errorf("a cache buffer of %d bytes: %w", size, err)
	}
	return b, nil
}

func (b *buffer) free() { C.release(b.memory.api, b.memory.allocator, b.data) }

// view is a tensor over the buffer's bytes from offset on. It ends with Destroy,
// the buffer's bytes do not.
func (b *buffer) view(offset int, typ graph.ElemType, shape ...int64) (onnx.Value, error) {
	size := typ.Size()
	for _, d := range shape {
		size *= int(d)
	}
	if offset < 0 || offset+size > b.size {
		return nil, fmt.Errorf("want a view within %d bytes, got %d..%d", b.size, offset, offset+size)
	}
	var value *C.OrtValue
	err := failure(C.view(b.memory.api, b.memory.info, unsafe.Add(b.data, offset), C.size_t(size),
		(*C.int64_t)(unsafe.SliceData(shape)), C.size_t(len(shape)), C.int(typ), &value))
	return &deviceValue{memory: b.memory, value: unsafe.Pointer(value)}, err
}

// deviceValue is a tensor in device memory as a value of the binding, which asks
// it for nothing but its internals.
type deviceValue struct {
	onnx.Value // nil: whatever else the binding asked for would show itself at once
	memory     *memory
	value      unsafe.Pointer // *OrtValue
}

// GetInternals implements onnx.Value.
func (v *deviceValue) GetInternals() *onnx.ValueInternalData { return internals(&v.value) }

// Destroy implements onnx.Value.
func (v *deviceValue) Destroy() error {
	C.release_value(v.memory.api, (*C.OrtValue)(v.value))
	v.value = nil
	return nil
}

// internals passes an OrtValue off as the binding's own. ValueInternalData has one
// field, unexported, the pointer; TestBindingLayout fails where that changes.
func internals(value *unsafe.Pointer) *onnx.ValueInternalData {
	return (*onnx.ValueInternalData)(unsafe.Pointer(value))
}

// sessionPointer reads the OrtSession behind a session of the binding.
func sessionPointer(session *onnx.DynamicAdvancedSession) (unsafe.Pointer, error) {
	inner := reflect.ValueOf(session).Elem().FieldByName("s")
	if inner.Kind() == reflect.Pointer && !inner.IsNil() {
		if p := inner.Elem().FieldByName("ortSession"); p.Kind() == reflect.Pointer && !p.IsNil() {
			return p.UnsafePointer(), nil
		}
	}
	return nil, errors.New("want the session of onnxruntime_go v1.35.0, got another layout")
}
