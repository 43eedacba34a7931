package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/nll"
	"github.com/ortscore/ortscore/ort"
)

func doctorCommand() (*pflag.FlagSet, func(context.Context, *ui, []string) error) {
	f := &teacherFlags{}
	fs := newFlags("doctor")
	f.add(fs)
	return fs, func(ctx context.Context, ui *ui, args []string) error {
		if len(args) > 0 {
			return fmt.Errorf("want no arguments, got %q", args[0])
		}
		return f.doctor(ctx, ui)
	}
}

// doctor looks at one part after another and stops at the first that is broken,
// with what it found so far already shown.
func (f *teacherFlags) doctor(ctx context.Context, ui *ui) error {
	if f.onnx != "" { // without a model the devices are looked at, and nothing runs
		if err := f.checkDevice(); err != nil {
			return err
		}
	}
	lib, err := f.loadLibrary()
	if err != nil {
		return err
	}
	ui.section("library")
	ui.fact("onnx runtime", "%s, from %s (%s)", lib.Version, lib.Place.Path, lib.Place.Source)
	ui.fact("provider cpu", "works")
	for _, device := range f.devices {
		if err := ort.CheckCUDA(device); err != nil {
			ui.fact("provider cuda", "no: %v", err)
			break
		}
		ui.fact("provider cuda", "works on device %d", device)
	}
	if f.onnx == "" {
		return nil
	}
	t, err := f.open()
	if err != nil {
		return err
	}
	defer t.close()
	t.describeTokenizer(ui)
	if err := t.start(ctx); err != nil {
		return err
	}
	t.describeModel(ui)
	if err := t.forward(ctx, ui); err != nil {
		return err
	}
	return t.tryDecoding(ctx, ui)
}

func (t *teacher) describeTokenizer(ui *ui) {
	ui.section("tokenizer")
	ui.fact("file", "%s", t.files.Tokenizer)
	ui.fact("size", "%d tokens", t.tokenizer.Size)
	ui.fact("put before a text", "%s", t.names(t.tokenizer.Before))
	ui.fact("put after, removed", "%s", t.names(t.tokenizer.After))
	settings := t.settings
	ui.fact("bos, eos", "%s, %s", orNone(settings.BOS), orNone(settings.EOS))
	ui.fact("chat template", "%s", orNone(settings.ChatTemplate))
	ui.notes(append(t.tokenizer.Notes, settings.Notes...))
}

func (t *teacher) describeModel(ui *ui) {
	info := t.info
	c := info.Convention
	ui.section("model")
	ui.fact("file", "%s", t.files.Model)
	ui.fact("config", "%s", orNone(t.config.Path))
	ui.fact("made by", "%s", orNone(info.Graph.Producer))
	ui.fact("architecture", "%s", orNone(t.config.Architecture))
	ui.fact("convention", "%s", c.Name)
	ui.fact("types", "ids %s, logits %s", c.InputIDs.Type, c.Logits.Type)
	ui.fact("weights", "%s", t.stored)
	if len(c.Past) > 0 {
		ui.fact("cache", "%d layers, %d heads of %d, %s", c.KVLayers(), info.KVHeads, info.HeadDim, c.Past[0].Type)
	}
	if t.config.Heads > 0 {
		ui.fact("attention heads", "%d, over %d key and value heads, in %d layers", t.config.Heads, t.config.KVHeads, t.config.Layers)
	}
	ui.fact("parameters", "%.4g million", float64(info.Graph.Params)/1e6)
	ui.fact("vocabulary", "%d", info.Vocab)
	ui.fact("context", "%s", t.describeContext())
	ui.fact("gives", "%s", info.Form)
	ui.fact("runs on", "%s", info.Provider)
	if free, err := t.lms[0].FreeMemory(); err == nil {
		ui.fact("memory left", "%.1f GiB", float64(free)/(1<<30))
	} else {
		ui.fact("memory left", "unknown: %v", err)
	}
	ui.notes(slices.Concat(info.Notes, precisionNotes(t.stored), t.lengthNotes(), t.leakNotes()))
}

func (t *teacher) describeContext() string {
	switch tokens, err := t.maxLength(0); {
	case err == nil && tokens == unbounded:
		return "no bound"
	case err == nil:
		return fmt.Sprintf("%d tokens", tokens)
	case t.found.MostTokens > 0:
		return fmt.Sprintf("at most %d tokens, by the graph: give --max-length", t.found.MostTokens)
	}
	return "unknown: give --max-length"
}

// forward scores a short text, so that a person can see that the model speaks.
func (t *teacher) forward(ctx context.Context, ui *ui) error {
	const text = "The capital of France is Paris"
	enc, err := t.tokenizer.Encode(text, true)
	if err != nil {
		return err
	}
	if len(enc.IDs) < 2 {
		return fmt.Errorf("%s: want two tokens or more for %q, got %d", t.files.Tokenizer, text, len(enc.IDs))
	}
	lm := &model.LM{Scorers: t.scorers(), Limits: model.Limits{Tokens: len(enc.IDs)}}
	start := time.Now()
	seq := model.Answer(enc.IDs, model.Span{From: 1, To: len(enc.IDs)})
	var score float32
	err = lm.LogProbs(ctx, []model.Block{{Sequences: []model.Sequence{seq}}}, func(_, _ int, logProbs []float32) {
		score = nll.LogLikelihood(logProbs)
	})
	if err == nil && (math.IsNaN(float64(score)) || math.IsInf(float64(score), 0)) {
		err = &model.NonFiniteError{Value: float64(score)}
	}
	if err != nil {
		return err
	}
	ui.section("a forward")
	ui.fact("text", "%q, %d tokens", text, len(enc.IDs))
	ui.fact("mean log-likelihood", "%.4f nats a token, in %s", score, time.Since(start).Round(time.Millisecond))
	t.describeTrial(ui)
	return nil
}

// describeTrial shows what the model's first forwards found.
func (t *teacher) describeTrial(ui *ui) {
	trial := t.info.Trial
	ui.fact("later tokens", "change an earlier one's logits by %.2g", trial.Later)
	ui.fact("the batch", "changes a sequence's logits by %.2g (sequences of up to %d tokens)", max(trial.Beside, trial.Equal), trial.Tokens)
}

// tryDecoding opens the model to write with, and shows what its cache was found to do.
func (t *teacher) tryDecoding(ctx context.Context, ui *ui) error {
	t.closeModels()
	if err := t.startDecoder(ctx, ort.AskTokens); err != nil {
		return err
	}
	ui.section("decoding")
	ui.fact("gives", "%s", t.info.Form)
	ui.fact("cache", "%s", t.info.Cache)
	if trial := t.info.Trial; trial.CacheTokens > 0 {
		ui.fact("reading in steps", "changes the logits by %.2g (texts of up to %d tokens)", trial.CacheSteps, trial.CacheTokens)
		if !trial.OneRow {
			ui.fact("other texts", "in the cache change them by %.2g", trial.CacheBeside)
		}
	}
	ui.notes(t.info.Notes)
	return nil
}

// names shows tokens as the tokenizer spells them.
func (t *teacher) names(ids []int32) string {
	if len(ids) == 0 {
		return "nothing"
	}
	var names []string
	for _, id := range ids {
		text, err := t.tokenizer.Decode([]int32{id})
		if err != nil {
			text = "?"
		}
		names = append(names, fmt.Sprintf("%s (%d)", text, id))
	}
	return strings.Join(names, " ")
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
