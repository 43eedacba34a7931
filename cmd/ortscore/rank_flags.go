package main

import (
	"fmt"
	"slices"

	"github.com/ortscore/ortscore/io/template"
	"github.com/ortscore/ortscore/rank"
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

// scorer makes the scorer from the flags that need no model.
func (f *rankFlags) scorer() (*rank.Scorer, error) {
	if f.firstID > 1 {
		return nil, fmt.Errorf("--first-id: want 0 or 1, got %d", f.firstID)
	}
	if err := rank.CheckWindow(f.window, f.step); err != nil {
		return nil, fmt.Errorf("--window, --step: %w", err)
	}
	if f.scores == rank.Confidence && (f.decode == freeDecoding || f.modelType == remoteModel) {
		return nil, fmt.Errorf("--scores confidence: want constrained decoding with a model of your own, which alone knows the probabilities, got another")
	}
	if slices.Contains(f.stop, "") {
		return nil, fmt.Errorf("--stop: want a text, got an empty one")
	}
	prompt := rank.DefaultTemplate()
	if f.promptTemplate != "" {
		var err error
		f.templates = append(f.templates, f.promptTemplate)
		if prompt, err = template.ReadFile(f.promptTemplate, rank.ParseTemplate); err != nil {
			return nil, err
		}
	}
	return &rank.Scorer{
		Fitter:           rank.Fitter{Template: prompt, First: f.firstID},
		PassageMaxLength: f.passageMaxLength,
		Order:            f.order, Seed: f.seed, Permutations: f.permutations, Aggregate: f.aggregate,
		Window: f.window, Step: f.step, Passes: f.passes,
		Kind: f.scores, Relabel: f.relabel, DropScores: f.dropScores, EqualScores: f.onError == "equal",
	}, nil
}
