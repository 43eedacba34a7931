package ort

import (
	onnx "github.com/yalue/onnxruntime_go"
	"golang.org/x/sys/cpu"
)

// addsPairsWhole says that the processor adds products of 8-bit integers without
// an overflow. x86 before VNNI adds two of them in 16 bits, where unsigned times
// signed does not fit, and ONNX Runtime takes the wrong sums as they are.
var addsPairsWhole = cpu.X86.HasAVX512VNNI || cpu.X86.HasAVXVNNI || !cpu.X86.HasSSE41

// exactIntegers makes a session multiply integers without overflow. The option has
// ONNX Runtime make signed weights unsigned; it does so on processors with VNNI as
// well, where that halves the speed and changes no sum.
func exactIntegers(so *onnx.SessionOptions) error {
	if addsPairsWhole {
		return nil
	}
	return so.AddSessionConfigEntry("session.x64quantprecision", "1")
}
