#!/bin/sh
# onnxruntime.sh PYTHON LIB_DIR: put libonnxruntime.so there, out of the PyPI wheel.
set -eu
here=$(dirname "$0") python=$1 lib=$2
case $(uname -sm) in
"Linux x86_64") platform=manylinux_2_28_x86_64 ;;
"Linux aarch64") platform=manylinux_2_28_aarch64 ;;
*)
	echo "setup: error: want Linux on x86_64 or aarch64, got $(uname -sm)" >&2
	echo "setup: hint: put an ONNX Runtime 1.29 or later library into $lib yourself" >&2
	exit 2
	;;
esac
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
trap 'exit 130' INT TERM
"$python" -m pip download --quiet --no-deps --only-binary=:all: --require-hashes \
	--implementation cp --python-version 3.11 --platform "$platform" \
	--dest "$wheels" --requirement "$here/native.txt"
mkdir -p "$lib"
"$python" "$here/unwheel.py" "$wheels"/onnxruntime-*.whl 'onnxruntime/capi/libonnxruntime.so.*' "$lib/libonnxruntime.so"
