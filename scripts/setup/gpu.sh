#!/bin/sh
# gpu.sh PYTHON LIB_DIR: put ONNX Runtime's libraries with the CUDA provider there, out of the
# PyPI wheel.
set -eu
here=$(dirname "$0") python=$1 lib=$2
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
trap 'exit 130' INT TERM
"$python" -m pip download --quiet --no-deps --only-binary=:all: --require-hashes \
	--implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64 \
	--dest "$wheels" --requirement "$here/gpu.txt"
mkdir -p "$lib"
take() {
	"$python" "$here/unwheel.py" "$wheels"/onnxruntime_gpu-*.whl "onnxruntime/capi/$1" "$lib/$2"
}
take 'libonnxruntime_providers_shared.so' libonnxruntime_providers_shared.so
take 'libonnxruntime_providers_cuda.so' libonnxruntime_providers_cuda.so
# This is what make looks for, so it comes last.
take 'libonnxruntime.so.*' libonnxruntime.so
