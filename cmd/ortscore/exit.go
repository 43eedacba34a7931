package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/openai"
	"github.com/ortscore/ortscore/ort"
	"github.com/ortscore/ortscore/rank"
)

// Exit codes: a contract with what starts the command, stated in README.
const (
	exitOK          = 0
	exitUsage       = 2   // flags, input or output: the same command would fail again
	exitPartial     = 3   // done, but for the rows in the rejected file, or for datasets that were named
	exitModel       = 4   // the model cannot be found, read, loaded or run
	exitRetry       = 75  // the same command may succeed later: EX_TEMPFAIL of sysexits.h
	exitInterrupted = 130 // Ctrl+C, as shells have it
)

// coded is an error that knows its exit code.
type coded struct {
	error
	code int
}

func (c *coded) Unwrap() error { return c.error }

// withCode gives an error, where there is one, its exit code.
func withCode(err error, code int) error {
	if err == nil {
		return nil
	}
	return &coded{err, code}
}

// exitCode is the code for an error that no signal has caused. What is lost and may
// come back goes before where it was lost: a device may fail while a model is loaded.
func exitCode(err error) int {
	var (
		endpoint *openai.Error
		own      *coded
		runtime  ort.Error
	)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errPartial):
		return exitPartial
	case errors.Is(err, ort.ErrDevice), errors.As(err, &endpoint) && endpoint.Temporary():
		return exitRetry
	case errors.Is(err, model.ErrOutOfMemory), errors.Is(err, rank.ErrNoRankings) && endpoint == nil:
		return exitModel
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &runtime):
		return exitModel
	}
	return exitUsage
}

// stopped is the cause of a context that a signal has ended.
type stopped struct{ signal os.Signal }

func (s stopped) Error() string { return s.signal.String() }

// stopCode is the exit code of a run that a signal has ended. Only Ctrl+C is a
// person's wish; an engine that sends SIGTERM, and a terminal that is lost, want the
// run to go on elsewhere or later.
func stopCode(ctx context.Context) int {
	var s stopped
	if errors.As(context.Cause(ctx), &s) && s.signal != os.Interrupt {
		return exitRetry
	}
	return exitInterrupted
}

// untilSignal is a context that the first signal ends. One that comes a while later
// kills: a stop that hangs can be stopped. Those that come with the first are the same
// one: timeout and batch systems send it to a process and then to its whole group.
func untilSignal() context.Context {
	ctx, stop := context.WithCancelCause(context.Background())
	got := make(chan os.Signal, 1)
	signal.Notify(got, stopSignals()...)
	go func() {
		stop(stopped{<-got})
		time.Sleep(patience)
		signal.Stop(got)
	}()
	return ctx
}

// stopSignals are the signals that end a run. One that was ignored when the process
// started stays so: nohup ignores SIGHUP, and a shell without job control SIGINT for
// what it puts into the background.
func stopSignals() []os.Signal {
	return slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}, signal.Ignored)
}

// abortCrashes makes a crash, here or in ONNX Runtime, end with SIGABRT: Go's own
// exit code for one is 2, which says that the command line or the input is at fault.
// It leaves no core file, which may be as large as the model. Whoever sets GOTRACEBACK
// looks into crashes, and gets what it says.
func abortCrashes() {
	if os.Getenv("GOTRACEBACK") == "" {
		debug.SetTraceback("crash")
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	}
}
