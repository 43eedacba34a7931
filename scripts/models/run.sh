#!/usr/bin/env bash
# run.sh ZOO ORTSCORE LIB [FAMILY,...]: all steps of scripts/models. All families give
# docs/models.md, some of them ZOO/models.md.
set -euo pipefail
zoo=$1 ortscore=$2 lib=$3 only=(${4:+--only "$4"}) out=docs/models.md
if [ $# -gt 3 ]; then out=$zoo/models.md; fi
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 ORT_DISABLE_TELEMETRY=1 PYTHONPATH=scripts
step() { "$zoo/venv/bin/python" -W ignore -m models "$1" "$zoo" "${@:2}" "${only[@]}"; }
step checkpoints
for exporter in optimum export_onnx quantize_dynamic; do
	step export --exporter $exporter
done
PYTHONPATH=$zoo/venv/builder:scripts step export --exporter genai
step measure --ortscore "$ortscore" --lib "$lib" >"$zoo/measure.log"
step table --out "$out"
echo "models: wrote $out"
