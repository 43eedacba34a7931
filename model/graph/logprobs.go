package graph

// wordScores are tensors that hold something of every word at each position, [n, V].
type wordScores struct {
	logits string // in fp32
	logs   string // their log-softmax
	left   string // what the log-softmax has too much, [n, 1]; "" where it is not known
}

// logProbs gives out the log-probabilities of the tokens asked for, [n, K].
func (w *rewriter) logProbs() {
	w.out.Targets = w.fresh("targets")
	words := w.words()
	w.out.Output = w.fresh("logprobs")
	w.logProbsAt(words, w.out.Targets, w.out.Output)
	w.add(11, appendValueInfo(places(w.out.Targets, Int64, -1)))
	w.add(12, appendValueInfo(places(w.out.Output, Float32, -1)))
}

// chosenTokens gives out the logits and the log-probabilities of the tokens asked for
// and, where that is the form, of the likeliest, in one tensor: each output is a copy
// of its own from a GPU.
func (w *rewriter) chosenTokens() {
	w.out.Targets = w.fresh("targets")
	words := w.words()
	targets, index := w.out.Targets, ""
	if w.form == DecodingLikeliest {
		targets, index = w.withLikeliest(words, targets)
	}
	logits, logProbs := w.fresh("chosen_logits"), w.fresh("chosen_logprobs")
	w.add(1, appendNode("GatherElements", []string{words.logits, targets}, logits, setting{"axis", 1}))
	w.logProbsAt(words, targets, logProbs)
	parts := []string{logits, logProbs}
	if index != "" {
		parts = append(parts, index)
	}
	w.out.Output = w.fresh("choices")
	w.add(1, appendNode("Concat", parts, w.out.Output, setting{"axis", 1}))
	w.add(11, appendValueInfo(places(w.out.Targets, Int64, -1)))
	w.add(12, appendValueInfo(places(w.out.Output, Float32, -1)))
}

// withLikeliest adds the likeliest token to the targets and returns them with its id
// as fp32, [n, 1]. On CUDA ArgMax would ask cuDNN.
func (w *rewriter) withLikeliest(words wordScores, targets string) (all, index string) {
	one, top, id := w.fresh("one"), w.fresh("top"), w.fresh("likeliest")
	all, index = w.fresh("all_targets"), w.fresh("likeliest_id")
	w.add(5, appendIntegers(one, 1))
	w.add(1, appendNodeOf("TopK", []string{words.logits, one}, []string{top, id}, setting{"axis", 1}))
	w.add(1, appendNode("Concat", []string{targets, id}, all, setting{"axis", 1}))
	w.add(1, appendNode("Cast", []string{id}, index, setting{"to", int64(Float32)}))
	return all, index
}

// words computes the log-softmax of the logits.
func (w *rewriter) words() wordScores {
	words := wordScores{logits: w.fresh("logits"), logs: w.fresh("logsoftmax")}
	w.add(1, appendNode("Cast", []string{w.out.Output}, words.logits, setting{"to", int64(Float32)}))
	w.add(1, appendNode("LogSoftmax", []string{words.logits}, words.logs, setting{"axis", 1}))
	if columns := columnsOf(w.conv.Logits.Dims[2]); columns > 0 {
		words.left = w.left(words.logs, columns)
	}
	return words
}

// logProbsAt picks the targets' log-probabilities, [n, K].
func (w *rewriter) logProbsAt(words wordScores, targets, out string) {
	chosen := out
	if words.left != "" {
		chosen = w.fresh("chosen")
	}
	w.add(1, appendNode("GatherElements", []string{words.logs, targets}, chosen, setting{"axis", 1}))
	if words.left != "" {
		w.add(1, appendNode("Sub", []string{chosen, words.left}, out))
	}
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
		w.add(5, appendEqual(ones, width, 1))
		w.add(1, appendNode("Reshape", []string{now, shape}, table))
		w.add(1, appendNode("MatMul", []string{table, ones}, sums))
		now = sums
	}
	return w.logNearOne(now)
}

// logNearOne computes ln of numbers s that are 1 but for rounding, as x*(1 - x/2) of
// x = s - 1: what that leaves out is below fp32. The last bits of a Log would depend on
// a number's place among the n: a CPU takes several at a time, and the rest otherwise.
func (w *rewriter) logNearOne(s string) string {
	one, half := w.fresh("one"), w.fresh("half")
	w.add(5, appendEqual(one, 1, 1))
	w.add(5, appendEqual(half, 1, 0.5))
	x, halved, slope, left := w.fresh("over"), w.fresh("halved"), w.fresh("slope"), w.fresh("left")
	w.add(1, appendNode("Sub", []string{s, one}, x))
	w.add(1, appendNode("Mul", []string{x, half}, halved))
	w.add(1, appendNode("Sub", []string{one, halved}, slope))
	w.add(1, appendNode("Mul", []string{x, slope}, left))
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
