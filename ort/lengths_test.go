package ort

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	onnx "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/graph"
)

// The graphs of testdata/lengths (scripts/lengths.py) count their mask's rows in
// different ways.
var lengths = map[string]graph.Lengths{
	"genai":    {Rows: "ortscore/seqlens_k", Total: "ortscore/total_sequence_length"},
	"capture":  {Rows: "ortscore/seqlens_k", Total: "ortscore/total_sequence_length"},
	"kept":     {Rows: "ortscore/seqlens_k", Total: "ortscore/total_sequence_length"},
	"compared": {},
	"scaled":   {},
}

func lengthsFile(name string) string {
	return filepath.Join("..", "testdata", "lengths", name+".onnx")
}

// What is told is what the nodes that are gone would have counted, in whole batches,
// prompts and steps, with rows that have ended and rows that begin anew.
func TestLengthsAreThoseOfTheMask(t *testing.T) {
	needLibrary(t)
	for name, told := range lengths {
		if !told.Given() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			counts := countedByTheGraph(t, name)
			rng := rand.New(rand.NewPCG(7, 8))
			for range 20 {
				b := &model.Batch{Rows: 1 + rng.IntN(5), Width: 1 + rng.IntN(9)}
				b.TokenIDs = make([]int64, b.Rows*b.Width)
				for range b.Rows - 1 {
					b.Lens = append(b.Lens, 1+rng.IntN(b.Width))
				}
				b.Lens = append(b.Lens, b.Width)
				requireTold(t, counts, whole(b))
			}
			d := openLengths(t, name)
			d.masked = true // for the graph of the file
			for range 8 {
				requireToldInSteps(t, rng, d, func(f *forward) { requireTold(t, counts, f) })
			}
		})
	}
}

func openLengths(t *testing.T, name string) *cached {
	d, err := OpenDecoder(t.Context(), lengthsFile(name), Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d.(*cached)
}

// requireToldInSteps looks at what a few rows are fed.
func requireToldInSteps(t *testing.T, rng *rand.Rand, d *cached, look func(f *forward)) {
	rows := 1 + rng.IntN(4)
	require.NoError(t, d.Reset(rows, 12, 60))
	tokens := func(n int) []int32 { return make([]int32, n) }
	feed := func(first int, texts [][]int32) {
		f := d.forward(first, texts)
		look(f)
		d.cache.add(first, f.width, texts)
	}
	for r := range rows {
		feed(r, [][]int32{tokens(1 + rng.IntN(12))})
	}
	for range 8 {
		if r := rng.IntN(rows); rng.IntN(3) == 0 {
			d.cache.drop(r)
			feed(r, [][]int32{tokens(1 + rng.IntN(12))})
		}
		texts := make([][]int32, rows)
		for r := range rows {
			if rng.IntN(4) == 0 {
				d.cache.drop(r)
			}
			texts[r] = tokens(1)
		}
		if rows == 1 {
			texts[0] = tokens(1 + rng.IntN(3))
		}
		feed(0, texts)
	}
}

// requireTold compares the inputs of a forward with what the file's graph counts.
func requireTold(t *testing.T, counts func(f *forward) (rows, total []int32), f *forward) {
	t.Helper()
	ints := func(mk inputMaker) []int32 {
		v, err := mk(f)
		require.NoError(t, err)
		defer v.Destroy()
		if s, ok := v.(*onnx.Scalar[int32]); ok {
			return []int32{s.GetData()}
		}
		return slices.Clone(v.(*onnx.Tensor[int32]).GetData())
	}
	rows, total := counts(f)
	require.Equal(t, rows, ints(rowLengths()))
	require.Equal(t, total, ints(totalLength))
}

// countedByTheGraph runs the graph of the file, with what it counts as outputs.
func countedByTheGraph(t *testing.T, name string) func(f *forward) (rows, total []int32) {
	data, err := os.ReadFile(lengthsFile(name))
	require.NoError(t, err)
	var outputs []byte // of another graph: messages that follow one another are one
	out := []string{"seqlens_k", "total_sequence_length"}
	for _, o := range out {
		outputs = protowire.AppendTag(outputs, 12, protowire.BytesType)
		outputs = protowire.AppendBytes(outputs, protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), o))
	}
	data = protowire.AppendBytes(protowire.AppendTag(data, 7, protowire.BytesType), outputs)
	in := []string{"input_ids", "attention_mask", "past_key_values.0.key", "past_key_values.0.value"}
	s, err := onnx.NewDynamicAdvancedSessionWithONNXData(data, in, out, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Destroy()) })
	return func(f *forward) (rows, total []int32) {
		tensor := func(data []int64) onnx.Value {
			v, err := onnx.NewTensor(onnx.NewShape(int64(f.rows), int64(len(data)/f.rows)), data)
			require.NoError(t, err)
			return v
		}
		values := []onnx.Value{tensor(f.ids), tensor(f.mask)}
		for range 2 {
			past, err := emptyPast(graph.Float32, 2, 16)(f.rows)
			if f.past > 0 {
				past, err = onnx.NewEmptyTensor[float32](onnx.NewShape(int64(f.rows), 2, int64(f.past), 16))
			}
			require.NoError(t, err)
			values = append(values, past)
		}
		defer func() { destroy(values) }()
		ends, err := onnx.NewEmptyTensor[int32](onnx.NewShape(int64(f.rows)))
		require.NoError(t, err)
		defer ends.Destroy()
		longest, err := onnx.NewScalar[int32](0)
		require.NoError(t, err)
		defer longest.Destroy()
		require.NoError(t, s.Run(values, []onnx.Value{ends, longest}))
		return slices.Clone(ends.GetData()), []int32{longest.GetData()}
	}
}

// Scores and texts are those of the graph that takes a mask, whether it is told
// lengths or not.
func TestLengthsInPlaceOfAMask(t *testing.T) {
	needLibrary(t)
	for name, told := range lengths {
		t.Run(name, func(t *testing.T) {
			open := func(g Graph) *LM {
				lm, err := Open(t.Context(), lengthsFile(name), Options{Graph: g})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, lm.Close()) })
				return lm
			}
			full, lm := open(FullGraph), open(AutoGraph)
			require.Empty(t, lm.Info().Notes)
			require.Equal(t, told, lm.rewritten.Lengths)
			require.Equal(t, !told.Given(), slices.Contains(lm.in, "attention_mask"))
			seqs, limits := someSequences(20, full.Info().Vocab), model.Limits{Tokens: 200}
			require.Less(t, maxDiff(t, score(t, full, limits, seqs), score(t, lm, limits, seqs)), 1e-5)

			if told.Given() {
				requireWider(t, lm)
			}

			texts := prompts(9)
			for i := range texts {
				for j := range texts[i].Tokens {
					texts[i].Tokens[j] %= 64
				}
			}
			d, err := OpenDecoder(t.Context(), lengthsFile(name), Options{})
			require.NoError(t, err)
			defer d.Close()
			want := written(t, &model.Recompute{Forwarder: full}, model.Limits{Rows: 1}, model.Sampling{}, texts)
			for _, limits := range []model.Limits{{Rows: 1, Tokens: 1}, {Rows: 4, Tokens: 40}} {
				require.Equal(t, want, written(t, d, limits, model.Sampling{}, texts), "%+v", limits)
			}
		})
	}
}

// requireWider runs a batch that is wider than its longest row, as one whose width was
// rounded up is.
func requireWider(t *testing.T, lm *LM) {
	run := func(width int) []float32 {
		b := &model.Batch{Rows: 2, Width: width, Lens: []int{9, 7}, TokenIDs: make([]int64, 2*width)}
		for r, n := range b.Lens {
			for i := range n {
				b.TokenIDs[r*width+i] = int64(3 + 5*i + r)
			}
		}
		out := make([]float32, 2)
		require.NoError(t, lm.LogProbs(t.Context(), b, []model.Position{{Row: 0, At: 8, Target: 1}, {Row: 1, At: 6, Target: 2}}, out))
		return out
	}
	require.Less(t, maxDiff(t, run(9), run(16)), 1e-6)
}
