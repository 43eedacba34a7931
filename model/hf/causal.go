package hf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Families by model_type. A masked language model runs like a causal one, and
// scores an answer that it has seen.
var (
	// encoders are of one direction only where is_decoder (XLM: causal) says so, as far
	// as they can be.
	encoders = strings.Fields(`albert bert big_bird camembert canine convbert data2vec-text deberta deberta-v2 distilbert
		electra ernie ernie_m esm eurobert flaubert fnet funnel ibert jina_bert layoutlm layoutlmv2 layoutlmv3 lilt longformer
		luke markuplm mega megatron-bert mobilebert modernbert mpnet mra neobert new nezha nomic_bert nystromformer qdqbert
		rembert roberta roberta-prelayernorm roc_bert roformer splinter squeezebert tapas visual_bert xlm xlm-roberta
		xlm-roberta-xl xlnet xmod yoso`)
	// diffusers write a text by filling in its gaps.
	diffusers = strings.Fields(`dream llada llada_moe`)
	// encoderDecoders read a text with an encoder and write with a decoder.
	encoderDecoders = strings.Fields(`bart bigbird_pegasus blenderbot blenderbot-small encoder-decoder florence2 fsmt led
		longt5 m2m_100 marian marian-ssru mbart moonshine mt5 mvp nllb-moe nougat pegasus pegasus_x pix2struct plbart pop2piano
		prophetnet seamless_m4t seamless_m4t_v2 speech-encoder-decoder speech_to_text speecht5 switch_transformers t5 t5gemma
		udop umt5 vision-encoder-decoder whisper xlm-prophetnet`)
)

// What a model is in place of a causal language model.
const (
	isEncoder        = "an encoder, whose tokens see those after them"
	isDiffuser       = "a diffusion model, whose tokens see those after them"
	isEncoderDecoder = "an encoder-decoder, whose decoder needs what its encoder gives"
)

// task is what an architecture's name says the model is for.
var task = regexp.MustCompile(`For([A-Z][A-Za-z]*)$`)

// notCausal says what a model is in place of a causal language model, "" where it
// may be one.
func (f *configFile) notCausal() string {
	text := f.text
	types := []string{f.ModelType, text.ModelType}
	is := func(families []string) bool {
		return slices.ContainsFunc(types, func(t string) bool { return slices.Contains(families, t) })
	}
	names := f.Architectures
	if len(names) == 0 {
		names = text.Architectures
	}
	forward := text.IsDecoder.value || text.Causal.value
	what := ""
	switch causal := slices.ContainsFunc(names, isCausalName); {
	case causal && is(encoders) && !forward:
		what = isEncoder // RobertaForCausalLM without is_decoder
	case causal:
	case is(diffusers):
		what = isDiffuser
	case f.IsEncoderDecoder.value || text.IsEncoderDecoder.value || is(encoderDecoders):
		what = isEncoderDecoder
	case is(encoders) && !forward:
		what = isEncoder
	default:
		what = f.otherTask(names)
	}
	if what == "" {
		return ""
	}
	if len(names) == 0 {
		names = []string{f.ModelType}
	}
	return fmt.Sprintf("want a causal language model, got %s: %s", strings.Join(names, ", "), what)
}

// isCausalName reports whether an architecture's name promises a causal language
// model: LlamaForCausalLM, GPT2LMHeadModel.
func isCausalName(name string) bool {
	return strings.HasSuffix(name, "ForCausalLM") || strings.HasSuffix(name, "LMHeadModel") || strings.HasSuffix(name, "DoubleHeadsModel")
}

// otherTask says what architectures are whose names tell another task. One that
// writes (ForConditionalGeneration) may be a language model that also sees.
func (f *configFile) otherTask(names []string) string {
	for _, name := range names {
		m := task.FindStringSubmatch(name)
		switch {
		case m == nil:
			continue
		case m[1] == "MaskedLM":
			return isEncoder
		case m[1] != "ConditionalGeneration":
			return "a model for another task, which gives no logits of words"
		case f.text == f && len(f.Vision) == 0 && len(f.Audio) == 0 && f.ModelType != "chatglm":
			return isEncoderDecoder
		}
	}
	return ""
}

// notCausal says so of what onnxruntime-genai runs.
func (f *genaiFile) notCausal() string {
	if len(f.Model.Encoder) > 0 && string(f.Model.Encoder) != "null" || slices.Contains(encoderDecoders, f.Model.Type) {
		return fmt.Sprintf("want a causal language model, got %s: %s", f.Model.Type, isEncoderDecoder)
	}
	return ""
}
