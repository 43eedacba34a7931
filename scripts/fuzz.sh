#!/bin/sh
# fuzz.sh TIME: run every fuzz target for TIME. Minimising an input that is
# merely new can eat a short run whole, so it is kept to one try.
set -eu
time=$1
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		echo "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x "$package"
	done
done
