package durable

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// version is the version of the journal's format.
const version = 1

// record is a line of the journal. It has one of these.
type record struct {
	Header   *header   `json:"header,omitempty"` // of the first line only
	Answer   *answer   `json:"answer,omitempty"`
	Commit   *Commit   `json:"commit,omitempty"`
	Finished *finished `json:"finished,omitempty"` // of the last line only
}

type header struct {
	Version  int      `json:"version"`
	Identity []Fact   `json:"identity"`
	Sides    []string `json:"sides"`
}

type answer struct {
	Row   int             `json:"row"`
	N     int             `json:"n"` // how many of this row were kept before
	Value json.RawMessage `json:"value"`
}

// finished is a finish that has begun: every stream is whole and on disk, and
// what remains is to give the files their names.
type finished struct {
	Force    bool    `json:"force"`
	Streams  []Mark  `json:"streams"`
	Manifest *string `json:"manifest,omitempty"` // its text
}

// A line is sealPrefix, 8 hexadecimal digits of the CRC-32C of the record's
// JSON, sealMiddle, the record, sealSuffix.
const (
	sealPrefix = `{"crc32c":"`
	sealMiddle = `","record":`
	sealSuffix = `}`
	sealLength = len(sealPrefix) + 8 + len(sealMiddle)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal makes a line of the journal, with its line end.
func seal(r record) ([]byte, error) {
	content, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%s%08x%s%s%s\n", sealPrefix, crc32.Checksum(content, castagnoli), sealMiddle, content, sealSuffix), nil
}

// unseal reads a line without its line end; ok is false for a damaged one.
func unseal(line []byte) (r record, ok bool) {
	if len(line) < sealLength+len(sealSuffix) ||
		string(line[:len(sealPrefix)]) != sealPrefix ||
		string(line[sealLength-len(sealMiddle):sealLength]) != sealMiddle ||
		string(line[len(line)-len(sealSuffix):]) != sealSuffix {
		return r, false
	}
	sum, err := strconv.ParseUint(string(line[len(sealPrefix):len(sealPrefix)+8]), 16, 32)
	content := line[sealLength : len(line)-len(sealSuffix)]
	if err != nil || uint32(sum) != crc32.Checksum(content, castagnoli) {
		return r, false
	}
	return r, json.Unmarshal(content, &r) == nil
}

// history is what a journal holds.
type history struct {
	header   *header // nil if there is none: an empty journal, or one damaged there
	commits  []*Commit
	answers  []answer
	kept     map[int]int // answers by row
	finished *finished
	damaged  int // records that were left out, but for one at the end
}

// readHistory reads a journal. A damaged record is left out, and so are the later
// answers of the row that it might be of. A cut while a record was written leaves
// a damaged one at the end.
func readHistory(data []byte) history {
	h := history{kept: map[int]int{}}
	atEnd := false
	for line := range bytes.Lines(data) {
		r, ok := unseal(bytes.TrimSuffix(line, []byte("\n")))
		atEnd = !ok || !h.add(r)
		if atEnd {
			h.damaged++
		}
	}
	if atEnd {
		h.damaged--
	}
	return h
}

// add takes a record, or says that it has no place here.
func (h *history) add(r record) bool {
	if (r.Header != nil) != (h.header == nil) || h.finished != nil {
		return false
	}
	switch {
	case r.Header != nil:
		h.header = r.Header
	case r.Answer != nil && r.Answer.N == h.kept[r.Answer.Row]:
		h.answers = append(h.answers, *r.Answer)
		h.kept[r.Answer.Row]++
	case r.Commit != nil && len(r.Commit.Streams) == 1+len(h.header.Sides):
		h.commits = append(h.commits, r.Commit)
	case r.Finished != nil && len(r.Finished.Streams) == 1+len(h.header.Sides):
		h.finished = r.Finished
	default:
		return false
	}
	return true
}

// worthwhile says whether anything is lost without it.
func (h *history) worthwhile() bool { return len(h.commits)+len(h.answers) > 0 }

// rows is how many rows are done.
func (h *history) rows() int {
	if last := h.last(); last != nil {
		return last.Rows
	}
	return 0
}

// DoneRows returns how many rows the unfinished output of a path has by its journal, 0
// where there is none. It locks nothing and changes nothing, so that a run which writes
// the output may be ahead of it, and does not compare the settings.
func DoneRows(path string) int {
	target, err := filesystem.FollowLinks(path)
	if err != nil {
		return 0
	}
	data, err := os.ReadFile(target + ".journal")
	if err != nil {
		return 0
	}
	h := readHistory(data)
	return h.rows()
}

// last is the newest commit, or nil.
func (h *history) last() *Commit {
	if len(h.commits) == 0 {
		return nil
	}
	return h.commits[len(h.commits)-1]
}

// live is what is worth keeping of the journal: the last two commits, so that
// there is one to fall back to, and the answers of all rows after the first.
func (h *history) live() []record {
	commits := h.commits[max(0, len(h.commits)-2):]
	from := 0
	if len(commits) > 0 {
		from = commits[0].Rows
	}
	records := []record{{Header: h.header}}
	for _, a := range h.answers {
		if a.Row >= from {
			records = append(records, record{Answer: &a})
		}
	}
	for _, c := range commits {
		records = append(records, record{Commit: c})
	}
	return records
}

// journal is an open journal. From its opening to its closing no other process
// has it open, unless the file system has no locks. It is what is removed last,
// so that the lock covers all that happens to the files beside it.
type journal struct {
	sys    filesystem.System
	name   string // for messages
	path   string
	mode   fs.FileMode       // of the file; 0 is the usual one
	handle filesystem.Handle // nil once it is closed
	lock   filesystem.Lock   // nil where the file system has none
	size   int64             // bytes
	live   int64             // bytes when it was last rewritten
}

// openJournal opens and locks the journal, which may be a new, empty one.
func openJournal(sys filesystem.System, out, name, path string) (*journal, error) {
	for {
		if _, err := filesystem.Writable(sys, name, path, true); err != nil {
			return nil, err
		}
		handle, err := sys.Open(path, os.O_RDWR|os.O_CREATE)
		if err != nil {
			return nil, filesystem.Fail(out, "create", err)
		}
		j := &journal{sys: sys, name: name, path: path, handle: handle}
		if j.lock, err = takeLock(sys, path); err != nil {
			_ = handle.Close()
			if err == errHeld {
				return nil, fmt.Errorf("%s: %w", out, ErrLocked)
			}
			return nil, filesystem.Fail(out, "lock", err)
		}
		if info, ok := j.isAt(path); ok {
			j.size = info.Size()
			return j, nil
		}
		// Between opening and locking it, another run ended, or rewrote it.
		j.close()
	}
}

var errHeld = errors.New("held")

// takeLock locks a file. The lock is nil on a file system that has none.
func takeLock(sys filesystem.System, path string) (filesystem.Lock, error) {
	lock := sys.Lock(path)
	ours, err := lock.TryLock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Another run has just removed it; the caller looks at the name again.
		return nil, nil
	case errors.Is(err, syscall.ENOLCK), errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.EINVAL):
		return nil, nil
	case err != nil:
		return nil, err
	case !ours:
		return nil, errHeld
	}
	return lock, nil
}

// isAt says whether the name leads to the file that is open and locked, and tells
// of it.
func (j *journal) isAt(path string) (fs.FileInfo, bool) {
	named, err := j.sys.Lstat(path)
	if err != nil {
		return nil, false
	}
	opened, err := j.handle.Stat()
	if err != nil || !os.SameFile(named, opened) {
		return nil, false
	}
	if j.lock == nil {
		return opened, true
	}
	locked, err := j.lock.Stat()
	return opened, err == nil && os.SameFile(named, locked)
}

// read gives all that the journal holds.
func (j *journal) read() (history, error) {
	if _, err := j.handle.Seek(0, io.SeekStart); err != nil {
		return history{}, filesystem.Fail(j.name, "read", err)
	}
	data, err := io.ReadAll(j.handle)
	if err != nil {
		return history{}, filesystem.Fail(j.name, "read", err)
	}
	return readHistory(data), nil
}

// append adds a record to the end, not yet synced.
func (j *journal) append(r record) error {
	line, err := seal(r)
	if err != nil {
		return fmt.Errorf("%s: %w", j.name, err)
	}
	n, err := j.handle.Write(line)
	j.size += int64(n)
	if err != nil {
		return filesystem.Fail(j.name, "write", err)
	}
	return nil
}

// sync makes what was added durable.
func (j *journal) sync() error {
	if err := j.handle.Sync(); err != nil {
		return filesystem.Fail(j.name, "sync", err)
	}
	return nil
}

// compactAt is how many bytes a journal grows by, at least, before it is
// rewritten without what is dead.
const compactAt = 4 << 20

// compact keeps the journal small.
func (j *journal) compact() error {
	if j.size < 2*j.live+compactAt {
		return nil
	}
	h, err := j.read()
	if err != nil {
		return err
	}
	if h.header == nil || h.damaged > 0 {
		return fmt.Errorf("%s: want the records that were written, got damaged ones; look after the disk, then start again", j.name)
	}
	return j.rewrite(h.live())
}

// temp is where the journal is rewritten.
func (j *journal) temp() string { return j.path + ".tmp" }

// rewrite puts a journal of these records in the place of the one there is. The
// lock goes over to it before it takes the name.
func (j *journal) rewrite(records []record) error {
	var text []byte
	for _, r := range records {
		line, err := seal(r)
		if err != nil {
			return fmt.Errorf("%s: %w", j.name, err)
		}
		text = append(text, line...)
	}
	_ = j.sys.Remove(j.temp()) // a cut while it was written leaves one
	handle, err := j.sys.Open(j.temp(), os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return filesystem.Fail(j.name, "create", err)
	}
	next := &journal{sys: j.sys, name: j.name, path: j.path, mode: j.mode, handle: handle, size: int64(len(text)), live: int64(len(text))}
	if err := next.fill(text, j.lock != nil); err != nil {
		next.close()
		_ = j.sys.Remove(j.temp())
		return err
	}
	j.close()
	*j = *next
	if err := j.sys.SyncDir(filesystem.Folder(j.path)); err != nil {
		return filesystem.Fail(j.name, "sync folder", err)
	}
	return nil
}

// fill writes a journal at its temporary name and gives it its own.
func (j *journal) fill(text []byte, locked bool) (err error) {
	if j.mode != 0 {
		if err := j.sys.Chmod(j.temp(), j.mode); err != nil {
			return filesystem.Fail(j.name, "create", err)
		}
	}
	if locked {
		if j.lock, err = takeLock(j.sys, j.temp()); err != nil {
			return filesystem.Fail(j.name, "lock", err)
		}
	}
	if _, err := j.handle.Write(text); err != nil {
		return filesystem.Fail(j.name, "write", err)
	}
	if err := j.sync(); err != nil {
		return err
	}
	if err := j.sys.Rename(j.temp(), j.path); err != nil {
		return filesystem.Fail(j.name, "rename", err)
	}
	return nil
}

// close closes the file and lets the lock go. All that counts was synced.
func (j *journal) close() {
	if j.handle != nil {
		_ = j.handle.Close()
		j.handle = nil
	}
	if j.lock != nil {
		_ = j.lock.Unlock()
		j.lock = nil
	}
}
