package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
)

// summer scores a row's number n by the sum of the numbers of its block, which it asks
// the model for one digit of n at a time.
type summer struct {
	asked  int           // answers so far
	fail   int           // asking ends with an error before so many answers more; 0 for never
	blocks []int         // rows of the blocks that were asked about
	unfit  map[int]bool  // numbers without scores
	none   bool          // it is the model that has none
	wait   chan struct{} // if set, Ask waits for it, or for the context
}

type tally struct {
	Counts
	Sum int `json:"sum"`
}

type number struct {
	row *dataset.Row
	n   int
}

func (s *summer) Check(row *dataset.Row) (Work, error) {
	n, err := s.number(row)
	return Work{Passages: 1, Units: len(fmt.Sprint(n)), Stale: row.Has("old")}, err
}

func (s *summer) number(row *dataset.Row) (int, error) {
	ids, ok, err := row.TokenIDs("n")
	if err == nil && (!ok || len(ids) != 1) {
		err = row.Errorf("n", "want a list of one number, got another")
	}
	if err != nil {
		return 0, err
	}
	return int(ids[0]), nil
}

func (s *summer) Read(row *dataset.Row) (number, Work, error) {
	work, err := s.Check(row)
	n, _ := s.number(row)
	return number{row, n}, work, err
}

var errModel = errors.New("the model is gone")

func (s *summer) Ask(ctx context.Context, page []Block[number, string], keep func(*Row[number, string], string) error) error {
	if s.wait != nil {
		select {
		case <-s.wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, block := range page {
		s.blocks = append(s.blocks, len(block))
		sum := 0
		for _, row := range block {
			sum += row.Read.n
		}
		for _, row := range block {
			for k := len(row.Answers); k < len(fmt.Sprint(row.Read.n)); k++ {
				if s.fail > 0 && s.asked == s.fail {
					return errModel
				}
				s.asked++
				if err := keep(row, fmt.Sprintf("%d.%d", sum, k)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *summer) Scores(row number, answers []string, sum *tally) (*Scores, error) {
	if s.unfit[row.n] {
		bad := row.row.Errorf("n", "want another number, got %d", row.n)
		if s.none {
			return nil, NoScores(bad)
		}
		return nil, bad
	}
	sum.Rows++
	sum.Passages++
	sum.Sum += row.n
	out := &Scores{Row: row.row, Drop: []string{"old"}}
	for _, a := range answers {
		var value float32
		if _, err := fmt.Sscan(a, &value); err != nil {
			return nil, err
		}
		out.Lists = append(out.Lists, List{fmt.Sprintf("s%d", len(out.Lists)), []float32{value}})
	}
	return out, nil
}

// memory is an Output in memory that can be gone on with.
type memory struct {
	lines, rejected []string
	whole           [2]int // of them at the last EndBlock
	rows            int
	state           json.RawMessage
	kept            map[int][]json.RawMessage
	fail            error // of every Write
}

func (m *memory) Keep(row int, answer any) error {
	data, err := json.Marshal(answer)
	if m.kept == nil {
		m.kept = map[int][]json.RawMessage{}
	}
	m.kept[row] = append(m.kept[row], data)
	return err
}

func (m *memory) Tell([]byte) error { return nil }

func (m *memory) Write(line []byte) error {
	m.lines = append(m.lines, string(line))
	return m.fail
}

func (m *memory) Reject(bad *dataset.Error) error {
	m.rejected = append(m.rejected, bad.Error())
	return nil
}

func (m *memory) EndBlock(rows int, state any) (err error) {
	m.rows, m.whole = rows, [2]int{len(m.lines), len(m.rejected)}
	m.state, err = json.Marshal(state)
	return err
}

// resume forgets what is not whole, as a file is cut to its last commit.
func (m *memory) resume() Resume {
	m.lines, m.rejected = m.lines[:m.whole[0]], m.rejected[:m.whole[1]]
	answers := map[int][]json.RawMessage{}
	for row, kept := range m.kept {
		if row >= m.rows {
			answers[row] = slices.Clone(kept)
		}
	}
	return Resume{State: m.state, Answers: answers}
}

// rowsFile is n rows, of which some are bad, and some lines blank.
func rowsFile(n int) string {
	rng := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for i := range n {
		switch {
		case i%17 == 5:
			fmt.Fprintf(&b, "broken %d\n", i)
		case i%17 == 9:
			b.WriteString("\n  \n")
			fallthrough
		default:
			fmt.Fprintf(&b, `{"n": [%d], "old": 1}`+"\n", rng.IntN(5000))
		}
	}
	return b.String()
}

func textInput(text string) *dataset.Reader {
	return dataset.NewReader("rows.jsonl", strings.NewReader(text))
}

// undisturbed is what a run over all rows writes.
func undisturbed(t *testing.T, text string, opts Options) (*memory, *tally) {
	t.Helper()
	out, sum := &memory{}, &tally{}
	require.NoError(t, Run(t.Context(), &summer{}, textInput(text), out, opts, Resume{}, sum))
	return out, sum
}

func TestRunWritesEveryRowInOrder(t *testing.T) {
	text := rowsFile(1000)
	out, sum := undisturbed(t, text, Options{SkipBad: true})
	bad := strings.Count(text, "broken")
	require.Equal(t, 1000-bad, sum.Rows)
	require.Equal(t, bad, sum.Rejected)
	require.Len(t, out.lines, sum.Rows)
	require.Len(t, out.rejected, bad)
	require.Equal(t, 1000, out.rows)
	at := 0
	for line := range strings.Lines(text) {
		if n, _, ok := strings.Cut(line, `, "old": 1}`); ok {
			require.True(t, strings.HasPrefix(out.lines[at], n+`, "s0": [`), out.lines[at])
			at++
		}
	}
}

// A block's rows decide on its answers, so that these are the same whatever the page,
// and whichever rows were selected.
func TestRunBlocksAreTheInputs(t *testing.T) {
	text := rowsFile(1000)
	want, total := undisturbed(t, text, Options{SkipBad: true})
	for _, page := range []int{1, 500, 3000, 100000} {
		got, _ := undisturbed(t, text, Options{SkipBad: true, Page: page})
		require.Equal(t, want.lines, got.lines, page)
	}
	for _, cuts := range [][]int{{0, 128, 0}, {0, 256, 384, 896, 0}, {0, 896, 1024, 0}} {
		joined, added := &memory{}, &tally{}
		for k := range len(cuts) - 1 {
			part, sum := undisturbed(t, text, Options{SkipBad: true, Selection: Selection{From: cuts[k], To: cuts[k+1]}})
			joined.lines, joined.rejected = append(joined.lines, part.lines...), append(joined.rejected, part.rejected...)
			added.Add(&sum.Counts)
		}
		require.Equal(t, want.lines, joined.lines, cuts)
		require.Equal(t, want.rejected, joined.rejected, cuts)
		require.Equal(t, total.Counts, added.Counts)
	}
}

// However often a run is cut short, the next goes on from there and asks nothing twice.
// Whole blocks are written while the input stays open and silent.
func TestRunDoesNotWaitForThePage(t *testing.T) {
	text := rowsFile(2*BlockRows + 5)
	want, _ := undisturbed(t, text, Options{SkipBad: true, Page: 1})
	in, feed := io.Pipe()
	out := &pacing{ended: make(chan int)}
	done := make(chan error)
	go func() {
		done <- Run(t.Context(), &summer{}, dataset.NewReader("-", in), out, Options{SkipBad: true, Page: 1 << 20}, Resume{}, &tally{})
	}()
	go func() { _, _ = io.WriteString(feed, text) }()
	require.Equal(t, BlockRows, <-out.ended)
	require.Equal(t, 2*BlockRows, <-out.ended)
	require.NoError(t, feed.Close())
	require.Equal(t, 2*BlockRows+5, <-out.ended)
	require.NoError(t, <-done)
	require.Equal(t, want.lines, out.lines)
}

// pacing tells of each block that ends.
type pacing struct {
	memory
	ended chan int
}

func (p *pacing) EndBlock(rows int, state any) error {
	p.ended <- rows
	return p.memory.EndBlock(rows, state)
}

func TestRunResumed(t *testing.T) {
	text := rowsFile(700)
	want, total := undisturbed(t, text, Options{SkipBad: true})
	whole := &summer{}
	require.NoError(t, Run(t.Context(), whole, textInput(text), &memory{}, Options{SkipBad: true}, Resume{}, &tally{}))
	for _, step := range []int{1000, 333, 100} {
		out, asked := &memory{}, 0
		for {
			s, sum := &summer{fail: step}, &tally{}
			resume := out.resume()
			err := Run(t.Context(), s, textInput(text), out, Options{SkipBad: true, Selection: Selection{Done: out.rows}}, resume, sum)
			asked += s.asked
			if err == nil {
				require.Equal(t, total, sum, "the summary is that of the whole")
				break
			}
			require.ErrorIs(t, err, errModel)
		}
		require.Equal(t, want.lines, out.lines)
		require.Equal(t, want.rejected, out.rejected)
		require.Equal(t, whole.asked, asked)
	}
}

// Rows that were scored before must still be the input's.
func TestRunRefusesOtherRows(t *testing.T) {
	text := rowsFile(300)
	out, _ := undisturbed(t, text, Options{SkipBad: true, Selection: Selection{Limit: 256}})
	for _, other := range []string{strings.Replace(text, "broken 5\n", "broken 6\n", 1), text[:len(text)/2], ""} {
		err := Run(t.Context(), &summer{}, textInput(other), out, Options{SkipBad: true, Selection: Selection{Done: 256}}, out.resume(), &tally{})
		require.ErrorIs(t, err, ErrChanged)
	}
	longer := text + `{"n": [7]}` + "\n"
	require.NoError(t, Run(t.Context(), &summer{}, textInput(longer), out, Options{SkipBad: true, Selection: Selection{Done: 256}}, out.resume(), &tally{}))
	require.Equal(t, 301, out.rows)
}

// So must those that only have answers: standard input cannot be checked before.
func TestRunRefusesAnswersOfOtherRows(t *testing.T) {
	text := rowsFile(300)
	out := &memory{}
	require.ErrorIs(t, Run(t.Context(), &summer{fail: 100}, textInput(text), out, Options{SkipBad: true}, Resume{}, &tally{}), errModel)
	require.Zero(t, out.rows)
	require.NotEmpty(t, out.kept)
	other := strings.Replace(text, `"old": 1`, `"old": 2`, 1)
	require.ErrorIs(t, Run(t.Context(), &summer{}, textInput(other), out, Options{SkipBad: true}, out.resume(), &tally{}), ErrChanged)
	require.NoError(t, Run(t.Context(), &summer{}, textInput(text), out, Options{SkipBad: true}, out.resume(), &tally{}))
}

// What was read before a bad row is written; only whole blocks are journalled, unless
// rows stand alone.
func TestRunEndsAtABadRow(t *testing.T) {
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, `{"n": [%d]}`+"\n", i)
	}
	text.WriteString("broken\n")
	for _, apart := range []bool{false, true} {
		out := &memory{}
		err := Run(t.Context(), &summer{}, textInput(text.String()), out, Options{Apart: apart}, Resume{}, &tally{})
		require.ErrorContains(t, err, "rows.jsonl:201:1: want valid JSON")
		require.Len(t, out.lines, 200)
		require.Equal(t, 128, out.rows)
		require.Equal(t, apart, out.kept[199] != nil)
		require.NotNil(t, out.kept[127])
	}
}

// A row that turns out bad is rejected where bad rows are; one that the model has
// nothing for, in any case.
func TestRunRejectsRowsWithoutScores(t *testing.T) {
	text := "{\"n\": [1]}\n{\"n\": [2]}\n"
	for _, c := range []struct{ skip, none, rejected bool }{{true, false, true}, {true, true, true}, {false, true, true}, {false, false, false}} {
		out, sum := &memory{}, &tally{}
		err := Run(t.Context(), &summer{unfit: map[int]bool{1: true}, none: c.none}, textInput(text), out, Options{SkipBad: c.skip}, Resume{}, sum)
		if !c.rejected {
			require.EqualError(t, err, "rows.jsonl:1: n: want another number, got 1")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, []string{"rows.jsonl:1: n: want another number, got 1"}, out.rejected)
		require.Equal(t, Counts{Rows: 1, Rejected: 1, Passages: 1}, sum.Counts)
	}
}

func TestRunEndsWithItsContextAndOutput(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Run(ctx, &summer{wait: make(chan struct{})}, textInput(rowsFile(300)), &memory{}, Options{SkipBad: true}, Resume{}, &tally{}), context.Canceled)
	full := errors.New("disk full")
	require.ErrorIs(t, Run(t.Context(), &summer{}, textInput(rowsFile(3000)), &memory{fail: full}, Options{SkipBad: true}, Resume{}, &tally{}), full)
}

// Check counts what Run will do, and names the rows of the selection alone.
func TestCheck(t *testing.T) {
	text := rowsFile(1000)
	s := &summer{}
	for _, sel := range []Selection{{}, {Limit: 300}, {From: 128, To: 256}, {Done: 640}, {From: 128, To: 384, Done: 256}, {Limit: 200, From: 128, To: 256}, {From: 2000, To: 3000}} {
		count, err := Check(t.Context(), s.Check, textInput(text), sel, true)
		require.NoError(t, err)
		out, sum := &memory{}, &tally{}
		in := textInput(text)
		opts := Options{Selection: sel, SkipBad: true}
		opts.Done, opts.From = 0, sel.first()
		require.NoError(t, Run(t.Context(), s, in, out, opts, Resume{}, sum))
		require.Equal(t, sum.Rows, count.Rows, "%+v", sel)
		require.Equal(t, sum.Rejected, count.Bad, "%+v", sel)
		require.Len(t, count.Problems, min(count.Bad, mostProblems))
		require.NoError(t, in.Changed(count.Scored), "%+v", sel)
		whole := textInput(text)
		_, err = Check(t.Context(), s.Check, whole, Selection{Limit: sel.Limit}, true)
		require.NoError(t, err)
		require.Equal(t, whole.Content(), count.Input, "%+v", sel)
	}
	_, err := Check(t.Context(), s.Check, textInput(text), Selection{}, false)
	require.ErrorContains(t, err, "rows.jsonl:6:1: want valid JSON")
	_, err = Check(t.Context(), s.Check, textInput(text), Selection{From: 6, To: 16}, false)
	require.NoError(t, err, "bad rows of another shard are another's")
}

// opener is a summer that leaves rows open until they are asked about so often.
type opener struct {
	summer
	needs, times map[int]int // by the row's number
	away         error
}

func (o *opener) Ask(_ context.Context, page []Block[number, string], keep func(*Row[number, string], string) error) error {
	for _, block := range page {
		for _, row := range block {
			if len(row.Answers) > 0 {
				continue
			}
			if o.times[row.Read.n]++; o.Open(row.Read) {
				continue
			}
			if err := keep(row, "1"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *opener) Open(row number) bool       { return o.times[row.n] < o.needs[row.n] }
func (o *opener) GiveUp(rows []number) error { return o.away }

// Rows that are open wait with their page for the next one, and are asked about again at
// the end; nothing of them is written before.
func TestRunAsksOpenRowsAgain(t *testing.T) {
	var text strings.Builder
	for i := range 600 {
		fmt.Fprintf(&text, `{"n": [%d]}`+"\n", i)
	}
	run := func(o *opener) (*memory, error) {
		o.times = map[int]int{}
		out := &memory{}
		return out, Run(t.Context(), o, textInput(text.String()), out, Options{Page: 300}, Resume{}, &tally{})
	}
	want, err := run(&opener{})
	require.NoError(t, err)
	require.Len(t, want.lines, 600)
	o := &opener{needs: map[int]int{3: 2, 300: 2, 599: 2}}
	got, err := run(o)
	require.NoError(t, err)
	require.Equal(t, want.lines, got.lines)
	for n, times := range o.times {
		require.Equal(t, max(1, o.needs[n]), times, n)
	}
	got, err = run(&opener{needs: map[int]int{599: 3}, away: errModel})
	require.ErrorIs(t, err, errModel)
	require.Less(t, len(got.lines), 600)
	require.Equal(t, want.lines[:len(got.lines)], got.lines)
	require.NotEmpty(t, got.kept[598], "its page's answers are kept")
	got, err = run(&opener{needs: map[int]int{599: 3}})
	require.NoError(t, err)
	require.Len(t, got.lines, 600, "without an error they are done")
}
