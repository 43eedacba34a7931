#!/bin/sh
# malformed.sh ORTSCORE ROWS MODEL...: rank ROWS lists with each model, constrained and free, and
# count the rankings that had to be repaired or were none.
set -eu
here=$(dirname "$0") ortscore=$1 rows=$2
shift 2
out=$(dirname "$ortscore")/malformed
mkdir -p "$out"
python3 "$here/short_lists.py" "$here/../examples/questions.jsonl" "$rows" >"$out/lists.jsonl"
for model; do
  for decode in constrained free; do
    report=$out/$(basename "$model").$decode.json
    status=0
    "$ortscore" rank --onnx "$model" --in "$out/lists.jsonl" --out "$out/ranked.jsonl" --force \
      --decode $decode --max-tokens 64 --window 9 --step 4 --max-failures 0 --quiet --json >"$report" 2>/dev/null || status=$?
    test $status -eq 0 || test $status -eq 3 || exit $status
    python3 "$here/malformed_line.py" "$report" "$(basename "$model")" $decode
  done
done
