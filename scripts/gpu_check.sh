#!/bin/sh
# gpu_check.sh [--rehearse] [flags] LIBDIR MODEL: the whole GPU proof, as one Markdown table.
#
# LIBDIR holds libonnxruntime.so with its CUDA provider, and ortscore. MODEL is a .gguf file or a
# Hugging Face folder of a small model, SmolLM2-135M. Needs no network; docs/gpu.md has the rest.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}

# CUDA's libraries, out of the wheels that torch came with.
wheels=$("$python" -c '
import importlib.util, pathlib
spec = importlib.util.find_spec("nvidia")
for base in spec.submodule_search_locations if spec else []:
    for lib in sorted(pathlib.Path(base).glob("*/lib")):
        print(lib)' | paste -sd: -)
export LD_LIBRARY_PATH="$wheels${wheels:+:}${LD_LIBRARY_PATH:-}"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1
exec "$python" -m gpucheck "$@"
