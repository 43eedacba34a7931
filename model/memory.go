package model

import (
	"context"
	"errors"
)

// ErrOutOfMemory is in an error's chain where the device had no memory left for
// what was asked: less of it may well succeed, after Reopen.
var ErrOutOfMemory = errors.New("out of memory")

// Reopener is a Scorer, Forwarder or Decoder that can be made anew. One that ran
// out of memory may stay broken and holds on to what it had: Reopen gives all of
// that back and begins again from the model's file, as if nothing had run. A
// failed Reopen leaves nothing that can be used; Close is still to be called.
type Reopener interface {
	Reopen(ctx context.Context) error
}
