#!/bin/sh
# fuzz.sh PYTHON TIME: run every Go fuzz target for TIME, then the exporter's
# header readers on ten times the mutations of make test. Minimising an input
# that is merely new can eat a short run whole, so it is kept to one try.
set -eu
python=$1 time=$2
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x "$package"
	done
done
FUZZ_CASES=30000 "$python" -m pytest -q scripts/tests -k mutated
