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
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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

// history reads the journal and decides what of it is to be gone on with:
// nothing, where the run begins anew.
func (o *Output) history() (history, error) {
	h, err := o.journal.read()
	if err != nil {
		return h, err
	}
	if h.finished != nil {
		if err := o.identify(h); err != nil {
			return h, err
		}
		if h, err = o.completed(h); err != nil {
			return h, err
		}
	}
	if err := o.identify(h); err != nil {
		return h, err
	}
	bytes := int64(0)
	for _, s := range o.streams {
		n, err := s.size()
		if err != nil {
			return h, err
		}
		bytes += n
	}
	partial := o.opts.Path + ".partial"
	switch {
	case o.opts.Resume == Restart:
		return history{header: h.header, kept: map[int]int{}}, nil
	case h.header == nil && o.journal.size > 0:
		return h, fmt.Errorf("%s: want the journal of an unfinished output, got other or damaged text; %w", o.journal.name, ErrUnfinished)
	case h.header == nil && bytes > 0:
		return h, fmt.Errorf("%s: want its journal beside it, got none; %w", partial, ErrUnfinished)
	case h.header != nil && h.header.Version != version:
		return h, fmt.Errorf("%s: want format %d, got %d of another version of this program; %w", o.journal.name, version, h.header.Version, ErrUnfinished)
	case !h.worthwhile() && h.damaged > 0:
		return h, fmt.Errorf("%s: want the journal of an unfinished output, got damaged records; %w", o.journal.name, ErrUnfinished)
	case !h.worthwhile():
		return h, nil
	case o.opts.Resume == Never:
		return h, fmt.Errorf("%s: want no unfinished output, got one of %d rows; --resume auto goes on with it, %w", partial, h.rows(), ErrUnfinished)
	}
	if diff := differences(*h.header, *o.header()); len(diff) > 0 {
		return h, fmt.Errorf("%s: %d rows were done with other settings: %s; the same settings go on with it, %w", partial, h.rows(), strings.Join(diff, "; "), ErrUnfinished)
	}
	return h, nil
}

// identify asks for the identity, again where other rows are done than before.
func (o *Output) identify(h history) (err error) {
	done := h.rows()
	if o.opts.Resume == Restart {
		done = 0
	}
	if o.opts.Identify == nil || o.identified != nil && *o.identified == done {
		return nil
	}
	o.identified = &done
	o.opts.Identity, err = o.opts.Identify(done)
	return err
}

func (o *Output) header() *header {
	return &header{Version: version, Identity: o.opts.Identity, Sides: o.opts.Sides}
}

// differences says what has changed from one header to another.
func differences(then, now header) []string {
	all := Changes(then.Identity, now.Identity)
	if !slices.Equal(then.Sides, now.Sides) {
		all = append(all, fmt.Sprintf("files beside it were %s, are %s", list(then.Sides), list(now.Sides)))
	}
	return all
}

// mostChanges is how many changes are named: those of another command are dozens.
const mostChanges = 6

// Changes says what has changed from one identity to another: "seed was 42, is 43".
func Changes(then, now []Fact) []string {
	var all []string
	for _, d := range manifest.Compare(now, then) {
		all = append(all, d.Text("%[1]s was %[3]s, is %[2]s", "not set"))
	}
	if n := len(all) - mostChanges; n > 0 {
		all = append(all[:mostChanges], fmt.Sprintf("and %d more", n))
	}
	return all
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// fallBack drops commits until the streams hold what the last one says. It gives
// the streams' hashes at every commit.
func (o *Output) fallBack(h *history) ([]map[int64]hash.Hash, error) {
	had := h.rows()
	all := make([]map[int64]hash.Hash, len(o.streams))
	for k, s := range o.streams {
		var offsets []int64
		for _, c := range h.commits {
			offsets = append(offsets, c.Streams[k].Offset)
		}
		var err error
		if all[k], err = sums(o.sys, s.partial, offsets); err != nil {
			return nil, s.fail("read", err)
		}
	}
	holds := func(c *Commit) bool {
		for k, m := range c.Streams {
			if !m.holds(all[k]) {
				return false
			}
		}
		return true
	}
	for len(h.commits) > 0 && !holds(h.last()) {
		h.commits = h.commits[:len(h.commits)-1]
	}
	if had > 0 && len(h.commits) == 0 {
		return nil, fmt.Errorf("%s.partial: want the %d rows that its journal tells of, got other or fewer bytes; %w", o.opts.Path, had, ErrUnfinished)
	}
	if rows := h.rows(); rows < had {
		o.notes = append(o.notes, fmt.Sprintf("%s.partial is damaged after %d of %d rows; the others are done again", o.opts.Path, rows, had))
	}
	return all, nil
}

// oldTemp is how the temporary files of versions without a journal end.
var oldTemp = regexp.MustCompile(`\.tmp-[0-9a-f]{8}$`)

// removeStale removes what dead runs left that no run goes on with. before is the
// header of the journal that there was, or nil.
func (o *Output) removeStale(before *header) {
	dir, base := filepath.Split(o.target)
	var stale []string
	entries, _ := o.sys.ReadDir(filesystem.Folder(o.target)) // one that cannot be read may be written to
	for _, e := range entries {
		if end := oldTemp.FindString(e.Name()); end != "" && e.Type().IsRegular() {
			of := strings.TrimSuffix(e.Name(), end)
			if of == "."+base || slices.ContainsFunc(o.opts.Sides, func(side string) bool { return of == "."+base+side }) {
				stale = append(stale, dir+e.Name())
			}
		}
	}
	stale = append(stale, o.manifestTemp())
	if before != nil {
		for _, side := range before.Sides {
			if !slices.Contains(o.opts.Sides, side) {
				stale = append(stale, o.target+side+".partial")
			}
		}
	}
	for _, path := range stale {
		if o.sys.Remove(path) == nil {
			o.notes = append(o.notes, path+": removed, left by a run that was cut")
		}
	}
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

// remember keeps what the caller asks for later.
func (o *Output) remember(h history) {
	o.last, o.counts = h.last(), h.kept
	o.kept = map[int][]json.RawMessage{}
	answers := 0
	for _, a := range h.answers {
		if a.Row >= h.rows() {
			o.kept[a.Row] = append(o.kept[a.Row], a.Value)
			answers++
		}
	}
	if h.damaged > 0 {
		o.notes = append(o.notes, fmt.Sprintf("%s: damaged records left out: %d; what they told of is done again", o.journal.name, h.damaged))
	}
	if h.worthwhile() {
		o.notes = append(o.notes, fmt.Sprintf("%s.partial: going on after %d rows; answers kept of later rows: %d", o.opts.Path, h.rows(), answers))
	}
	if o.journal.lock == nil {
		o.notes = append(o.notes, o.opts.Path+": this file system has no locks; make sure that no other run writes it")
	}
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
