// Package durable writes an output file that survives every ending of the run
// that writes it.
//
// The output grows as {path}.partial, and each file beside it as
// {path}{side}.partial. {path}.journal says how much of them counts: it is
// JSON lines, each a record with a CRC-32C of its content. A record is the
// header (the format's version and the identity of the run), an answer of the
// model, a commit (how many rows are done, and how far each stream had come
// then), or a finish that has begun. A commit is written after the streams are
// on disk, so that the journal never promises what a power cut can take.
//
// What a stream holds depends on the lines and on where blocks end, never on when
// a run was cut: each block is a gzip member or a zstd frame of its own.
package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/ortscore/ortscore/io/internal/filesystem"
	"github.com/ortscore/ortscore/io/manifest"
)

var (
	// ErrLocked is in the error of Open where another run is writing the output.
	ErrLocked = errors.New("another run is writing it; wait for its end, or choose another name")
	// ErrFinished is in the error of Open where an earlier run with the same
	// identity was cut while its finished files got their names. They have them
	// now: there is nothing left to do.
	ErrFinished = errors.New("finished already")
	// ErrUnfinished is in the error of Open where an unfinished output is in the
	// way that this run must not or cannot go on with. Restart throws it away.
	ErrUnfinished = errors.New("--restart throws it away and begins anew")
)

// Fact is one thing that the bytes of the output depend on.
type Fact = manifest.Fact

// Resume says what to do with an unfinished output.
type Resume string

const (
	Auto    Resume = "auto"    // go on from there
	Never   Resume = "never"   // refuse it
	Restart Resume = "restart" // throw it away and begin anew
)

// Options are those of Open.
type Options struct {
	Path   string // the final name; the lines are compressed where it ends in .gz or .zst
	Force  bool   // replace finished files of these names
	Resume Resume // "" is Auto
	// Identity is what the output's bytes depend on. An unfinished output of
	// another identity is refused.
	Identity []Fact
	// Identify, if set, gives the identity once the output is this run's alone, so that
	// what takes long is not done before another run is found to write it. done is how
	// many rows an unfinished output has, of which Last may go on with fewer.
	Identify func(done int) ([]Fact, error)
	// Sides are what is added to Path to name the files that grow and appear with
	// it, ".rejected.jsonl" say. They are never compressed. One without lines
	// leaves no file, and with Force an older one is removed.
	Sides []string
}

// Commit is what an unfinished output holds for certain.
type Commit struct {
	Rows    int             `json:"rows"`            // rows done
	State   json.RawMessage `json:"state,omitempty"` // the caller's
	Streams []Mark          `json:"streams"`         // of the output and its sides
}

// File is a finished file.
type File struct {
	Path   string // as the caller spelled it
	Bytes  int64
	Lines  int64
	SHA256 string // in hexadecimal
}

// Output is an output being written. Keep may be called beside all other methods
// but Finish and Close; those must not be called beside each other.
//
// Every Output must end in Close, which does nothing after Finish.
type Output struct {
	opts     Options
	sys      filesystem.System
	interval time.Duration // between commits; 0: each EndBlock and Keep is one
	target   string        // Path with symbolic links followed
	manifest string        // where it goes, with symbolic links followed
	last     *Commit
	kept     map[int][]json.RawMessage
	notes    []string
	decided  bool // what to go on with
	// identified is how many rows were done when the identity was asked for.
	identified *int
	committer

	mu         sync.Mutex // guards what follows, and the journal's end
	journal    *journal
	streams    []*stream   // the output and its sides
	counts     map[int]int // answers that were kept, by row that is not committed
	open       bool        // lines were written since the last EndBlock
	due        *Commit     // blocks that ended since the last commit
	unsynced   bool        // answers were kept since the last commit
	worthwhile bool        // something is committed or kept
	err        error       // the first of the file system; nothing is written after it
	closed     bool
}

// commitEvery is how much work a power cut takes at most. An fsync takes
// milliseconds, and a tiny model ends hundreds of blocks a second.
const commitEvery = 200 * time.Millisecond

// Open starts an output or goes on with an unfinished one.
//
// Without Force, a file at the path, or at that of a side or the manifest, is an
// error for which errors.Is(err, fs.ErrExist) holds, here and, for a file that
// appears meanwhile, in Finish. With Force, it stays as it is until the new one is
// whole, which takes over its permissions. Where the path is a symbolic link, the
// file it points to is written and the link stays. See ErrLocked, ErrFinished and
// ErrUnfinished for what else is in the way.
func Open(o Options) (*Output, error) { return open(filesystem.OS{}, o, commitEvery) }

func open(sys filesystem.System, opts Options, interval time.Duration) (*Output, error) {
	o := &Output{opts: opts, sys: sys, interval: interval}
	if err := o.name(); err != nil {
		return nil, err
	}
	journalPath := o.target + ".journal"
	if _, err := sys.Lstat(journalPath); errors.Is(err, fs.ErrNotExist) {
		// Nothing is made where the answer is no.
		if err := o.writable(); err != nil {
			return nil, err
		}
	}
	var err error
	if o.journal, err = openJournal(sys, opts.Path, opts.Path+".journal", journalPath); err != nil {
		return nil, err
	}
	if err := o.begin(); err != nil {
		o.abandon()
		return nil, err
	}
	o.commitInBackground()
	return o, nil
}

// Unfinished says whether an output has a journal: its run goes on, or was cut, be it
// when the files had their names already.
func Unfinished(path string) bool {
	target, err := filesystem.FollowLinks(path)
	if err == nil {
		_, err = os.Lstat(target + ".journal")
	}
	return err == nil
}

// lines is how the names of files of lines end.
var lines = regexp.MustCompile(`\.jsonl?(\.gz|\.zst)?$`)

// name finds out the names of all files.
func (o *Output) name() error {
	if !lines.MatchString(o.opts.Path) {
		return fmt.Errorf("want a .json, .jsonl (also .gz, .zst) file, got %q", o.opts.Path)
	}
	for k, side := range append([]string{""}, o.opts.Sides...) {
		s, err := newStream(o.sys, o.opts.Path+side, k == 0)
		if err != nil {
			return err
		}
		o.streams = append(o.streams, s)
	}
	o.target = o.streams[0].target
	var err error
	if o.manifest, err = filesystem.FollowLinks(o.manifestName()); err != nil {
		return filesystem.Fail(o.manifestName(), "create", err)
	}
	return nil
}

func (o *Output) manifestName() string { return o.opts.Path + ".manifest.json" }

// writable checks that the finished files may be put at their names.
func (o *Output) writable() error {
	for _, s := range o.streams {
		var err error
		if s.old, err = filesystem.Writable(o.sys, s.name, s.target, o.opts.Force); err != nil {
			return err
		}
	}
	_, err := filesystem.Writable(o.sys, o.manifestName(), o.manifest, o.opts.Force)
	return err
}

// begin opens the streams, where the journal says that they count.
func (o *Output) begin() error {
	h, err := o.history()
	if err != nil {
		return err
	}
	if err := o.writable(); err != nil {
		return err
	}
	if old := o.streams[0].old; old != nil {
		o.journal.mode = old.Mode().Perm() | 0o600
	}
	sums, err := o.fallBack(&h)
	if err != nil {
		return err
	}
	before := h.header
	h.header = o.header()
	o.decided, o.worthwhile = true, h.worthwhile()
	if err := o.journal.rewrite(h.live()); err != nil {
		return err
	}
	o.removeStale(before)
	if err := o.openStreams(h.last(), sums); err != nil {
		return err
	}
	o.remember(h)
	return o.syncFolders()
}

// openStreams opens the streams at a commit, or anew without one.
func (o *Output) openStreams(c *Commit, sums []map[int64]hash.Hash) error {
	for k, s := range o.streams {
		if c == nil {
			if err := s.start(); err != nil {
				return err
			}
			continue
		}
		if err := s.resume(c.Streams[k], sums[k][c.Streams[k].Offset]); err != nil {
			return err
		}
	}
	return nil
}

// syncFolders makes the names of all files durable.
func (o *Output) syncFolders() error {
	dirs := []string{filesystem.Folder(o.manifest)}
	for _, s := range o.streams {
		dirs = append(dirs, filesystem.Folder(s.target))
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := o.sys.SyncDir(dir); err != nil {
			return fail(o.opts.Path, "sync folder", err)
		}
	}
	return nil
}

// abandon lets go of an output that could not be opened.
func (o *Output) abandon() {
	switch {
	case o.decided && !o.worthwhile:
		_ = o.discard()
	case o.journal.size == 0:
		_ = o.remove(o.journal.name, o.journal.path) // openJournal made it
	}
	for _, s := range o.streams {
		_ = s.close()
	}
	o.journal.close()
}
