package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/durable"
	"github.com/ortscore/ortscore/io/shard"
)

// slow is a model that takes a millisecond for each token, which a row has as many of as
// its number says, and a second when it is asked for the first time.
type slow struct {
	summer
	warm bool
	ran  int
	fail error // of Ask
}

func (s *slow) Read(row *dataset.Row) (number, Work, error) {
	n, work, err := s.summer.Read(row)
	work.Tokens, work.Cut = n.n, n.n%2
	if n.n == 13 {
		err = row.Errorf("n", "want a number that fits, got 13")
	}
	return n, work, err
}

func (s *slow) Ask(ctx context.Context, page []Block[number, string], keep func(*Row[number, string], string) error) error {
	if !s.warm {
		s.warm = true
		time.Sleep(time.Second)
	}
	for _, block := range page {
		for _, row := range block {
			for range row.Read.n {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				time.Sleep(time.Millisecond)
				s.ran++
			}
		}
	}
	return s.fail
}

func (s *slow) Scores(number, []string, *total) (*Scores, error) { return nil, errModel }

type total struct{ tally }

func (t *total) Add(*total) {}

// silent is a user who is told nothing but notes.
type silent struct{ notes []string }

func (s *silent) Note(text string)       { s.notes = append(s.notes, text) }
func (s *silent) Fail(error)             {}
func (s *silent) Opened(*durable.Output) {}
func (s *silent) Begin(Pair, int) func() { return func() {} }

// previewed is what Preview tells of a file.
func previewed(t *testing.T, model *slow, text string, change func(*Files[number, string, *total])) (*Preview, []string, error) {
	t.Helper()
	in := filepath.Join(t.TempDir(), "in.jsonl")
	require.NoError(t, os.WriteFile(in, []byte(text), 0o666))
	user := &silent{}
	files := &Files[number, string, *total]{Check: model.Check, User: user, Resume: durable.Auto,
		Start: func(context.Context) (Scorer[number, string, *total], int, error) { return model, 1, nil }}
	if change != nil {
		change(files)
	}
	var found *Preview
	err := files.Preview(t.Context(), []Pair{{In: in, Out: filepath.Join(filepath.Dir(in), "out.jsonl")}}, Look[number]{
		Read: model.Read, Ran: func() int { return model.ran },
		Show: func(n number) (bool, error) { return n.row.Line >= 2, nil },
		Done: func(p *Preview) { found = p },
	})
	return found, user.notes, err
}

// numbersFile is a file of rows of so many tokens.
func numbersFile(tokens ...int) string {
	var b strings.Builder
	for _, n := range tokens {
		fmt.Fprintf(&b, "{\"n\": [%d]}\n", n)
	}
	return b.String()
}

// Rows that are unlike those at the head count as much as these, and the time is that
// of the model once it is warm.
func TestPreviewOfAllRows(t *testing.T) {
	var tokens []int
	total := 0
	for i := range 20000 {
		n := 10 + i%5
		if i >= 5000 {
			n = 50 + i%20
		}
		tokens = append(tokens, n)
		total += n
	}
	synctest.Test(t, func(t *testing.T) {
		p, notes, err := previewed(t, &slow{}, strings.ReplaceAll(numbersFile(tokens...), "[13]", "[12]"), nil)
		require.NoError(t, err)
		require.Empty(t, notes)
		require.Equal(t, 20000, p.Rows)
		require.Equal(t, sampleRows, p.Sampled)
		require.InEpsilon(t, total, p.Tokens, 0.03)
		require.InDelta(t, 0.45*20000, p.Cut, 0.1*20000)
		require.InEpsilon(t, float64(total)/1000, p.Seconds, 0.03)
		require.Greater(t, p.Trial.Rows, 1)
	})
}

// A sample of all rows is no estimate.
func TestPreviewOfFewRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _, err := previewed(t, &slow{}, numbersFile(10, 11, 12, 14, 15), nil)
		require.NoError(t, err)
		require.Equal(t, []int{5, 5, 62, 2}, []int{p.Rows, p.Sampled, p.Tokens, p.Cut})
		p, _, err = previewed(t, &slow{}, "", nil)
		require.NoError(t, err)
		require.Equal(t, []int{0, 0, 0}, []int{p.Rows, p.Sampled, p.Tokens})
		require.Nil(t, p.Trial)
	})
}

// Bad rows are told with their lines and reasons, those that are bad once they are
// tokenised as well, and are an error where they would end the run.
func TestPreviewOfBadRows(t *testing.T) {
	text := numbersFile(10, 13, 12) + strings.Repeat("broken\n", 12)
	p, _, err := previewed(t, &slow{warm: true}, text, nil)
	require.ErrorContains(t, err, ":4:1: want valid JSON", "as in a run")
	require.Nil(t, p.Trial, "a run would not come so far")
	require.Equal(t, []int{3, 12, 1}, []int{p.Rows, p.Bad, p.Unfit})
	require.Len(t, p.BadRows, mostProblems)
	require.Contains(t, p.BadRows[0], "in.jsonl:4:1: want valid JSON")
	p, _, err = previewed(t, &slow{warm: true}, text, func(f *Files[number, string, *total]) { f.Options.SkipBad = true })
	require.NoError(t, err)
	require.Equal(t, 2, p.Sampled)
	require.NotNil(t, p.Trial)
	p, _, err = previewed(t, &slow{warm: true}, numbersFile(10, 13), nil)
	require.ErrorContains(t, err, "in.jsonl:2: n: want a number that fits, got 13")
	require.Len(t, p.BadRows, 1)
}

// A row that takes more than a minute is timed by its tokens; a model that cannot be
// opened or asked is a note.
func TestPreviewTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, notes, err := previewed(t, &slow{}, numbersFile(100000, 100000), nil)
		require.NoError(t, err)
		require.Empty(t, notes)
		require.Zero(t, p.Trial.Rows)
		require.InEpsilon(t, 200, p.Seconds, 0.05)

		broken := errors.New("no library")
		p, notes, err = previewed(t, &slow{}, numbersFile(10), func(f *Files[number, string, *total]) {
			f.Start = func(context.Context) (Scorer[number, string, *total], int, error) { return &slow{}, 0, broken }
		})
		require.NoError(t, err)
		require.Equal(t, []string{"the time is not estimated, since the model cannot be opened: no library"}, notes)
		require.Equal(t, 10, p.Tokens)
		require.Nil(t, p.Trial)

		p, notes, err = previewed(t, &slow{fail: broken}, numbersFile(10), nil)
		require.NoError(t, err)
		require.Len(t, notes, 1)
		require.Contains(t, notes[0], "in.jsonl: the time is not estimated, since the model could not be tried: no library")
		require.Zero(t, p.Seconds)

		p, _, err = previewed(t, &slow{}, numbersFile(10), func(f *Files[number, string, *total]) { f.Start = nil })
		require.NoError(t, err)
		require.Nil(t, p.Trial, "an endpoint is not asked")
	})
}

// What an unfinished output has is not counted, nor are the rows of other shards.
func TestPreviewOfTheRest(t *testing.T) {
	out, in := filepath.Join(t.TempDir(), "out.jsonl"), filepath.Join(t.TempDir(), "in.jsonl")
	require.NoError(t, os.WriteFile(in, []byte(strings.Repeat(numbersFile(10), 3*BlockRows+5)), 0o666))
	begun, err := durable.Open(durable.Options{Path: out})
	require.NoError(t, err)
	require.NoError(t, begun.Write([]byte("{}")))
	require.NoError(t, begun.EndBlock(3*BlockRows, nil))
	require.NoError(t, begun.Close())
	model := &slow{warm: true}
	for _, c := range []struct {
		resume     durable.Resume
		shard      shard.Shard
		done, left int
	}{
		{durable.Auto, shard.Shard{}, 3 * BlockRows, 5},
		{durable.Restart, shard.Shard{}, 0, 3*BlockRows + 5},
		{durable.Auto, shard.Shard{Index: 1, Of: 2}, BlockRows, 5},
		{durable.Restart, shard.Shard{Index: 1, Of: 2}, 0, BlockRows + 5},
	} {
		files := &Files[number, string, *total]{Check: model.Check, User: &silent{}, Resume: c.resume, Shard: c.shard}
		require.NoError(t, files.Preview(t.Context(), []Pair{{In: in, Out: out}}, Look[number]{Read: model.Read,
			Show: func(number) (bool, error) { return true, nil },
			Done: func(p *Preview) { require.Equal(t, []int{c.done, c.left}, []int{p.Done, p.Rows}, "%+v", c) }}))
	}
}

// Of standard input no more is read than it takes to show a row.
func TestPreviewOfStandardInput(t *testing.T) {
	model, read := &slow{}, 0
	r, w, err := os.Pipe()
	require.NoError(t, err)
	_, err = w.WriteString("broken\n" + numbersFile(1, 2, 3))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	stdin := os.Stdin
	os.Stdin = r
	defer func() { os.Stdin = stdin }()
	files := &Files[number, string, *total]{Check: model.Check, User: &silent{}}
	files.Options.SkipBad = true
	require.NoError(t, files.Preview(t.Context(), []Pair{{In: dataset.Stdin, Out: dataset.Stdin}}, Look[number]{
		Read: func(row *dataset.Row) (number, Work, error) { read++; return model.Read(row) },
		Show: func(n number) (bool, error) { return n.n == 2, nil },
		Done: func(p *Preview) { require.Zero(t, p.Rows) }}))
	require.Equal(t, 2, read)
}
