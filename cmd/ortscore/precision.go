package main

import (
	"slices"
	"strings"
)

// unknownPrecision is that of an endpoint, and of a graph without weights.
const unknownPrecision = "unknown"

// isQuantised reports whether a precision, as graph.Model tells it, is one of
// rounded integers: scores of such a teacher are near to those of the model that
// it was made from, and not the same.
func isQuantised(precision string) bool {
	return !slices.Contains([]string{"fp64", "fp32", "fp16", "bf16", unknownPrecision}, precision)
}

// labelled is a model's name for the name of an output, with the precision of a
// quantised one where its own name does not tell it.
func labelled(name, precision string) string {
	if !isQuantised(precision) || strings.Contains(strings.ToLower(name), precision) {
		return name
	}
	return name + "-" + precision
}

// precisionNotes says once that scores are those of a quantised teacher.
func precisionNotes(precision string) []string {
	if !isQuantised(precision) {
		return nil
	}
	return []string{"the teacher's weights are " + precision + ": its scores are not those of the fp32 teacher"}
}

// weightsText ends the first line of a summary.
func weightsText(precision string) string {
	if precision == unknownPrecision {
		return ""
	}
	return ", " + precision + " weights"
}
