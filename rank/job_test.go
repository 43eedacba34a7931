package rank

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/io/job/jobtest"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// testJob is a scorer with what it is run with.
type testJob struct {
	*Scorer
	job.Options
	rejects bool     // rows are rejected; else the first of them ends the run
	reasons []string // of rejected rows
}

// DefaultPage is how many lists are ranked together.
const DefaultPage = 512

// newJob is a job with short prompts that count one token a byte.
func newJob(t testing.TB, teacher Teacher) *testJob {
	t.Helper()
	f, _ := fitter(t, modeltest.Bytes{}, 4096)
	if _, ok := teacher.(*Local); ok {
		f.Frame = marked
	}
	return &testJob{Scorer: &Scorer{Teacher: teacher, Fitter: *f, Tokenizer: modeltest.Bytes{}, PassageMaxLength: 512,
		Order: ShuffledOrder, Seed: 1, Permutations: 1, Aggregate: Borda, Window: 20, Step: 10, Passes: 1,
		Kind: Reciprocal}, Options: job.Options{SkipBad: true, Page: DefaultPage, Apart: true}}
}

func (j *testJob) Run(ctx context.Context, in *dataset.Reader, out *lines) (*Summary, error) {
	sum := &Summary{}
	out.Rejects = j.rejects
	err := job.Run(ctx, j.Scorer, in, out, j.Options, job.Resume{}, sum)
	j.reasons = out.Reasons
	return sum, err
}

func (j *testJob) count(ctx context.Context, in *dataset.Reader) (job.Count, error) {
	c, err := job.Check(ctx, j.Check, in, j.Selection, j.SkipBad)
	c.Problems, c.Input, c.Scored = nil, dataset.Content{}, dataset.Content{}
	return c, err
}

// answerMark is where a prompt of a local teacher ends.
const answerMark = "\x02"

// marked is the frame of a local teacher.
func marked(text string) ([]int32, error) {
	enc, err := modeltest.Bytes{}.Encode(text+answerMark, true)
	return enc.IDs, err
}

// list is a list of n passages whose prompt is any text.
func list(text string, n int) List {
	ids, _ := marked(text)
	return List{text, ids, n}
}

// free is a local teacher that writes what it likes, in passages from 0.
func free(f model.Forwarder) *Local {
	return &Local{
		Generator: &model.Generator{Decoders: []model.Decoder{&model.Recompute{Forwarder: f}}, Limits: model.Limits{Rows: 8, Tokens: 4096}, Stops: []int32{modeltest.BOS}},
		Decode:    func(ids []int32) (string, error) { return modeltest.Bytes{}.Text(ids), nil },
		MaxNew:    100,
	}
}

// constrained is a local teacher that writes nothing but rankings, of up to 26
// passages.
func constrained(t testing.TB, f model.Forwarder, first int) *Local {
	t.Helper()
	l := free(f)
	var err error
	l.Grammar, err = NewGrammar(modeltest.Bytes{}, answerMark, "", first, 26)
	require.NoError(t, err)
	return l
}

func toyLM() *modeltest.LM { return &modeltest.LM{Vocab: modeltest.BytesVocab} }

// rambler is a toy model that likes to write identifiers from [0] to [4] and
// arrows, but cares little which, and whether it did so before.
func rambler() *modeltest.LM {
	lm := toyLM()
	lm.After = func(b *model.Batch, l *model.Logits) {
		for r := range b.Rows {
			text := modeltest.Bytes{}.Text(tokens(b, r))
			likes := ""
			switch {
			case strings.HasSuffix(text, answerMark), strings.HasSuffix(text, "> "):
				likes = "["
			case strings.HasSuffix(text, "["):
				likes = "01234"
			case strings.HasSuffix(text, "]"), strings.HasSuffix(text, ">"):
				likes = " "
			case strings.HasSuffix(text, "] "):
				likes = ">"
			default:
				likes = "]"
			}
			for _, c := range likes {
				l.F32[(r*l.Width+b.Lens[r]-1)*l.Vocab+int(c)] += 100
			}
		}
	}
	return lm
}

// tokens are those of a batch's row.
func tokens(b *model.Batch, row int) []int32 {
	var ids []int32
	for _, id := range b.TokenIDs[row*b.Width:][:b.Lens[row]] {
		ids = append(ids, int32(id))
	}
	return ids
}

// script is a model that answers each prompt as a function says, and then ends
// the text. The logit of its next token is sure, all others are 0.
type script struct {
	answer   func(prompt string) string
	sure     float32
	forwards int
}

func (s *script) Forward(ctx context.Context, b *model.Batch) (*model.Logits, error) {
	s.forwards++
	l := &model.Logits{Rows: b.Rows, Width: b.Width, Vocab: modeltest.BytesVocab}
	l.F32 = make([]float32, l.Rows*l.Width*l.Vocab)
	for r := range b.Rows {
		next := modeltest.BOS // the teacher's end of text
		prompt, written, _ := strings.Cut(modeltest.Bytes{}.Text(tokens(b, r)), answerMark)
		if answer := s.answer(strings.TrimPrefix(prompt, "<s>")); len(written) < len(answer) {
			next = int(answer[len(written)])
		}
		l.F32[(r*l.Width+b.Lens[r]-1)*l.Vocab+next] = s.sure
	}
	return l, ctx.Err()
}

// says is a model that answers every prompt alike.
func says(answer string) *script {
	return &script{answer: func(string) string { return answer }, sure: 20}
}

// rule is a teacher that reads each list by itself, and records them all.
type rule struct {
	read  func(l List, call int) Reading
	lists []List
	ranks int // calls of Rank
}

func (r *rule) Rank(ctx context.Context, lists []List, done func(int, Reading) error) error {
	r.ranks++
	for i, l := range lists {
		r.lists = append(r.lists, l)
		if err := done(i, r.read(l, len(r.lists)-1)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// ranked is a reading without a fault; refused one without a ranking.
func ranked(order []int) Reading {
	return Reading{Ranking: Ranking{Order: order, Found: len(order)}, Mass: 1, Full: 1}
}

func refused(l List) Reading {
	return Reading{Ranking: Parse("I would rather not.", l.N, 0), Mass: 1, Text: "I would rather not."}
}

// sorter is a rule that knows the truth: the highest number at a passage's end is
// the best.
func sorter() *rule {
	return &rule{read: func(l List, _ int) Reading { return ranked(truth(l.Text)) }}
}

var shownLine = regexp.MustCompile(`(?m)^\[(\d+)\] (.*)$`)

// shown are the passages of a prompt.
func shown(prompt string) (out []string) {
	for _, m := range shownLine.FindAllStringSubmatch(prompt, -1) {
		out = append(out, m[2])
	}
	return out
}

// truth orders the passages of a prompt by the number at their end, the highest
// first.
func truth(prompt string) []int {
	passages := shown(prompt)
	order := make([]int, len(passages))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(worth(passages[b]), worth(passages[a])) })
	return order
}

func worth(passage string) int {
	words := strings.Fields(passage)
	n, _ := strconv.Atoi(words[len(words)-1])
	return n
}

// reader reads lines as the file rows.jsonl.
func reader(lines ...string) *dataset.Reader {
	return dataset.NewReader("rows.jsonl", strings.NewReader(strings.Join(lines, "\n")))
}

type lines = jobtest.Output

// all are the lines that were written.
func all(l *lines) []string { return strings.Split(strings.TrimSuffix(l.String(), "\n"), "\n") }

// runJob ranks rows that are all good.
func runJob(t testing.TB, j *testJob, in ...string) ([]string, *Summary) {
	t.Helper()
	out := &lines{}
	sum, err := j.Run(t.Context(), reader(in...), out)
	require.NoError(t, err)
	require.Equal(t, len(in), sum.Rows)
	return all(out), sum
}

// parsed is what a line says.
type parsed struct {
	Query     string    `json:"query"`
	Pos       []string  `json:"pos"`
	Neg       []string  `json:"neg"`
	PosScores []float64 `json:"pos_scores"`
	NegScores []float64 `json:"neg_scores"`
}

// parseLine reads a line whose scores are parallel to its passages.
func parseLine(t testing.TB, line string) (p parsed) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(line), &p), line)
	require.Len(t, p.PosScores, len(p.Pos), line)
	require.Len(t, p.NegScores, len(p.Neg), line)
	return p
}

// passages and scores are both lists as one.
func (p parsed) passages() []string { return append(slices.Clone(p.Pos), p.Neg...) }
func (p parsed) scores() []float64  { return append(slices.Clone(p.PosScores), p.NegScores...) }

// line is a row of n passages in random order, with the numbers 1..n at their
// ends, and some of them pos.
func line(rng *rand.Rand, id, n int) string {
	var pos, neg []string
	for _, i := range rng.Perm(n) {
		text := fmt.Sprintf(`"é %d"`, i+1)
		if rng.IntN(n) == 0 {
			pos = append(pos, text)
		} else {
			neg = append(neg, text)
		}
	}
	return fmt.Sprintf(`{"query": "q%d", "pos": [%s], "neg": [%s], "id": %d}`, id, strings.Join(pos, ", "), strings.Join(neg, ", "), id)
}

// manyLines are rows of 1 to most passages.
func manyLines(seed uint64, rows, most int) (out []string) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range rows {
		out = append(out, line(rng, i, 1+i%most))
	}
	return out
}
