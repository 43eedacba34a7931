package ort

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include "status.h"

// Each function that returns a text returns NULL for success; the caller frees it.

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

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// memory is the memory of the device that a session computes on: buffers there,
// which are never copied to the host between runs, and the arena that ONNX Runtime
// keeps for its tensors. The binding has none of this; see internals.
type memory struct {
	api       *C.OrtApi
	info      *C.OrtMemoryInfo
	allocator *C.OrtAllocator // of the session's arena
	cuda      *cudart         // nil on the cpu
}

func newMemory(session *onnx.DynamicAdvancedSession, provider Provider, device int) (*memory, error) {
	m, name := &memory{}, "Cpu"
	var err error
	if m.api, err = ortAPI(); err != nil {
		return nil, err
	}
	s, err := sessionPointer(session)
	if err != nil {
		return nil, err
	}
	if provider == CUDA {
		if m.cuda, err = openCudart(device); err != nil {
			return nil, err
		}
		name = "Cuda"
	} else {
		device = 0
	}
	place := C.CString(name)
	defer C.free(unsafe.Pointer(place))
	if err := failure(C.open_allocator(m.api, (*C.OrtSession)(s), place, C.int(device), &m.info, &m.allocator)); err != nil {
		return nil, err
	}
	return m, nil
}

// ortAPI is the C API of the library that the binding has loaded.
func ortAPI() (api *C.OrtApi, err error) {
	library := C.CString(loaded.Place.Path)
	defer C.free(unsafe.Pointer(library))
	err = failure(C.open_api(library, &api))
	return api, err
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

// alignment is what ONNX Runtime's kernels want on the cpu, in bytes.
const alignment = 64

// alloc takes a block from the device itself. The arena would keep it for good, so
// that a cache that is made larger lay beside the old one; and the allocator's
// Reserve, which goes round the arena, throws a C++ exception through C where
// memory runs out, which ends the process.
func (m *memory) alloc(size int) (*buffer, error) {
	b, err := &buffer{memory: m, size: size}, error(nil)
	if m.cuda != nil {
		b.data, err = m.cuda.alloc(size)
	} else if C.posix_memalign(&b.data, alignment, C.size_t(max(size, 1))) != 0 {
		err = model.ErrOutOfMemory
	}
	if err != nil {
		return nil, fmt.Errorf("a cache buffer of %d bytes: %w", size, err)
	}
	return b, nil
}

func (b *buffer) free() {
	if b.memory.cuda != nil {
		b.memory.cuda.free(b.data)
	} else {
		C.free(b.data)
	}
}

// host is a part of a buffer in the cpu's own memory.
func (b *buffer) host(offset, size int) []byte {
	return unsafe.Slice((*byte)(b.data), b.size)[offset : offset+size]
}

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
