package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/ort"
	"github.com/ortscore/ortscore/rank"
)

// What errors of the libraries mean to whatever started the command. Those of an
// endpoint are in rank-exit-codes.txtar.
func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("want a model in --onnx, got none"), 2},
		{os.ErrPermission, 2},
		{syscall.ENOSPC, 2},
		{&dataset.Error{File: "in.jsonl", Line: 1, Field: "pos", Msg: "want a list, got a number"}, 2},
		{dataset.ErrChanged, 2},
		{errPartial, 3},
		{ort.Error("non-zero status code returned while running MatMul node"), 4},
		{fmt.Errorf("m: %w", ort.ErrNoKernels), 2}, // load gives it a code
		{withCode(withHint(ort.ErrNoDriver, "install one"), exitModel), 4},
		{withHint(withCode(errors.New("broken"), exitModel), "mend it"), 4},
		{fmt.Errorf("one sequence: %w", model.ErrOutOfMemory), 4},
		{fmt.Errorf("%w: the last of them: %w", rank.ErrNoRankings, errors.New("want a ranking, got none")), 4},
		{fmt.Errorf("%w: CUDA failure 719", ort.ErrDevice), 75},
		{withCode(fmt.Errorf("%w: %w: CUDA failure 46", ort.ErrCUDA, ort.ErrDevice), exitModel), 75},
	} {
		require.Equal(t, c.want, exitCode(c.err), "%v", c.err)
	}
	require.NoError(t, withCode(nil, exitModel))
}

func TestStopCode(t *testing.T) {
	for sent, want := range map[os.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 75, syscall.SIGHUP: 75} {
		ctx, stop := context.WithCancelCause(context.Background())
		stop(stopped{sent})
		require.Equal(t, want, stopCode(ctx), sent)
	}
}
