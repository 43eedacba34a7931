package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

var fail = filesystem.Fail

// Finish makes all that was written durable and gives the files their names: the
// sides first, then {path}.manifest.json, the output last. Every line must be in
// a block that has ended. manifest gives the manifest's text for the output, which
// comes first, and those of its sides that have lines; it may be nil.
//
// After an error the next Open goes on from there. If the files were whole and
// only the names were missing, it gives them and returns ErrFinished.
func (o *Output) Finish(manifest func(files []File) ([]byte, error)) error {
	o.end()
	if err := o.commit(); err != nil {
		return err
	}
	if o.open {
		return fmt.Errorf("%s: want the end of the block before the end of the output", o.opts.Path)
	}
	f, err := o.whole(manifest)
	if err != nil {
		return err
	}
	if err := o.fail(o.seal(f)); err != nil {
		return err
	}
	if err := o.fail(o.publish(f)); err != nil {
		return err
	}
	_ = o.locked(func() error { o.closed = true; return nil })
	defer o.journal.close()
	return o.remove(o.journal.name, o.journal.path)
}

// whole brings all streams to disk and says what they are.
func (o *Output) whole(manifest func([]File) ([]byte, error)) (*finished, error) {
	main := o.streams[0]
	if main.packer != nil && main.offset == 0 {
		main.packer.Reset(main)
		main.packing = true
		if err := o.fail(main.end()); err != nil {
			return nil, err
		}
	}
	f := &finished{Force: o.opts.Force}
	var files []File
	for k, s := range o.streams {
		m := s.mark()
		f.Streams = append(f.Streams, m)
		if k == 0 || m.Lines > 0 {
			files = append(files, File{s.name, m.Offset, m.Lines, m.SHA256})
		}
	}
	if manifest != nil {
		text, err := manifest(files)
		if err != nil {
			return nil, err
		}
		f.Manifest = new(string(text))
	}
	return f, nil
}

// seal brings all streams to disk and then notes that only names are missing.
func (o *Output) seal(f *finished) error {
	if err := o.flush(); err != nil {
		return err
	}
	for _, s := range o.streams {
		if err := s.sync(s.offset); err != nil {
			return err
		}
		if err := s.close(); err != nil {
			return err
		}
	}
	if err := o.journal.append(record{Finished: f}); err != nil {
		return err
	}
	o.worthwhile = true
	return o.journal.sync()
}

// publish gives the files their names, those that have them not yet, and then
// removes what is left. A cut between any two of its steps is mended by doing it
// again.
func (o *Output) publish(f *finished) error {
	for k, s := range o.streams[1:] {
		if f.Streams[1+k].Lines == 0 {
			continue
		}
		if err := o.give(s.name, s.partial, s.target, f.Force); err != nil {
			return err
		}
	}
	if err := o.publishManifest(f); err != nil {
		return err
	}
	main := o.streams[0]
	if err := o.give(main.name, main.partial, main.target, f.Force); err != nil {
		return err
	}
	// No name goes before the other is on disk.
	if err := o.syncFolders(); err != nil {
		return err
	}
	if err := o.removeLeft(f); err != nil {
		return err
	}
	return o.syncFolders()
}

// removeLeft removes the second names of files that were linked, sides without
// lines, and what tells of a file that was replaced.
func (o *Output) removeLeft(f *finished) error {
	for k, s := range o.streams {
		if err := o.remove(s.name, s.partial); err != nil {
			return err
		}
		if k > 0 && f.Force && f.Streams[k].Lines == 0 {
			if err := o.remove(s.name, s.target); err != nil {
				return err
			}
		}
	}
	if f.Force && f.Manifest == nil {
		if err := o.remove(o.manifestName(), o.manifest); err != nil {
			return err
		}
	}
	return o.remove(o.manifestName(), o.manifestTemp())
}

func (o *Output) manifestTemp() string { return o.manifest + ".partial" }

func (o *Output) publishManifest(f *finished) error {
	if f.Manifest == nil {
		return nil
	}
	name := o.manifestName()
	if err := o.remove(name, o.manifestTemp()); err != nil {
		return err
	}
	if err := o.writeManifest(name, *f.Manifest); err != nil {
		return err
	}
	return o.give(name, o.manifestTemp(), o.manifest, f.Force)
}

func (o *Output) writeManifest(name, text string) error {
	file, err := o.sys.Open(o.manifestTemp(), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return fail(name, "create", err)
	}
	if _, err := io.WriteString(file, text); err != nil {
		_ = file.Close()
		return fail(name, "write", err)
	}
	if err := file.Sync(); err != nil {
		_ = file.Close()
		return fail(name, "sync", err)
	}
	if err := file.Close(); err != nil {
		return fail(name, "close", err)
	}
	return nil
}

// give gives a file its name, and the permissions of the one that it replaces. One
// that is not at from has it already.
func (o *Output) give(name, from, target string, force bool) error {
	if _, err := o.sys.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if old, err := o.sys.Lstat(target); err == nil && force {
		if err := o.sys.Chmod(from, old.Mode().Perm()); err != nil {
			return fail(name, "chmod", err)
		}
	}
	err := filesystem.Publish(o.sys, name, from, target, force)
	if errors.Is(err, fs.ErrExist) && o.same(from, target) {
		return nil
	}
	return err
}

// same says whether two names are those of one file, or of the same bytes: one was
// linked or copied, and then came a cut.
func (o *Output) same(a, b string) bool {
	infoA, errA := o.sys.Lstat(a)
	infoB, errB := o.sys.Lstat(b)
	if errA != nil || errB != nil || infoA.Size() != infoB.Size() {
		return false
	}
	if os.SameFile(infoA, infoB) {
		return true
	}
	end := infoA.Size()
	sumsA, errA := sums(o.sys, a, []int64{end})
	sumsB, errB := sums(o.sys, b, []int64{end})
	return errA == nil && errB == nil && sumsA[end] != nil && sumsB[end] != nil && digest(sumsA[end]) == digest(sumsB[end])
}

// completed ends a finish that was cut. What is left of the history is nothing,
// or, where the files are not what the journal says, all up to that finish.
func (o *Output) completed(h history) (history, error) {
	same := len(differences(*h.header, *o.header())) == 0
	f := h.finished
	h.finished = nil
	if !slices.Equal(h.header.Sides, o.opts.Sides) {
		return h, nil
	}
	for k, s := range o.streams {
		if k > 0 && f.Streams[k].Lines == 0 {
			continue
		}
		if whole, err := s.whole(f.Streams[k]); err != nil || !whole {
			return h, err
		}
	}
	f.Force = f.Force || o.opts.Force
	if err := o.publish(f); err != nil {
		return h, err
	}
	o.journal.size = 0 // nothing in it counts any more
	if same && o.opts.Resume != Restart {
		if err := o.remove(o.journal.name, o.journal.path); err != nil {
			return h, err
		}
		return h, fmt.Errorf("%s: %w", o.opts.Path, ErrFinished)
	}
	return readHistory(nil), nil
}

// whole says whether the file, under one name or the other, is as the mark says.
func (s *stream) whole(m Mark) (bool, error) {
	path := s.partial
	if _, err := s.sys.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		path = s.target
	}
	info, err := s.sys.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, s.fail("read", err)
	}
	sums, err := sums(s.sys, path, []int64{m.Offset})
	if err != nil {
		return false, s.fail("read", err)
	}
	return info.Size() == m.Offset && m.holds(sums), nil
}
