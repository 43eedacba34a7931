package main

import (
	"fmt"
	"slices"
)

// Flags that only some teachers of rank use.
var (
	localFlags = []string{"dtype", "ep", "devices", "replicas", "gpu-memory", "cuda-attention", "threads", "graph", "ort-lib", "io-map", "allow-leak", "bos", "date",
		"repetition-penalty", "batch-tokens", "batch-size", "cache-tokens", "stats"}
	remoteFlags = []string{"base-url", "model", "api-key-file", "extra-body", "parallel", "retries", "deadline"}
)

// checkUsed refuses an argument that the teacher would not use: it would change
// nothing, without a word.
func (f *rankFlags) checkUsed() error {
	refused, kind := remoteFlags, "a model of your own"
	switch f.modelType {
	case remoteModel:
		refused, kind = localFlags, "an endpoint"
		if f.set.Changed("model") {
			refused = append(slices.Clone(refused), "onnx") // the name of the model as well
		}
		if f.decode == constrainedDecoding {
			refused = append(slices.Clone(refused), "decode")
		}
	case baseModel:
		refused = append(slices.Clone(refused), "date") // it has no chat template
	}
	for _, name := range refused {
		if f.set.Changed(name) {
			return withHint(fmt.Errorf("--%s: must not be given with --model-type %s: %s does not use it", name, f.modelType, kind), "leave it out")
		}
	}
	return nil
}
