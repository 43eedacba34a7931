package ort

import "runtime"

// thread is an OS thread of a session's own. The CUDA provider gives each thread
// that runs a session a cuBLAS handle, a cuDNN handle and a cache of plans, and
// frees them when the thread ends; Go would move the runs between threads.
type thread struct{ calls chan func() }

func newThread() *thread {
	t := &thread{calls: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		for call := range t.calls {
			call()
		}
	}()
	return t
}

// do runs f on the thread and waits for it.
func (t *thread) do(f func() error) (err error) {
	done := make(chan struct{})
	t.calls <- func() {
		defer close(done)
		err = f()
	}
	<-done
	return err
}

func (t *thread) close() { close(t.calls) }
