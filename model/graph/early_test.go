package graph

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// gatheredIn returns what a rewritten graph gathers, in order of name.
func gatheredIn(t testing.TB, data []byte) (names []string) {
	for _, n := range bodyOf(t, data).nodes {
		if n.op == "Flatten" {
			names = append(names, n.inputs[0])
		}
	}
	slices.Sort(names)
	return names
}

// The last layer's multiplies after its attention run over the chosen positions,
// where the graph says what is [B, T, ...]; else the head alone does.
func TestChooseEarly(t *testing.T) {
	last := []string{"/model/layers.1/attn/GroupQueryAttention/output_0",
		"/model/layers.1/input_layernorm/SkipSimplifiedLayerNormalization/output_3"}
	for name, want := range map[string][]string{
		"tiny-gqa":      last,
		"tiny-gqa-fp16": last,
		"tiny-packed":   last,
		"tiny-int8":     {"/model/norm/SkipSimplifiedLayerNormalization/output_0"},
		"tiny-explicit": {"/model/norm/Mul/output_0"},
	} {
		data := readFixture(t, name)
		for _, form := range []Form{Scoring, Decoding, DecodingTokens, DecodingLikeliest} {
			require.Equal(t, want, gatheredIn(t, rewritten(t, data, form).Data), name)
		}
	}
}

// layer is the end of a decoder: attention, its projection, the residual, a norm
// and the head. Lines that are given take the place of those that make the same.
func layer(lines ...string) []byte {
	all := map[string]string{}
	order := []string{"x", "attn", "o", "normed", "logits"}
	for _, line := range append([]string{
		"com.microsoft.SkipSimplifiedLayerNormalization e0 e1 g -> x",
		"com.microsoft.GroupQueryAttention x x x -> attn",
		"MatMul attn wo -> o",
		"com.microsoft.SkipSimplifiedLayerNormalization x o g -> normed",
		"MatMul normed w -> logits",
	}, lines...) {
		_, made, _ := strings.Cut(line, " -> ")
		made = strings.Fields(made)[0]
		if !slices.Contains(order, made) {
			order = slices.Insert(order, 3, made)
		}
		all[made] = line
	}
	fields := [][]byte{idsInput, headWeight, initializer(tensor("wo", Float32, []int64{8, 8})), initializer(tensor("cube", Float32, []int64{1, 8, 8})),
		initializer(tensor("g", Float32, []int64{8})),
		tensorNode("Gather", []string{"e", "input_ids"}, []string{"e0"}), tensorNode("Gather", []string{"e", "input_ids"}, []string{"e1"})}
	for _, made := range order {
		left, right, _ := strings.Cut(all[made], " -> ")
		words := strings.Fields(left)
		n := tensorNode(strings.TrimPrefix(words[0], "com.microsoft."), words[1:], strings.Fields(right))
		if strings.HasPrefix(words[0], "com.microsoft.") {
			f, _, _ := nextField(n)
			n = bytesField(1, msg(f.bytes, str(7, "com.microsoft")))
		}
		fields = append(fields, n)
	}
	return headModel(17, append(fields, output(value("logits", Float32, "b", "s", 512)))...)
}

func TestChooseEarlyStops(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  []string
	}{
		"at attention and the residual":  {nil, []string{"attn", "x"}},
		"at what another node reads":     {[]string{"Relu o -> spare", "Add normed spare -> sum", "MatMul sum w -> logits"}, []string{"attn", "x"}},
		"at what attention reads too":    {[]string{"MatMul x wo -> o"}, []string{"x"}},
		"at weights of three dimensions": {[]string{"MatMul attn cube -> o"}, []string{"normed"}},
		"at an operator not known":       {[]string{"Softmax attn -> o"}, []string{"normed"}},
		"at a Split of positions":        {[]string{"Split attn -> p q", "Mul p q -> o"}, []string{"normed"}},
		"at a tensor of unknown shape":   {[]string{"Reshape e0 e1 -> x"}, []string{"normed"}},
		"at what is added to a matrix":   {[]string{"Add o wo -> p", "com.microsoft.SkipSimplifiedLayerNormalization x p g -> normed"}, []string{"normed"}},
	} {
		data := layer(c.lines...)
		require.Equal(t, c.want, gatheredIn(t, rewritten(t, data, Scoring).Data), name)
	}
}
