package durable

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// disk is a file system that also notes what is on its disk: the bytes of a file
// as they were when it was synced, the names as they were when the folder was. A
// power cut leaves that, and as much of the rest as it likes.
type disk struct {
	filesystem.OS
	cut   int               // operations until the power cut
	names map[string]*inode // of the folder, as a living process sees it
	saved map[string]*inode // of the folder, on disk
	since []naming          // changes of names since then
}

// inode is a file, whatever its names.
type inode struct {
	now   []byte
	saved []byte
}

// naming is a change of names in one step: each has this file, or none.
type naming map[string]*inode

// newDisk is a disk with these files in a folder.
func newDisk(cut int, files map[string]string) *disk {
	d := &disk{cut: cut, names: map[string]*inode{}}
	for name, text := range files {
		d.names[name] = &inode{[]byte(text), []byte(text)}
	}
	d.saved = maps.Clone(d.names)
	return d
}

// on says whether there is still power, for one operation more.
func (d *disk) on() bool {
	d.cut--
	return d.cut >= 0
}

func (d *disk) change(n naming) {
	n.make(d.names)
	d.since = append(d.since, n)
}

func (n naming) make(names map[string]*inode) {
	maps.Copy(names, n)
	maps.DeleteFunc(names, func(_ string, file *inode) bool { return file == nil })
}

func (d *disk) Open(name string, flag int) (filesystem.Handle, error) {
	if !d.on() {
		return nil, fs.ErrPermission
	}
	h, err := d.OS.Open(name, flag)
	if err != nil {
		return nil, err
	}
	base := filepath.Base(name)
	if d.names[base] == nil {
		d.change(naming{base: {}})
	}
	return &diskHandle{h, d, d.names[base], 0}, nil
}

func (d *disk) Link(from, to string) error {
	if !d.on() {
		return fs.ErrPermission
	}
	err := d.OS.Link(from, to)
	if err == nil {
		d.change(naming{filepath.Base(to): d.names[filepath.Base(from)]})
	}
	return err
}

func (d *disk) Rename(from, to string) error {
	if !d.on() {
		return fs.ErrPermission
	}
	err := d.OS.Rename(from, to)
	if err == nil {
		d.change(naming{filepath.Base(to): d.names[filepath.Base(from)], filepath.Base(from): nil})
	}
	return err
}

func (d *disk) Remove(name string) error {
	if !d.on() {
		return fs.ErrPermission
	}
	err := d.OS.Remove(name)
	if err == nil {
		d.change(naming{filepath.Base(name): nil})
	}
	return err
}

func (d *disk) SyncDir(string) error {
	if !d.on() {
		return fs.ErrPermission
	}
	d.saved, d.since = maps.Clone(d.names), nil
	return nil
}

type diskHandle struct {
	filesystem.Handle
	disk *disk
	file *inode
	at   int
}

func (h *diskHandle) Read(p []byte) (int, error) {
	n, err := h.Handle.Read(p)
	h.at += n
	return n, err
}

func (h *diskHandle) Seek(offset int64, whence int) (int64, error) {
	at, err := h.Handle.Seek(offset, whence)
	h.at = int(at)
	return at, err
}

func (h *diskHandle) Write(p []byte) (int, error) {
	if !h.disk.on() {
		return 0, fs.ErrPermission
	}
	n, err := h.Handle.Write(p)
	now := make([]byte, max(len(h.file.now), h.at+n))
	copy(now, h.file.now)
	copy(now[h.at:], p[:n])
	h.file.now = now
	h.at += n
	return n, err
}

func (h *diskHandle) Truncate(size int64) error {
	if !h.disk.on() {
		return fs.ErrPermission
	}
	h.file.now = h.file.now[:size:size]
	return h.Handle.Truncate(size)
}

func (h *diskHandle) Sync() error {
	if !h.disk.on() {
		return fs.ErrPermission
	}
	h.file.saved = h.file.now
	return nil
}

// losses are what a power cut may do to the bytes of a file since its last sync.
var losses = map[string]func(f *inode) []byte{
	"none":    func(f *inode) []byte { return f.now },
	"all":     func(f *inode) []byte { return f.saved },
	"half":    func(f *inode) []byte { return f.now[:(len(f.now)+min(len(f.now), len(f.saved)))/2] },
	"zeros":   func(f *inode) []byte { return f.zeroed(0) },
	"a block": func(f *inode) []byte { return f.zeroed(len(f.now) / 2) },
}

// zeroed has the length of all that was written, and zeros for what was not
// synced before the byte end; 0 is all of it.
func (f *inode) zeroed(end int) []byte {
	text := append([]byte(nil), f.now...)
	if end == 0 {
		end = len(text)
	}
	for i := min(len(f.saved), end); i < end; i++ {
		text[i] = 0
	}
	return text
}

// after makes in a folder what the cut leaves, with the changes of names of which
// the bit in made is set. It gives what is there.
func (d *disk) after(t *testing.T, dir string, loss func(*inode) []byte, made int) map[string]string {
	t.Helper()
	names := maps.Clone(d.saved)
	for i, n := range d.since {
		if made>>i&1 == 1 {
			n.make(names)
		}
	}
	lay(t, dir, nil)
	first := map[*inode]string{}
	for name, file := range names {
		path := filepath.Join(dir, name)
		switch {
		case first[file] != "":
			require.NoError(t, os.Link(first[file], path))
		default:
			require.NoError(t, os.WriteFile(path, loss(file), 0o666))
			first[file] = path
		}
	}
	return contents(t, dir)
}

// TestPowerCutAtEveryOperation cuts the power after each operation. Of what was
// not synced, the bytes are lost, half there or zeros, and any of the changes of
// names reached the disk, in whatever order.
func TestPowerCutAtEveryOperation(t *testing.T) {
	for _, ext := range shortened() {
		want := undisturbed(t, ext)
		for _, s := range starts(t, ext) {
			t.Run(ext+" "+s.name, func(t *testing.T) {
				dir, next := folder(t), folder(t)
				for cut := 0; ; cut++ {
					lay(t, dir, s.files)
					opts := options(filepath.Join(dir, "out"+ext))
					opts.Force = s.force
					d := newDisk(cut, s.files)
					a := asked{}
					maps.Copy(a, s.asked)
					d.goOn(t, next, opts, powerCut(d, opts, a), a, cut, s, want)
					if d.cut > 0 {
						break
					}
				}
			})
		}
	}
}

// powerCut is a run until the cut. It gives the rows that are done for certain.
func powerCut(d *disk, opts Options, a asked) int {
	o, err := open(d, opts, 0)
	if err != nil {
		return 0
	}
	done := 0
	if workOn(o, rowsAll, a, &done) == nil {
		_ = finish(o)
	}
	for _, s := range o.streams {
		_ = s.close()
	}
	o.journal.close()
	return done
}

// goOn starts again from everything that the cut may have left.
func (d *disk) goOn(t *testing.T, dir string, opts Options, done int, a asked, cut int, s start, want map[string]string) {
	t.Helper()
	out := filepath.Base(opts.Path)
	opts.Path = filepath.Join(dir, out)
	for name, loss := range losses {
		for made := range 1 << len(d.since) {
			if made&(made+1) != 0 && name != "none" && name != "all" {
				continue // out of order, with two of the losses only
			}
			files := d.after(t, dir, loss, made)
			place := []any{"power cut after operation %d, bytes lost: %s, changes of names made: %b of %v", cut, name, made, d.since}
			if _, unfinished := files[out+".journal"]; !unfinished && files[out] == want[out] {
				require.Equal(t, want, files, place...)
				continue
			}
			if s.force {
				require.Contains(t, []string{s.files[out], want[out]}, files[out], place...)
			}
			h := readHistory([]byte(files[out+".journal"]))
			require.True(t, h.finished != nil || h.rows() >= done, place...)
			now := maps.Clone(a)
			require.NoError(t, again(opts, now), place...)
			require.Equal(t, want, contents(t, dir), place...)
			requireAskedOnce(t, now, s, place)
		}
	}
}
