package job

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
)

func numbered(n int) *dataset.Reader {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"n\": %d}\n", i)
	}
	return dataset.NewReader("rows.jsonl", strings.NewReader(b.String()))
}

// onGood prepares rows that could be read.
func onGood(prepare func(*dataset.Row) (int, error)) func(*dataset.Row, error, dataset.Content) (int, error) {
	return func(r *dataset.Row, err error, _ dataset.Content) (int, error) {
		if err != nil {
			return 0, err
		}
		return prepare(r)
	}
}

// Rows take unlike times to prepare, and come out in order.
func TestAheadKeepsTheOrder(t *testing.T) {
	for _, limit := range []int{0, 1, 7, 200, 1000} {
		rows := newAhead(t.Context(), numbered(200), limit, false, onGood(func(r *dataset.Row) (int, error) {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			return r.Line, nil
		}))
		want := 200
		if limit > 0 {
			want = min(limit, want)
		}
		for i := range want {
			line, err := rows.Next()
			require.NoError(t, err)
			require.Equal(t, i+1, line)
		}
		_, err := rows.Next()
		require.Equal(t, io.EOF, err)
		rows.Close()
	}
}

func TestAheadPreparesSeveralAtOnce(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		t.Skip("one core")
	}
	var both sync.WaitGroup
	both.Add(2)
	rows := newAhead(t.Context(), numbered(2), 0, false, onGood(func(*dataset.Row) (int, error) {
		both.Done()
		both.Wait() // for ever, if one were prepared after the other
		return 0, nil
	}))
	defer rows.Close()
	for range 2 {
		_, err := rows.Next()
		require.NoError(t, err)
	}
}

func TestAheadErrors(t *testing.T) {
	odd := errors.New("odd")
	prepare := onGood(func(r *dataset.Row) (int, error) {
		if r.Line == 3 {
			return 0, r.Errorf("n", "want another, got it")
		}
		return r.Line, nil
	})
	text := "{\"n\": 1}\nbroken\n{\"n\": 3}\n{\"n\": 4}\n"
	next := func(rows *ahead[int]) string {
		line, err := rows.Next()
		if err != nil {
			return err.Error()
		}
		return fmt.Sprint(line)
	}
	skipping := newAhead(t.Context(), dataset.NewReader("r", io.MultiReader(strings.NewReader(text), broken{odd})), 0, true, prepare)
	defer skipping.Close()
	require.Equal(t, "1", next(skipping))
	require.Contains(t, next(skipping), "r:2:1: want valid JSON")
	require.Equal(t, "r:3: n: want another, got it", next(skipping))
	require.Equal(t, "4", next(skipping))
	require.Contains(t, next(skipping), "odd", "a source that breaks off is never skipped")

	strict := newAhead(t.Context(), dataset.NewReader("r", strings.NewReader(text)), 0, false, prepare)
	defer strict.Close()
	require.Equal(t, "1", next(strict))
	require.Contains(t, next(strict), "r:2:1: want valid JSON")
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

// Close waits for what is being prepared, and not for a read that may never end.
func TestAheadClose(t *testing.T) {
	before := runtime.NumGoroutine()
	r, w := io.Pipe()
	begun, prepared := make(chan bool), false
	rows := newAhead(t.Context(), dataset.NewReader("-", r), 0, false, onGood(func(*dataset.Row) (int, error) {
		close(begun)
		time.Sleep(50 * time.Millisecond)
		prepared = true
		return 0, nil
	}))
	_, err := io.WriteString(w, "{\"n\": 1}\n")
	require.NoError(t, err)
	<-begun
	rows.Close()
	require.True(t, prepared)
	_, err = rows.Next()
	require.Error(t, err)

	// The read that was left behind prepares nothing more: begun would be closed twice.
	_, err = io.WriteString(w, "{\"n\": 2}\n")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, 10*time.Second, time.Millisecond)
}
