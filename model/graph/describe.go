package graph

import (
	"fmt"
	"slices"
	"strings"
)

// list names tensors for an error, the cache's many cut to a few.
func list(tensors []Tensor) string {
	names := make([]string, 0, len(tensors))
	for _, t := range tensors {
		names = append(names, fmt.Sprintf("%s %s %s", t.Name, t.Type, shape(t)))
	}
	slices.Sort(names)
	if len(names) > 8 {
		names = append(names[:8], "...")
	}
	return strings.Join(names, ", ")
}

func shape(t Tensor) string {
	if t.Dims == nil {
		return "of no known shape"
	}
	dims := make([]string, len(t.Dims))
	for i, d := range t.Dims {
		switch {
		case d >= 0:
			dims[i] = fmt.Sprint(d)
		case i < len(t.Symbols) && t.Symbols[i] != "":
			dims[i] = t.Symbols[i]
		default:
			dims[i] = "?"
		}
	}
	return "[" + strings.Join(dims, ", ") + "]"
}
