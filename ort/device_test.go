package ort

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	onnx "github.com/yalue/onnxruntime_go"
)

// The cache rests on two things that the binding does not promise: what
// ValueInternalData is, and where a session keeps its pointer. A new version of
// the binding must fail here, and not in a user's scores.
func TestBindingLayout(t *testing.T) {
	needLibrary(t)
	typ := reflect.TypeFor[onnx.ValueInternalData]()
	require.Equal(t, 1, typ.NumField())
	require.Equal(t, "ortValue", typ.Field(0).Name)
	require.Equal(t, reflect.Pointer, typ.Field(0).Type.Kind())
	require.Equal(t, unsafe.Sizeof(unsafe.Pointer(nil)), typ.Size())

	// The binding's own tensor read through our view of it, and ours read through
	// the binding's.
	tensor, err := onnx.NewTensor(onnx.NewShape(1), []float32{1})
	require.NoError(t, err)
	defer tensor.Destroy()
	value := *(*unsafe.Pointer)(unsafe.Pointer(tensor.GetInternals()))
	require.Equal(t, reflect.ValueOf(tensor).Elem().FieldByName("ortValue").UnsafePointer(), value)
	require.Equal(t, value, reflect.ValueOf(internals(&value)).Elem().Field(0).UnsafePointer())

	_, err = sessionPointer(&onnx.DynamicAdvancedSession{})
	require.EqualError(t, err, "want the session of onnxruntime_go v1.35.0, got another layout")
}
