package graph

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// tensorNode is a node with inputs and outputs.
func tensorNode(op string, inputs, outputs []string, attributes ...[]byte) []byte {
	var out []byte
	for _, name := range inputs {
		out = append(out, str(1, name)...)
	}
	for _, name := range outputs {
		out = append(out, str(2, name)...)
	}
	return bytesField(1, msg(out, node(op, attributes...)[2:]))
}

// inDomain gives a node a domain; the node's length must fit one byte.
func inDomain(n []byte, domain string) []byte {
	return bytesField(1, msg(n[2:], str(7, domain)))
}

func ownOps(version int64) []byte { return bytesField(8, msg(number(2, version))) }

func headModel(version int64, graphFields ...[]byte) []byte {
	return msg(number(1, 10), ownOps(version), bytesField(7, msg(graphFields...)), str(99, "a field of tomorrow"))
}

var (
	idsInput   = input(value("input_ids", Int64, "b", "s"))
	headWeight = initializer(tensor("w", Float32, []int64{8, 512}))
	embed      = tensorNode("Gather", []string{"e", "input_ids"}, []string{"hidden"})
	matmulNode = tensorNode("MatMul", []string{"hidden", "w"}, []string{"logits"})
)

func detected(t testing.TB, data []byte) *Convention {
	m, err := Parse(data)
	require.NoError(t, err)
	c, err := Detect(m, nil)
	require.NoError(t, err)
	return c
}

func rewritten(t testing.TB, data []byte, form Form) *Rewritten {
	r, err := rewrite(data, detected(t, data), form, nil)
	require.NoError(t, err)
	return r
}

func bodyOf(t testing.TB, data []byte) *body {
	var g *body
	require.NoError(t, fields(data, func(num protowire.Number, b []byte, _ uint64) (err error) {
		if num == 7 {
			g, err = readBody(b)
		}
		return err
	}))
	return g
}

func tensorNames(tensors []Tensor) (names []string) {
	for _, t := range tensors {
		names = append(names, t.Name)
	}
	return names
}

func TestRewriteFixtures(t *testing.T) {
	past := []string{"past_key_values.0.key", "past_key_values.0.value", "past_key_values.1.key", "past_key_values.1.value"}
	present := []string{"present.0.key", "present.0.value", "present.1.key", "present.1.value"}
	positions, targets := "ortscore/positions", "ortscore/targets"
	told := []string{"ortscore/seqlens_k", "ortscore/total_sequence_length"}
	join := func(parts ...any) (out []string) {
		for _, p := range parts {
			switch p := p.(type) {
			case string:
				out = append(out, p)
			case []string:
				out = append(out, p...)
			}
		}
		return out
	}
	for name, c := range map[string]struct{ inputs, fed, outputs []string }{
		"tiny-gqa":      {join(told, "input_ids"), past, join("logits", present)},
		"tiny-gqa-fp16": {join(told, "input_ids"), past, join("logits", present)},
		"tiny-explicit": {join("input_ids", "attention_mask", "position_ids", past), nil, join("logits", present)},
		"tiny-rawnames": {join("tokens", "mask"), nil, join("output")},
	} {
		data := readFixture(t, name)
		whole, err := Parse(data)
		require.NoError(t, err)

		r := rewritten(t, data, Scoring)
		m, err := Parse(r.Data)
		require.NoError(t, err)
		var trees []string
		if c.fed != nil {
			trees = []string{"ortscore/depths", "ortscore/bias"}
			require.Equal(t, Trees{Depths: trees[0], Bias: trees[1], Heads: 4, MostTokens: 512}, r.Trees, name)
		}
		require.Equal(t, join(trees, c.inputs, positions, targets), tensorNames(m.Inputs), name)
		require.Equal(t, []Tensor{{"ortscore/logprobs", Float32, []int64{-1, -1}, []string{"ortscore/n", ""}}}, m.Outputs, name)
		require.Equal(t, &Rewritten{Positions: positions, Targets: targets, Output: "ortscore/logprobs", Uncached: c.fed != nil, Trees: r.Trees, Lengths: r.Lengths, Data: r.Data}, r)
		require.Equal(t, whole.External, m.External, name)
		require.Equal(t, whole.Params+4+32+16+2, m.Params, name) // two shapes, ones for tables of 16 rows, and two numbers
		for _, n := range bodyOf(t, r.Data).nodes {
			if n.op == "com.microsoft.GroupQueryAttention" {
				require.Equal(t, []string{"", ""}, n.inputs[3:5])
				require.Len(t, n.inputs, 11)
				require.Len(t, n.outputs, 1)
			}
		}

		// For CUDA the operator's outputs stay, and only there.
		present := rewritten(t, data, ScoringPresent)
		kept, err := Parse(present.Data)
		require.NoError(t, err)
		require.Equal(t, join(c.inputs, positions, targets), tensorNames(kept.Inputs), name)
		require.Empty(t, present.Trees)
		require.Equal(t, m.Outputs, kept.Outputs, name)
		for _, n := range bodyOf(t, present.Data).nodes {
			if n.op == "com.microsoft.GroupQueryAttention" {
				require.Equal(t, []string{"", ""}, n.inputs[3:5])
				require.Len(t, n.outputs, 3)
			}
		}

		r = rewritten(t, data, Decoding)
		m, err = Parse(r.Data)
		require.NoError(t, err)
		require.Equal(t, join(c.inputs, c.fed, positions), tensorNames(m.Inputs), name)
		require.Equal(t, c.fed != nil, r.Lengths.Given(), name)
		require.ElementsMatch(t, c.outputs, tensorNames(m.Outputs), name)
		require.False(t, r.Uncached)
		require.Empty(t, r.Targets)

		for _, form := range []Form{DecodingTokens, DecodingLikeliest} {
			r = rewritten(t, data, form)
			m, err = Parse(r.Data)
			require.NoError(t, err)
			require.Equal(t, join(c.inputs, c.fed, positions, targets), tensorNames(m.Inputs), name)
			require.ElementsMatch(t, join("ortscore/choices", c.outputs[1:]), tensorNames(m.Outputs), name)
			require.Equal(t, &Rewritten{Positions: positions, Targets: targets, Output: "ortscore/choices", Lengths: r.Lengths, Data: r.Data}, r)
			likeliest := 0
			for _, n := range bodyOf(t, r.Data).nodes {
				if n.op == "TopK" {
					likeliest++
				}
			}
			require.Equal(t, form == DecodingLikeliest, likeliest == 1)
		}
	}
}

// What a rewrite does not change keeps its bytes, known or not.
func TestRewriteKeepsTheRest(t *testing.T) {
	odd := []byte{0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8} // field 127, 64 bits
	stays := bytesField(13, value("hidden", Float32, "b", "s", 8))
	stale := bytesField(13, value("logits", Float32, "b", "s", 512))
	r := rewritten(t, headModel(18, idsInput, embed, odd, matmulNode, headWeight, stays, stale, logits()), Scoring)
	require.True(t, bytes.HasSuffix(r.Data, str(99, "a field of tomorrow")))
	for _, part := range [][]byte{odd, stays, idsInput, embed, headWeight} {
		require.True(t, bytes.Contains(r.Data, part))
	}
	require.False(t, bytes.Contains(r.Data, stale), "its shape is no longer true")
}

func TestRewriteTakesFreshNames(t *testing.T) {
	taken := bytesField(1, msg(str(3, "ortscore/hidden"), tensorNode("Identity", []string{"ortscore/positions"}, []string{"ortscore/targets"})[2:]))
	r := rewritten(t, headModel(18, idsInput, input(value("ortscore/positions", Int64, "b", "s")),
		embed, matmulNode, taken, headWeight, bytesField(13, value("ortscore/logprobs", Float32)), logits()), Scoring)
	require.Equal(t, "ortscore/positions_1", r.Positions)
	require.Equal(t, "ortscore/targets_1", r.Targets)
	require.Equal(t, "ortscore/logprobs_1", r.Output)
	names := map[string]bool{}
	for _, n := range bodyOf(t, r.Data).nodes {
		require.True(t, n.name == "" || !names[n.name], "two nodes are named %s", n.name)
		names[n.name] = true
	}
	require.True(t, names["ortscore/hidden_1"])
}

// A graph of thousands of layers takes as many names, none of them long.
func TestFreshNamesStayShort(t *testing.T) {
	w := rewriter{body: &body{names: map[string]bool{"ortscore/rotated_7": true}}, made: map[string]int{}}
	seen := map[string]bool{}
	for range 5000 {
		name := w.fresh("rotated")
		require.Less(t, len(name), 24)
		require.False(t, seen[name])
		seen[name] = true
	}
	require.False(t, seen["ortscore/rotated_7"])
}

func TestRewriteRefuses(t *testing.T) {
	in, out := func(names ...string) []string { return names }, func(names ...string) []string { return names }
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing makes them": {headModel(18, idsInput, embed, headWeight, logits()), `want logits that a node makes, got "logits" from none`},
		"weights from an input": {headModel(18, idsInput, embed, matmulNode, tensorNode("Cast", in("input_ids"), out("w")), logits()),
			`want MatMul with weights that no input changes, got "w"`},
		"two constants": {headModel(18, idsInput, headWeight, tensorNode("MatMul", in("w", "w"), out("logits")), logits()),
			`want MatMul of hidden states, got "w", which is constant`},
		"no second input": {headModel(18, idsInput, embed, tensorNode("MatMul", in("hidden"), out("logits")), logits()),
			"want MatMul of hidden states and weights, got 1 inputs and 1 outputs"},
		"a Gemm of its own": {headModel(18, idsInput, embed, headWeight, tensorNode("Gemm", in("hidden", "w"), out("logits")), logits()),
			"want a Reshape after Gemm, got none"},
		"Gemm of columns": {headModel(18, idsInput, embed, headWeight, tensorNode("Gemm", in("hidden", "w"), out("flat"), msg(str(1, "transA"), number(3, 1))),
			tensorNode("Reshape", in("flat", "shape"), out("logits")), logits()), "want Gemm of rows with a bias of one dimension, got another"},
		"a scale for each position": {headModel(18, idsInput, embed, headWeight, tensorNode("MatMul", in("hidden", "w"), out("x")),
			initializer(tensor("by position", Float32, []int64{1, 7, 1})), tensorNode("Mul", in("x", "by position"), out("logits")), logits()),
			"want MatMul, Gemm or MatMulNBits, a bias, a scale, a soft cap or a cast before the logits, got Mul"},
		"a loop": {headModel(18, idsInput, embed, tensorNode("Identity", in("logits"), out("logits")), logits()),
			`want the logits for the output alone, got "logits", which 2 read`},
		"a loop that nothing leaves": {headModel(18, idsInput, embed, tensorNode("Tanh", in("a"), out("logits")), tensorNode("Tanh", in("b"), out("a")),
			tensorNode("Tanh", in("a"), out("b")), logits()), `want the logits for the output alone, got "a", which 2 read`},
		"read in a subgraph": {headModel(18, idsInput, embed, headWeight, matmulNode,
			tensorNode("If", in("c"), out("d"), bytesField(6, tensorNode("Neg", in("logits"), out("n")))), logits()),
			`want the logits for the output alone, got "logits", which 2 read`},
		"another MatMul": {headModel(18, idsInput, embed, headWeight, inDomain(matmulNode, "somebody.else"), logits()),
			"want MatMul, Gemm or MatMulNBits, a bias, a scale, a soft cap or a cast before the logits, got somebody.else.MatMul"},
		"an old opset":  {headModel(10, idsInput, embed, headWeight, matmulNode, logits()), "want opset 11 or later, got 10"},
		"no opset":      {onnxModel(idsInput, embed, headWeight, matmulNode, logits()), "want opset 11 or later, got 0"},
		"a broken file": {[]byte{7}, errCut.Error()},
	} {
		conv := &Convention{Logits: tens("logits", Float32, -1, -1, 512)}
		_, err := rewrite(c.data, conv, Scoring, nil)
		require.EqualError(t, err, c.want, name)
	}
}

// The cache stays where an operator holds on to it that is not known.
func TestRewriteLeavesOtherCaches(t *testing.T) {
	in := func(names ...string) []string { return names }
	pastKey := input(value("past_key_values.0.key", Float32, "b", 2, "p", 16))
	pastValue := input(value("past_key_values.0.value", Float32, "b", 2, "p", 16))
	key, val := output(value("present.0.key", Float32, "b", 2, "t", 16)), output(value("present.0.value", Float32, "b", 2, "t", 16))
	qkv := in("q", "", "", "past_key_values.0.key", "past_key_values.0.value", "n", "t")
	presents := in("a", "present.0.key", "present.0.value")
	gqa := inDomain(tensorNode("GroupQueryAttention", qkv, presents), "com.microsoft")
	other := inDomain(tensorNode("MultiHeadAttention", qkv, presents), "com.microsoft")
	fields := [][]byte{idsInput, pastKey, pastValue, embed, headWeight, matmulNode, logits(), key, val}
	with := func(more ...[]byte) []byte {
		return headModel(18, append(fields[:len(fields):len(fields)], more...)...)
	}
	cached := []string{"ortscore/logprobs", "present.0.key", "present.0.value"}
	for name, c := range map[string]struct {
		data    []byte
		gone    bool
		outputs []string
	}{
		"attention alone":            {with(gqa), true, cached[:1]},
		"the past read elsewhere":    {with(gqa, tensorNode("Shape", in("past_key_values.0.key"), in("s"))), false, cached},
		"the present read elsewhere": {with(gqa, tensorNode("Shape", in("present.0.key"), in("s"))), false, cached},
		"another operator":           {with(other), false, cached},
		"plain operators": {with(tensorNode("Concat", in("past_key_values.0.key", "q"), in("present.0.key")),
			tensorNode("Concat", in("past_key_values.0.value", "q"), in("present.0.value"))), false, cached[:1]},
	} {
		r := rewritten(t, c.data, Scoring)
		m, err := Parse(r.Data)
		require.NoError(t, err, name)
		require.Equal(t, c.gone, r.Uncached, name)
		require.Equal(t, c.gone, !contains(m.Inputs, "past_key_values.0.key"), name)
		require.ElementsMatch(t, c.outputs, tensorNames(m.Outputs), name)
	}
}

func TestRewriteRenamesFilesOfWeights(t *testing.T) {
	data := readFixture(t, "tiny-gqa")
	c := detected(t, data)
	r, err := rewrite(data, c, Scoring, map[string]string{"model.onnx.data": "blobs/1b5f"})
	require.NoError(t, err)
	before, err := Parse(data)
	require.NoError(t, err)
	after, err := Parse(r.Data)
	require.NoError(t, err)
	require.Equal(t, []External{{"blobs/1b5f", before.External[0].Size}}, after.External)
	require.Equal(t, before.Params+4+32+16+2, after.Params)

	elsewhere := headModel(18, idsInput, embed, headWeight, matmulNode, logits(),
		node("Constant", bytesField(5, tensor("c", Float32, []int64{4}, "location", "c.data"))))
	_, err = rewrite(elsewhere, detected(t, elsewhere), Scoring, map[string]string{"c.data": "blobs/c"})
	require.EqualError(t, err, `want external data in initializers of the graph itself, got "c.data" elsewhere`)
}

// One byte changed anywhere may give any answer but a panic, a hang, or what
// cannot be read.
func TestRewriteOneByteChanged(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(testdata, "heads", "gemm.onnx"))
	require.NoError(t, err)
	c := detected(t, data)
	for i := range data {
		old := data[i]
		for _, b := range []byte{0, 0xff, old ^ 0x80, old ^ 1} {
			data[i] = b
			tryRewrite(t, data, c)
		}
		data[i] = old
	}
}

// tryRewrite rewrites what may be broken.
func tryRewrite(t *testing.T, data []byte, c *Convention) {
	for _, form := range []Form{Scoring, Decoding, DecodingTokens, DecodingLikeliest} {
		r, err := rewrite(data, c, form, nil)
		if err != nil {
			continue
		}
		m, err := Parse(r.Data)
		require.NoError(t, err)
		require.True(t, contains(m.Inputs, r.Positions))
		if r.Trees.Depths != "" {
			require.True(t, contains(m.Inputs, r.Trees.Depths) && contains(m.Inputs, r.Trees.Bias))
		}
		for _, told := range []string{r.Lengths.Rows, r.Lengths.Total} {
			require.True(t, told == "" || contains(m.Inputs, told))
		}
		require.True(t, contains(m.Outputs, r.Output))
	}
}

func FuzzRewrite(f *testing.F) {
	for _, name := range fixtures {
		f.Add(readFixture(f, name))
	}
	f.Add(attends(nil, nil, nil))
	f.Add(attends(map[int]string{1: "", 2: ""}, nil, nil))
	var paths []string
	for _, folder := range []string{"heads", "lengths"} {
		found, err := filepath.Glob(filepath.Join(testdata, folder, "*.onnx"))
		require.NoError(f, err)
		require.NotEmpty(f, found)
		paths = append(paths, found...)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		c, err := Detect(m, nil)
		if err != nil {
			return
		}
		tryRewrite(t, data, c)
		_, _ = examine(data, c)
	})
}
