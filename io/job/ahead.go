package job

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ortscore/ortscore/io/dataset"
)

// ahead reads rows ahead of the model and prepares several at once, a goroutine each,
// as many as there are cores. They come out in the order of the input.
type ahead[T any] struct {
	in      *dataset.Reader
	end     int
	skip    bool
	prepare func(line *dataset.Row, err error, at dataset.Content) (T, error)

	ctx       context.Context
	cancel    context.CancelFunc
	rows      chan *prepared[T]
	next      *prepared[T] // that Soon has taken out of rows
	reading   atomic.Bool  // in.Next is under way
	preparing sync.WaitGroup
}

// prepared is a row on its way.
type prepared[T any] struct {
	ready chan struct{} // closed once the rest is set
	value T
	err   error
}

// newAhead begins to read, up to row end of the input where that is not 0. With skip, a
// *dataset.Error of a row is not the end: prepare is given it, and the next row follows.
// Close is to be called.
func newAhead[T any](ctx context.Context, in *dataset.Reader, end int, skip bool, prepare func(*dataset.Row, error, dataset.Content) (T, error)) *ahead[T] {
	a := &ahead[T]{in: in, end: end, skip: skip, prepare: prepare, rows: make(chan *prepared[T], runtime.GOMAXPROCS(0))}
	a.ctx, a.cancel = context.WithCancel(ctx)
	go a.read()
	return a
}

// Next returns the next row as it was prepared, or why there is none: io.EOF at
// the end. After an error that is not skipped there is nothing more to ask for.
func (a *ahead[T]) Next() (value T, err error) {
	row := a.next
	if a.next = nil; row == nil {
		select {
		case row = <-a.rows:
		case <-a.ctx.Done():
		}
	}
	if row == nil {
		return value, a.ctx.Err()
	}
	<-row.ready
	return row.value, row.err
}

// soon is how long Soon waits.
const soon = 200 * time.Millisecond

// Soon says whether Next will not be kept waiting for what is read: a pipe can be silent
// for ever.
func (a *ahead[T]) Soon() bool {
	if a.next != nil {
		return true
	}
	select {
	case a.next = <-a.rows:
	case <-a.ctx.Done():
	case <-time.After(soon):
		return false
	}
	return true
}

// read reads rows and has them prepared, until an error that is final.
func (a *ahead[T]) read() {
	defer close(a.rows)
	for {
		row := &prepared[T]{ready: make(chan struct{})}
		line, err := a.line()
		if a.ctx.Err() != nil { // no one may be there any more
			return
		}
		var bad *dataset.Error
		final := err != nil && !(a.skip && errors.As(err, &bad))
		at := a.in.Content()
		a.preparing.Go(func() {
			defer close(row.ready)
			if row.err = err; !final {
				row.value, row.err = a.prepare(line, err, at)
			}
		})
		select {
		case a.rows <- row:
		case <-a.ctx.Done():
			return
		}
		if final {
			return
		}
	}
}

func (a *ahead[T]) line() (*dataset.Row, error) {
	if a.end > 0 && a.in.Rows() >= a.end {
		return nil, io.EOF
	}
	a.reading.Store(true)
	defer a.reading.Store(false)
	return a.in.Next()
}

// closeWait is how long Close waits for a read that is under way.
const closeWait = time.Second

// Close stops the reading and waits until no row is being read or prepared: what
// that takes may be closed after it. A read from a terminal or a pipe can block for
// ever; such a one is left behind, and touches nothing when it ends.
func (a *ahead[T]) Close() {
	a.cancel()
	defer a.preparing.Wait()
	wait := time.NewTicker(closeWait)
	defer wait.Stop()
	for {
		select {
		case row := <-a.rows:
			if row == nil { // read has ended
				return
			}
		case <-wait.C:
			if a.reading.Load() {
				return
			}
		}
	}
}
