#!/usr/bin/env bash
# run.sh ZOO ORTSCORE LIB [FAMILY,...]: all steps of scripts/models, and docs/models.md.
set -euo pipefail
zoo=$1 ortscore=$2 lib=$3 only=(${4:+--only "$4"})
export OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 ORT_DISABLE_TELEMETRY=1
python() { "$zoo/venv/bin/python" -W ignore -m models "$@" "${only[@]}"; }
export PYTHONPATH=scripts
python checkpoints "$zoo"
python export "$zoo" --exporter optimum
python export "$zoo" --exporter export_onnx
python export "$zoo" --exporter quantize_dynamic
PYTHONPATH=$zoo/venv/builder:scripts python export "$zoo" --exporter genai
python measure "$zoo" --ortscore "$ortscore" --lib "$lib" >"$zoo/measure.log"
python table "$zoo" --out docs/models.md
