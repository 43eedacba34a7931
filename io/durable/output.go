package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"
)

// Last is what was committed when the output was opened; nil at a fresh start.
func (o *Output) Last() *Commit { return o.last }

// Kept gives the answers that were kept for rows that are not done when the
// output was opened, by row, in the order in which they were kept.
func (o *Output) Kept() map[int][]json.RawMessage { return o.kept }

// Notes are what the user should know: where the run goes on, what was removed, a
// file system without locks. Each is a sentence without a full stop.
func (o *Output) Notes() []string { return o.notes }

// Keep writes an answer of the model for a row, counted from 0, into the journal
// at once: what was asked and paid for is not asked again. It must be UTF-8 and
// have a JSON text that it can be made of again. Keep is safe for concurrent use.
func (o *Output) Keep(row int, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%s: row %d: %w", o.opts.Path, row, err)
	}
	return o.do(func() error { return o.keep(row, text) })
}

// do does a step of the caller's if nothing has failed before.
func (o *Output) do(step func() error) error {
	err := o.locked(func() error {
		if err := o.ready(); err != nil {
			return err
		}
		return o.fail(step())
	})
	if err == nil && o.interval == 0 {
		err = o.commit()
	}
	return err
}

func (o *Output) locked(step func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return step()
}

func (o *Output) keep(row int, text json.RawMessage) error {
	if err := o.journal.append(record{Answer: &answer{row, o.counts[row], text}}); err != nil {
		return err
	}
	o.counts[row]++
	o.unsynced, o.worthwhile = true, true
	return nil
}

// Write adds a line, which must not hold a line end, and its line end.
func (o *Output) Write(line []byte) error { return o.write(0, line) }

// WriteSide adds a line to the file of Options.Sides[k].
func (o *Output) WriteSide(k int, line []byte) error { return o.write(1+k, line) }

func (o *Output) write(k int, line []byte) error {
	return o.do(func() error {
		o.open = true
		return o.streams[k].line(line)
	})
}

// EndBlock says that all lines of the first rows were written. state is what the
// caller wants to have again with them, as JSON. It is committed within a moment,
// by a goroutine, whose errors come out of the next call.
func (o *Output) EndBlock(rows int, state any) error {
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("%s: %w", o.opts.Path, err)
	}
	return o.do(func() error { return o.endBlock(&Commit{Rows: rows, State: text}) })
}

func (o *Output) endBlock(c *Commit) error {
	for _, s := range o.streams {
		if err := s.end(); err != nil {
			return err
		}
		c.Streams = append(c.Streams, s.mark())
	}
	o.due, o.open = c, false
	return nil
}

// ready is the error that keeps the output from taking more. It needs the lock,
// as fail does.
func (o *Output) ready() error {
	if o.closed {
		return fmt.Errorf("%s: %w", o.opts.Path, fs.ErrClosed)
	}
	return o.err
}

// fail keeps the first error. What was written before it may be half there, so
// that nothing must follow.
func (o *Output) fail(err error) error {
	if o.err == nil {
		o.err = err
	}
	return err
}

// commit makes all blocks that ended and all answers durable: first the streams,
// then the record of the journal that says so. Only one may be under way.
func (o *Output) commit() error {
	due, unsynced, err := o.take()
	if err != nil || due == nil && !unsynced {
		return err
	}
	// Without the lock: rows and answers go on while the disk is at work.
	if err := o.record(due); err != nil {
		return o.locked(func() error { return o.fail(err) })
	}
	return nil
}

// take takes what is to be committed, out of the buffers.
func (o *Output) take() (due *Commit, unsynced bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.ready(); err != nil {
		return nil, false, err
	}
	due, unsynced = o.due, o.unsynced
	o.due, o.unsynced = nil, false
	if due != nil {
		err = o.fail(o.flush())
	}
	return due, unsynced, err
}

func (o *Output) flush() error {
	for _, s := range o.streams {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return nil
}

// record syncs the streams, writes the commit if there is one, and syncs the
// journal.
func (o *Output) record(due *Commit) error {
	if due == nil {
		return o.journal.sync()
	}
	for k, s := range o.streams {
		if err := s.sync(due.Streams[k].Offset); err != nil {
			return err
		}
	}
	if err := o.locked(func() error { return o.journal.append(record{Commit: due}) }); err != nil {
		return err
	}
	if err := o.journal.sync(); err != nil {
		return err
	}
	return o.locked(func() error {
		o.worthwhile = true
		maps.DeleteFunc(o.counts, func(row, _ int) bool { return row < due.Rows })
		return o.journal.compact()
	})
}

// committer is the goroutine that commits every now and then.
type committer struct {
	stop, stopped chan struct{} // nil where there is none
}

func (o *Output) commitInBackground() {
	if o.interval == 0 {
		return
	}
	o.stop, o.stopped = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(o.stopped)
		tick := time.NewTicker(o.interval)
		defer tick.Stop()
		for {
			select {
			case <-o.stop:
				return
			case <-tick.C:
				if o.commit() != nil {
					return // the next call says so
				}
			}
		}
	}()
}

func (c *committer) end() {
	if c.stop != nil {
		close(c.stop)
		<-c.stopped
		c.stop = nil
	}
}

// Close keeps what there is for the next start and lets the lock go. If nothing
// was committed nor kept, the files are removed. After Finish or another Close it
// does nothing.
func (o *Output) Close() error {
	o.end()
	if o.closed {
		return nil
	}
	err := o.commit()
	_ = o.locked(func() error { o.closed = true; return nil })
	for _, s := range o.streams {
		if e := s.close(); err == nil {
			err = e
		}
	}
	if !o.worthwhile {
		if e := o.discard(); err == nil {
			err = e
		}
	}
	o.journal.close()
	return err
}

// Holds says whether the unfinished output holds anything for the next start.
func (o *Output) Holds() (holds bool) {
	_ = o.locked(func() error { holds = o.worthwhile; return nil })
	return holds
}

// Abandon is for a process that ends at once, wherever its other goroutines are. It
// does what Close does, but for rows that are not committed, and nothing is written
// after it.
func (o *Output) Abandon() {
	o.mu.Lock() // for ever
	if !o.closed && !o.worthwhile {
		_ = o.discard()
	}
}

// discard removes the files of an output that holds nothing.
func (o *Output) discard() error {
	for _, s := range o.streams {
		if err := o.remove(s.name, s.partial); err != nil {
			return err
		}
	}
	return o.remove(o.journal.name, o.journal.path)
}

// remove removes a file, which need not be there.
func (o *Output) remove(name, path string) error {
	if err := o.sys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(name, "remove", err)
	}
	return nil
}
