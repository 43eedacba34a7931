package nll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

func TestRunErrors(t *testing.T) {
	broken := errors.New("no space left on device")
	_, err := newJob(toy()).Run(t.Context(), reader(goodLine), &lines{Fail: broken})
	require.ErrorIs(t, err, broken)

	lm := toy()
	lm.Before = func(*model.Batch) error { return broken }
	_, err = newJob(lm).Run(t.Context(), reader(goodLine), &lines{})
	require.ErrorIs(t, err, broken)

	// A source that breaks off: the rows before it are scored, then it is final.
	source := io.MultiReader(strings.NewReader(goodLine+"\n"), failingReader{broken})
	out := &lines{}
	sum, err := newJob(toy()).Run(t.Context(), dataset.NewReader("rows.jsonl", source), out)
	require.ErrorIs(t, err, broken)
	require.Equal(t, 1, sum.Rows)

	_, err = newJob(toy()).count(t.Context(), dataset.NewReader("rows.jsonl", failingReader{broken}), true)
	require.ErrorIs(t, err, broken)
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// requireGoroutines waits for those of a run to end.
func requireGoroutines(t *testing.T, before int) {
	t.Helper()
	for range 5000 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("want %d goroutines, got %d", before, runtime.NumGoroutine())
}

// Run leaves nothing behind, however it ends.
func TestRunCancelled(t *testing.T) {
	var in []string
	for i := range 3 * DefaultPage {
		in = append(in, strings.Replace(goodLine, `"q"`, fmt.Sprintf(`"%d"`, i), 1))
	}
	before := runtime.NumGoroutine()
	for _, after := range []int{1, 40} {
		ctx, cancel := context.WithCancel(t.Context())
		lm := toy()
		j := newJob(lm)
		j.LM.OnBatch = func(model.BatchStats) {
			if len(lm.Batches) == after {
				cancel()
			}
		}
		sum, err := j.Run(ctx, reader(in...), &lines{})
		require.ErrorIs(t, err, context.Canceled)
		require.Less(t, sum.Rows, len(in))
		require.Len(t, lm.Batches, after)
		requireGoroutines(t, before)

		sum, err = j.Run(ctx, reader(in...), &lines{})
		require.ErrorIs(t, err, context.Canceled, "ended before it began")
		require.Zero(t, sum.Rows)
		_, err = j.count(ctx, reader(in...), false)
		require.ErrorIs(t, err, context.Canceled)
		cancel()
	}
	_, err := newJob(toy()).Run(t.Context(), reader(in...), &lines{Fail: errors.New("full")})
	require.EqualError(t, err, "full")
	requireGoroutines(t, before)
}

// Ctrl+C at a terminal, or at a pipe that gives nothing: Run does not wait for
// a line that may never come, and the reader touches nothing when it does.
func TestRunCancelledWhileReading(t *testing.T) {
	before := runtime.NumGoroutine()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	j := newJob(toy())
	tok := &countingTokenizer{}
	j.Builder.Tokenizer = tok
	go func() {
		_, _ = io.WriteString(w, goodLine+"\n")
		time.Sleep(20 * time.Millisecond) // Run waits for the second line now
		cancel()
	}()
	start := time.Now()
	_, err := j.Run(ctx, dataset.NewReader("-", r), &lines{})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(start), 10*time.Second)

	encoded := tok.calls.Load()
	_, err = io.WriteString(w, goodLine+"\n"+goodLine+"\n")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	requireGoroutines(t, before)
	require.Equal(t, encoded, tok.calls.Load())
}

type countingTokenizer struct {
	modeltest.Bytes
	calls atomic.Int64
}

func (c *countingTokenizer) Encode(text string, special bool) (model.Encoding, error) {
	c.calls.Add(1)
	return c.Bytes.Encode(text, special)
}
