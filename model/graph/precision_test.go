package graph

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Weights are found where they lie: behind a Transpose, a DequantizeLinear or a
// Cast, in a Constant node, in an operator's own packing.
func TestPrecision(t *testing.T) {
	for path, want := range map[string]string{
		"tiny-gqa":               "fp32",
		"tiny-gqa-fp16":          "fp16",
		"tiny-explicit":          "fp32",
		"heads/matmul.onnx":      "fp32",
		"heads/tied.onnx":        "fp32",
		"heads/gemm.onnx":        "fp32",
		"heads/matmulnbits.onnx": "int4",
		"heads/dequantized.onnx": "int8",
		"heads/dynamic.onnx":     "int8",
		"heads/cast.onnx":        "fp16",
		"tiny-bf16logits":        "fp32",
		"tiny-rawnames":          "fp32",
	} {
		if filepath.Ext(path) == "" {
			path = filepath.Join(path, "model.onnx")
		}
		m, err := Read(filepath.Join("../../testdata", path))
		require.NoError(t, err, path)
		require.Equal(t, want, m.Precision, path)
	}
}

// A product of two activations has no weights, and neither has an embedding that
// is only looked up.
func TestPrecisionWithoutWeights(t *testing.T) {
	m, err := Parse(onnxModel(idsInput, initializer(tensor("e", Float16, []int64{8, 4})), embed,
		tensorNode("MatMul", []string{"hidden", "hidden"}, []string{"logits"}), logits()))
	require.NoError(t, err)
	require.Empty(t, m.Precision)
}
