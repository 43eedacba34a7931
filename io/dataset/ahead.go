package dataset

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Ahead reads rows ahead of who takes them and prepares several at once, a
// goroutine each, as many as there are cores. They come out in the input's order.
type Ahead[T any] struct {
	in      *Reader
	limit   int
	skip    bool
	prepare func(*Row) (T, error)

	ctx       context.Context
	cancel    context.CancelFunc
	rows      chan *prepared[T]
	reading   atomic.Bool // in.Next is under way
	preparing sync.WaitGroup
}

// prepared is a row on its way.
type prepared[T any] struct {
	ready chan struct{} // closed once the rest is set
	value T
	err   error
}

// NewAhead begins to read, at most limit rows where that is not 0. With skip, a
// *Error of a row is not the end: the next row follows. Close is to be called.
func NewAhead[T any](ctx context.Context, in *Reader, limit int, skip bool, prepare func(*Row) (T, error)) *Ahead[T] {
	a := &Ahead[T]{in: in, limit: limit, skip: skip, prepare: prepare, rows: make(chan *prepared[T], runtime.GOMAXPROCS(0))}
	a.ctx, a.cancel = context.WithCancel(ctx)
	go a.read()
	return a
}

// Next returns the next row as it was prepared, or why there is none: io.EOF at
// the end. After an error that is not skipped there is nothing more to ask for.
func (a *Ahead[T]) Next() (value T, err error) {
	select {
	case row := <-a.rows:
		if row != nil {
			<-row.ready
			return row.value, row.err
		}
	case <-a.ctx.Done():
	}
	return value, a.ctx.Err()
}

// read reads rows and has them prepared, until an error that is final.
func (a *Ahead[T]) read() {
	defer close(a.rows)
	for n := 0; ; n++ {
		row := &prepared[T]{ready: make(chan struct{}), err: io.EOF}
		var raw *Row
		if a.limit == 0 || n < a.limit {
			a.reading.Store(true)
			raw, row.err = a.in.Next()
			a.reading.Store(false)
		}
		if a.ctx.Err() != nil { // no one may be there any more
			return
		}
		var bad *Error
		final := row.err != nil && !(a.skip && errors.As(row.err, &bad))
		a.preparing.Go(func() {
			defer close(row.ready)
			if row.err == nil {
				row.value, row.err = a.prepare(raw)
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

// closeWait is how long Close waits for a read that is under way.
const closeWait = time.Second

// Close stops the reading and waits until no row is being read or prepared: what
// that takes may be closed after it. A read from a terminal or a pipe can block for
// ever; such a one is left behind, and touches nothing when it ends.
func (a *Ahead[T]) Close() {
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

// Pages sends the pages that gather makes of rows, one ahead of who takes them,
// until the last or until the rows' context ends, and closes out and rows.
func Pages[T, P any](rows *Ahead[T], out chan<- P, gather func(*Ahead[T]) (page P, last bool)) error {
	defer close(out)
	defer rows.Close()
	for {
		page, last := gather(rows)
		select {
		case out <- page:
		case <-rows.ctx.Done():
			return rows.ctx.Err()
		}
		if last {
			return nil
		}
	}
}
