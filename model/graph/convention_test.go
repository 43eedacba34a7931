package graph

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func tens(name string, typ ElemType, dims ...int64) Tensor {
	if dims == nil {
		dims = []int64{}
	}
	return Tensor{Name: name, Type: typ, Dims: dims, Symbols: make([]string, len(dims))}
}

func ids(name string, typ ElemType) Tensor { return tens(name, typ, -1, -1) }

// pasts are the cache inputs of n layers.
func pasts(n int, typ ElemType) []Tensor {
	var out []Tensor
	for i := range n {
		out = append(out, tens(fmt.Sprintf("past_key_values.%d.key", i), typ, -1, 2, -1, 16),
			tens(fmt.Sprintf("past_key_values.%d.value", i), typ, -1, 2, -1, 16))
	}
	return out
}

func decoder(ops string, outputs []Tensor, inputs ...Tensor) *Model {
	return &Model{Inputs: inputs, Outputs: outputs, Ops: map[string]int{ops: 1}}
}

var full = []Tensor{tens("logits", Float32, -1, -1, 100)}

func TestDetect(t *testing.T) {
	inputIDs, mask, positions := ids("input_ids", Int64), ids("attention_mask", Int64), ids("position_ids", Int64)
	keep0, keep1 := tens("num_logits_to_keep", Int64), tens("logits_to_keep", Int32, 1)
	useCache := tens("use_cache_branch", Bool, 1)
	f16 := []Tensor{tens("logits", Float16, -1, -1, 100), tens("present.0.key", Float16, -1, 2, -1, 16)}
	past := pasts(2, Float32)
	with := func(base []Tensor, more ...Tensor) []Tensor { return append(more, base...) }

	for _, c := range []struct {
		name  string
		model *Model
		ioMap map[string]string
		want  Convention
	}{
		{"onnxruntime-genai's model builder", decoder("GroupQueryAttention", f16, with(pasts(3, Float16), inputIDs, mask)...), nil,
			Convention{Name: "GroupQueryAttention, past", InputIDs: inputIDs, AttentionMask: "attention_mask", Past: pasts(3, Float16), Logits: f16[0], IntType: Int64}},
		{"optimum", decoder("Softmax", full, with(past, inputIDs, mask, positions)...), nil,
			Convention{Name: "explicit attention, position_ids, past", InputIDs: inputIDs, AttentionMask: "attention_mask",
				PositionIDs: "position_ids", Past: past, Logits: full[0], IntType: Int64}},
		{"optimum, merged", decoder("If", full, with(past, inputIDs, mask, positions, useCache)...), nil,
			Convention{Name: "explicit attention, position_ids, past, use_cache_branch", InputIDs: inputIDs, AttentionMask: "attention_mask",
				PositionIDs: "position_ids", Past: past, UseCache: useCache, Logits: full[0], IntType: Int64}},
		{"transformers.js", decoder("GroupQueryAttention", full, with(past, inputIDs, mask, positions, keep0)...), nil,
			Convention{Name: "GroupQueryAttention, position_ids, past, num_logits_to_keep", InputIDs: inputIDs, AttentionMask: "attention_mask",
				PositionIDs: "position_ids", Past: past, KeepLogits: keep0, Logits: full[0], IntType: Int64}},
		{"transformers.js, of one number", decoder("Softmax", full, inputIDs, mask, keep1), nil,
			Convention{Name: "explicit attention, logits_to_keep", InputIDs: inputIDs, AttentionMask: "attention_mask", KeepLogits: keep1, Logits: full[0], IntType: Int64}},
		{"torch.onnx", decoder("Softmax", []Tensor{tens("output", Float32, -1, -1, 100)}, ids("tokens", Int64), ids("mask", Int64)), nil,
			Convention{Name: "explicit attention", InputIDs: ids("tokens", Int64), AttentionMask: "mask", Logits: tens("output", Float32, -1, -1, 100), IntType: Int64}},
		{"torch.onnx with a cache", decoder("Softmax", []Tensor{tens("linear_7", BFloat16, -1, -1, 100), tens("cat_1", BFloat16, -1, 2, -1, 16)},
			ids("onnx::Ids", Int64), ids("causal_MASK", Int64), ids("input_pos", Int64), tens("k_cache.0", BFloat16, -1, 2, -1, 16), tens("v_cache.0", BFloat16, -1, 2, -1, 16)), nil,
			Convention{Name: "explicit attention, position_ids, past", InputIDs: ids("onnx::Ids", Int64), AttentionMask: "causal_MASK", PositionIDs: "input_pos",
				Past:   []Tensor{tens("k_cache.0", BFloat16, -1, 2, -1, 16), tens("v_cache.0", BFloat16, -1, 2, -1, 16)},
				Logits: tens("linear_7", BFloat16, -1, -1, 100), IntType: Int64}},
		{"a single input of any name", decoder("Softmax", full, ids("x", Int32)), nil,
			Convention{Name: "explicit attention", InputIDs: ids("x", Int32), Logits: full[0], IntType: Int64}},
		{"int32", decoder("Softmax", full, ids("input_ids", Int32), ids("attention_mask", Int32), ids("position_ids", Int32)), nil,
			Convention{Name: "explicit attention, position_ids", InputIDs: ids("input_ids", Int32), AttentionMask: "attention_mask",
				PositionIDs: "position_ids", Logits: full[0], IntType: Int32}},
		{"int64 ids, int32 mask", decoder("Softmax", full, inputIDs, ids("attention_mask", Int32)), nil,
			Convention{Name: "explicit attention", InputIDs: inputIDs, AttentionMask: "attention_mask", Logits: full[0], IntType: Int32}},
		{"logits beside hidden states", decoder("Softmax", []Tensor{tens("hidden_states", Float32, -1, -1, 64), full[0], tens("aux", Float32, -1, -1, 9)}, inputIDs), nil,
			Convention{Name: "explicit attention", InputIDs: inputIDs, Logits: full[0], IntType: Int64}},
		{"a nameless output beside hidden states", decoder("Softmax", []Tensor{tens("last_hidden_state", Float32, -1, -1, 64), tens("out", Float32, -1, -1, 100)}, inputIDs), nil,
			Convention{Name: "explicit attention", InputIDs: inputIDs, Logits: tens("out", Float32, -1, -1, 100), IntType: Int64}},
		{"an io map for every role", decoder("Softmax", []Tensor{tens("a", Float32, -1, -1, 100), tens("b", Float32, -1, -1, 100)}, ids("x", Int64), ids("y", Int64), ids("z", Int64)),
			map[string]string{"input_ids": "x", "attention_mask": "y", "position_ids": "z", "logits": "b"},
			Convention{Name: "explicit attention, position_ids", InputIDs: ids("x", Int64), AttentionMask: "y", PositionIDs: "z", Logits: tens("b", Float32, -1, -1, 100), IntType: Int64}},
		{"an io map against the usual names", decoder("Softmax", []Tensor{full[0], tens("other", Float32, -1, -1, 100)}, ids("attention_mask", Int64), ids("input_ids", Int64)),
			map[string]string{"input_ids": "attention_mask", "attention_mask": "input_ids", "logits": "other"},
			Convention{Name: "explicit attention", InputIDs: ids("attention_mask", Int64), AttentionMask: "input_ids", Logits: tens("other", Float32, -1, -1, 100), IntType: Int64}},
		{"an io map that insists on hidden states", decoder("Softmax", []Tensor{tens("last_hidden_state", Float32, -1, -1, 100)}, inputIDs),
			map[string]string{"logits": "last_hidden_state"},
			Convention{Name: "explicit attention", InputIDs: inputIDs, Logits: tens("last_hidden_state", Float32, -1, -1, 100), IntType: Int64}},
		{"ids of no known shape", decoder("Softmax", full, Tensor{Name: "input_ids", Type: Int64}), nil,
			Convention{Name: "explicit attention", InputIDs: Tensor{Name: "input_ids", Type: Int64}, Logits: full[0], IntType: Int64}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Detect(c.model, c.ioMap)
			require.NoError(t, err)
			require.Equal(t, &c.want, got)
			require.Equal(t, len(c.want.Past)/2, got.KVLayers())
		})
	}
}

func TestDetectRefuses(t *testing.T) {
	inputIDs := ids("input_ids", Int64)
	const unknown = "inputs: want token ids, mask, positions or a cache, got "
	for _, c := range []struct {
		name  string
		model *Model
		ioMap map[string]string
		want  string
	}{
		{"no inputs", decoder("", full), nil, "inputs: want one of token ids [batch, sequence], got "},
		{"an unknown input", decoder("", full, inputIDs, ids("token_type_ids", Int64)), nil, unknown + "token_type_ids int64 [?, ?]"},
		{"several unknown inputs", decoder("", full, inputIDs, tens("pixel_values", Float32, -1, 3, 224, 224), tens("cache_position", Int64, -1)), nil,
			unknown + "cache_position int64 [?], pixel_values fp32 [?, 3, 224, 224]"},
		{"an encoder's states", decoder("", full, inputIDs, tens("encoder_hidden_states", Float32, -1, -1, 64)), nil, "inputs: want those of a causal language model, got encoder_hidden_states: this is the decoder of an encoder-decoder, which needs what its encoder gives"},
		{"token types alone", decoder("", full, ids("token_type_ids", Int64), ids("mask", Int64)), nil, unknown + "token_type_ids int64 [?, ?]"},
		{"embeddings in place of ids", decoder("", full, tens("inputs_embeds", Float32, -1, -1, 64), ids("attention_mask", Int64)), nil, unknown + "inputs_embeds fp32 [?, ?, 64]"},
		{"a float mask of rank 4", decoder("", full, inputIDs, tens("attention_mask", Float32, -1, 1, -1, -1)), nil, unknown + "attention_mask fp32 [?, 1, ?, ?]"},
		{"positions of rank 3", decoder("", full, inputIDs, tens("position_ids", Int64, 3, -1, -1)), nil, unknown + "position_ids int64 [3, ?, ?]"},
		{"float ids", decoder("", full, ids("input_ids", Float32)), nil, unknown + "input_ids fp32 [?, ?]"},
		{"an int8 cache", decoder("", full, inputIDs, tens("past_key_values.0.key", 3, -1, 2, -1, 16)), nil, unknown + "past_key_values.0.key onnx type 3 [?, 2, ?, 16]"},
		{"two inputs of free names", decoder("", full, ids("x", Int64), ids("y", Int64)), nil, unknown + "x int64 [?, ?], y int64 [?, ?]"},
		{"a mask alone", decoder("", full, ids("attention_mask", Int64)), nil, "inputs: want one of token ids [batch, sequence], got attention_mask int64 [?, ?]"},
		{"mask and positions of two types", decoder("", full, inputIDs, ids("attention_mask", Int32), ids("position_ids", Int64)), nil,
			"inputs: want mask and positions of one type, got attention_mask int32 [?, ?], position_ids int64 [?, ?]"},

		{"no outputs", decoder("", nil, inputIDs), nil, "outputs: want one of logits [batch, sequence, vocabulary], got "},
		{"several outputs of rank 3", decoder("", []Tensor{tens("a", Float32, -1, -1, 9), tens("b", Float32, -1, -1, 9)}, inputIDs), nil,
			"outputs: want one of logits [batch, sequence, vocabulary], got a fp32 [?, ?, 9], b fp32 [?, ?, 9]"},
		{"an encoder", decoder("", []Tensor{tens("last_hidden_state", Float32, -1, -1, 768), tens("pooler_output", Float32, -1, 768)}, inputIDs, ids("attention_mask", Int64)), nil,
			"outputs: want one of logits [batch, sequence, vocabulary], got last_hidden_state fp32 [?, ?, 768], pooler_output fp32 [?, 768]"},
		{"a decoder without its head", decoder("", []Tensor{tens("hidden_states", Float16, -1, -1, 768)}, inputIDs), nil,
			"outputs: want one of logits [batch, sequence, vocabulary], got hidden_states fp16 [?, ?, 768]"},
		{"token embeddings", decoder("", []Tensor{tens("token_embeddings", Float32, -1, -1, 384), tens("sentence_embedding", Float32, -1, 384)}, inputIDs), nil,
			"outputs: want one of logits [batch, sequence, vocabulary], got sentence_embedding fp32 [?, 384], token_embeddings fp32 [?, ?, 384]"},
		{"the last position only, kept", decoder("", []Tensor{tens("logits", Float32, -1, 1, 100)}, inputIDs), nil,
			"output logits: want full logits [batch, sequence, vocabulary], got [?, 1, 100]: the graph keeps only the last position"},
		{"the last position only, dropped", decoder("", []Tensor{tens("logits", Float32, -1, 100)}, inputIDs), nil,
			"output logits: want full logits [batch, sequence, vocabulary], got [?, 100]: the graph keeps only the last position"},
		{"integer logits", decoder("", []Tensor{tens("logits", Int64, -1, -1, 100)}, inputIDs), nil, "output logits: want fp32, fp16 or bf16, got int64"},
		{"logits of no known shape", decoder("", []Tensor{{Name: "logits", Type: Float32}}, inputIDs), nil,
			"output logits: want a shape [batch, sequence, vocabulary] in the graph, got none"},

		{"an unknown role", decoder("", full, inputIDs), map[string]string{"past": "x"}, `io map: want input_ids, attention_mask, position_ids or logits, got "past"`},
		{"an unknown input in the map", decoder("", full, inputIDs), map[string]string{"input_ids": "ids"}, `io map: input_ids: want one of input_ids int64 [?, ?], got "ids"`},
		{"an unknown output in the map", decoder("", full, inputIDs), map[string]string{"logits": "input_ids"}, `io map: logits: want one of logits fp32 [?, ?, 100], got "input_ids"`},
		{"a name in two roles", decoder("", full, inputIDs), map[string]string{"input_ids": "input_ids", "attention_mask": "input_ids"},
			`io map: want a role for each name, got attention_mask and input_ids for "input_ids"`},
		{"a usual name left over", decoder("", full, inputIDs, ids("x", Int64)), map[string]string{"input_ids": "x"}, unknown + "input_ids int64 [?, ?]"},
		{"a mapped input of a wrong type", decoder("", full, inputIDs, tens("bias", Float32, -1, 1, -1, -1)), map[string]string{"attention_mask": "bias"},
			unknown + "bias fp32 [?, 1, ?, ?]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Detect(c.model, c.ioMap)
			require.EqualError(t, err, c.want)
		})
	}
}

// A long list of inputs, as a cache makes it, is cut in the message.
func TestDetectCutsTheList(t *testing.T) {
	_, err := Detect(decoder("", full, append(pasts(40, Float32), Tensor{Name: "a", Type: Int64, Symbols: []string{"b"}, Dims: []int64{-1}})...), nil)
	require.EqualError(t, err, "inputs: want token ids, mask, positions or a cache, got a int64 [b]")
	_, err = Detect(decoder("", full, pasts(40, Float32)...), nil)
	require.ErrorContains(t, err, "past_key_values.11.value fp32 [?, 2, ?, 16], ...")
}

func TestDetectFixtures(t *testing.T) {
	for name, want := range map[string]string{
		"tiny-gqa":        "GroupQueryAttention, past",
		"tiny-gqa-fp16":   "GroupQueryAttention, past",
		"tiny-nan":        "GroupQueryAttention, past",
		"tiny-explicit":   "explicit attention, position_ids, past",
		"tiny-numlogits":  "explicit attention, position_ids, past, num_logits_to_keep",
		"tiny-rawnames":   "explicit attention",
		"tiny-lastlogits": "",
	} {
		m, err := Read(filepath.Join(testdata, name, "model.onnx"))
		require.NoError(t, err)
		conv, err := Detect(m, nil)
		if want == "" {
			require.EqualError(t, err, "output logits: want full logits [batch, sequence, vocabulary], got [batch_size, 1, 512]: the graph keeps only the last position")
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, want, conv.Name, name)
	}
}
