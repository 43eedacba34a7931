#!/usr/bin/env bash
# build.sh PYTHON OUT: the stand-ins for CUDA's libraries, in OUT.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) python=$1 out=$2
if ! command -v "${CXX:=g++}" >/dev/null; then
	echo "fakecuda: error: want a C++ compiler, got no $CXX" >&2
	echo "fakecuda: hint: install g++ (Debian, Ubuntu: apt-get install g++), or name another in CXX" >&2
	exit 2
fi
if [ "$(uname -sm)" != "Linux x86_64" ]; then
	echo "fakecuda: error: onnxruntime-gpu is there for Linux on x86_64 alone, got $(uname -sm)" >&2
	exit 2
fi
headers=$(mktemp -d)
trap 'rm -rf "$headers"' EXIT
"$python" -m pip download --quiet --no-deps --only-binary=:all: --require-hashes \
	--dest "$headers" --requirement "$here/headers.txt"
for wheel in "$headers"/*.whl; do
	"$python" -m zipfile -e "$wheel" "$headers"
done
mkdir -p "$out"

# library NAME VERSION SOURCE...: programs look for the version of a symbol too.
library() {
	local name=$1 version=$2
	shift 2
	echo "$version { global: cu*; __cuda*; local: *; };" >"$headers/map"
	"$CXX" -std=c++17 -O1 -Wall -Wextra -shared -fPIC -isystem "$headers/nvidia/cu13/include" \
		"${@/#/$here/}" -Wl,--version-script="$headers/map" -Wl,-soname,"$name" -o "$out/$name"
}
library libcudart.so.13 libcudart.so.13 runtime.cpp memory.cpp launch.cpp
library libcublas.so.13 libcublas.so.13 cublas.cpp
library libcublasLt.so.13 libcublasLt.so.13 cublaslt.cpp
library libcudnn.so.9 libcudnn.so.9 cudnn.cpp
library libcurand.so.10 libcurand.so.10 curand.cpp
library libcuda.so.1 '' cuda.cpp
