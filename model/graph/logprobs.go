package graph

// logProbs turns logits [n, V] into the targets' log-probabilities.
func (w *rewriter) logProbs() {
	wide, logs, out := w.fresh("logits"), w.fresh("logsoftmax"), w.fresh("logprobs")
	w.out.Targets = w.fresh("targets")
	w.add(1, appendNode("Cast", []string{w.out.Output}, wide, setting{"to", int64(Float32)}))
	w.add(1, appendNode("LogSoftmax", []string{wide}, logs, setting{"axis", 1}))
	chosen := out
	columns := columnsOf(w.conv.Logits.Dims[2])
	if columns > 0 {
		chosen = w.fresh("chosen")
	}
	w.add(1, appendNode("GatherElements", []string{logs, w.out.Targets}, chosen, setting{"axis", 1}))
	if columns > 0 {
		left := w.left(logs, columns)
		w.add(1, appendNode("Sub", []string{chosen, left}, out))
	}
	w.out.Output = out
	w.add(11, appendValueInfo(places(w.out.Targets, Int64, 1)))
	w.add(12, appendValueInfo(places(out, Float32, 1)))
}

// left computes ln of the sum over a log-softmax's probabilities, [n, 1], which
// would be 0 but for rounding. ONNX Runtime adds tens of thousands of small terms
// to one large sum in fp32, and loses some: up to 1e-5 nats of 49,152 words, 4e-5
// of 151,936. Added row by row of a table of about as many rows as columns, none
// is lost. The sums are multiplications with ones: operators that reduce may need
// cuDNN.
//
//	[n, V] -> [n*V/columns, columns] x ones -> [n, V/columns] x ones -> [n, 1]
func (w *rewriter) left(logs string, columns int64) string {
	now := w.fresh("probabilities")
	w.add(1, appendNode("Exp", []string{logs}, now))
	for _, width := range []int64{columns, w.conv.Logits.Dims[2] / columns} {
		shape, table, ones, sums := w.fresh("shape"), w.fresh("table"), w.fresh("ones"), w.fresh("sums")
		w.add(5, appendIntegers(shape, -1, width))
		w.add(5, appendOnes(ones, width))
		w.add(1, appendNode("Reshape", []string{now, shape}, table))
		w.add(1, appendNode("MatMul", []string{table, ones}, sums))
		now = sums
	}
	left := w.fresh("left")
	w.add(1, appendNode("Log", []string{now}, left))
	return left
}

// columnsOf returns how many columns a table of n numbers has that is as nearly
// square as it can be, or 0 for n that is open, or without divisors that would
// help.
func columnsOf(n int64) int64 {
	const fewest, most = 8, 8192
	var rows int64
	for d := int64(1); d*d <= n && d <= most; d++ {
		if n%d == 0 {
			rows = d
		}
	}
	if rows < fewest || n/rows > most {
		return 0
	}
	return n / rows
}
