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
      --decode $decode --max-tokens 64 --quiet --json >"$report" || status=$?
    test $status -eq 0 || test $status -eq 3 || exit $status
    python3 -c '
import json, sys
name, decode, path = sys.argv[1:]
r = json.load(open(path))
share = 100 * r["malformed"] / r["lists"]
print(f"{name:24} {decode:12} {r[\"malformed\"]:5} of {r[\"lists\"]} malformed ({share:.1f}%), no ranking in {r[\"no_ranking\"]}: {r[\"repairs\"]}")
' "$(basename "$model")" $decode "$report"
  done
done
