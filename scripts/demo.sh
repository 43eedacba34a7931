#!/bin/sh
# demo.sh ORTSCORE MODEL: score and rank the examples and show what came out.
set -eu
here=$(dirname "$0") ortscore=$1 model=$2
out=$(dirname "$ortscore")/demo
mkdir -p "$out"
"$ortscore" nll --onnx "$model" --in "$here/../examples/questions.jsonl" --out "$out/questions.scored.jsonl" --force
python3 "$here/demo_table.py" "$out/questions.scored.jsonl"
"$ortscore" rank --onnx "$model" --in "$here/../examples/questions.jsonl" --out "$out/questions.ranked.jsonl" --limit 4 --force
python3 "$here/demo_table.py" "$out/questions.ranked.jsonl"
echo "scored and ranked: $out/questions.scored.jsonl, $out/questions.ranked.jsonl"
