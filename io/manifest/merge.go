package manifest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ortscore/ortscore/io/atomicfile"
	"github.com/ortscore/ortscore/io/regular"
)

// ErrUnfinished is in the chain of Merge's error where shards are not finished.
var ErrUnfinished = errors.New("shards are not finished")

// Merge joins shards, by the paths of their files, into out, in the order of their
// rows, with the files beside them and a manifest. Their bytes are joined as they are,
// gzip members and zstd frames too.
//
// What merges that were killed have left of out is removed, and note is told of it.
//
// Nothing is written where a shard is missing, not finished, of another run, or not
// what its manifest says. Without force, a file that exists at out or beside it is an
// error for which errors.Is(err, fs.ErrExist) holds, unless a merge of the same shards was
// cut there.
func Merge(ctx context.Context, out string, force bool, paths []string, add Adder, note func(text string)) (*Manifest, error) {
	shards, err := readShards(paths)
	if err != nil {
		return nil, err
	}
	var manifests []*Manifest
	for _, s := range shards {
		manifests = append(manifests, s.Manifest)
	}
	joined, err := Join(manifests, add)
	if err != nil {
		return nil, err
	}
	m := &merging{out: out, force: force, goesOn: wasCut(out, joined), shards: shards, joined: joined}
	if err := m.checkOut(); err != nil {
		return nil, err
	}
	for _, path := range append(besides(out), out) {
		for _, old := range atomicfile.RemoveOld(path) {
			note(old + ": removed, left by a run that was cut")
		}
	}
	defer m.abort()
	if err := m.join(ctx); err != nil {
		return nil, err
	}
	if err := m.commit(); err != nil {
		return nil, err
	}
	return joined, nil
}

// shardFile is a shard and where it lies.
type shardFile struct {
	path string
	*Manifest
}

// readShards reads the manifests of shards, in the order of their rows, and names all
// that are not finished.
func readShards(paths []string) ([]shardFile, error) {
	var shards []shardFile
	var unfinished []string
	for _, path := range paths {
		m, err := Read(Path(path))
		if state := Unfinished(path, err); state != "" {
			unfinished = append(unfinished, path+" "+state)
			continue
		}
		if err != nil {
			return nil, err
		}
		m.Output.Name = filepath.Base(path)
		shards = append(shards, shardFile{path, m})
	}
	const shown = 8
	if n := len(unfinished); n > shown {
		unfinished = append(unfinished[:shown], fmt.Sprintf("%d more", n-shown))
	}
	if len(unfinished) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrUnfinished, strings.Join(unfinished, ", "))
	}
	slices.SortStableFunc(shards, func(a, b shardFile) int { return cmp.Compare(a.Shard.Index, b.Shard.Index) })
	return shards, nil
}

// Unfinished says what keeps the output at path from being finished: "is not there". It
// is "" where nothing does. readErr is what Read returned for the output's manifest.
func Unfinished(path string, readErr error) string {
	switch {
	case inWork(path):
		return "is being written, or its run was cut"
	case !there(path):
		return "is not there"
	case errors.Is(readErr, fs.ErrNotExist):
		return "has no manifest"
	}
	return ""
}

// inWork says whether a run is writing the output at path, or was cut while it did.
func inWork(path string) bool { return there(path+".partial") || there(path+".journal") }

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// checkOut refuses an output that is one of the shards or was read by their runs, one
// that is packed another way than they, and, without force, one that exists.
func (m *merging) checkOut() error {
	out := m.out
	info, err := os.Stat(out)
	for _, s := range m.shards {
		if filepath.Ext(s.path) != filepath.Ext(out) {
			return fmt.Errorf("%s: want an output that ends as %s does: shards are joined as they are", out, s.path)
		}
		for _, path := range append([]string{s.path}, s.reads()...) {
			if other, bad := os.Stat(path); err == nil && bad == nil && os.SameFile(info, other) {
				return fmt.Errorf("%s: want an output other than what was read, got the same file", out)
			}
		}
	}
	if inWork(out) {
		return fmt.Errorf("%s: want an output that no run writes, got one that a run is writing, or was cut while it did", out)
	}
	for _, path := range append(besides(out), out) {
		probe, err := atomicfile.Create(path, m.replaces(path))
		if err != nil {
			return err
		}
		if err := probe.Abort(); err != nil {
			return err
		}
	}
	return nil
}

// reads lists the files that a run has read.
func (m *Manifest) reads() (paths []string) {
	for _, f := range m.Files {
		paths = append(paths, f.Path)
	}
	return paths
}

// besides are the paths that an output may have files at, other than its own.
func besides(out string) []string {
	return []string{out + RejectedSuffix, out + AnswersSuffix, Path(out)}
}

// merging is an output on its way, of which nothing is visible before commit.
type merging struct {
	out    string
	force  bool
	goesOn bool        // a merge of the same shards was cut while its files got their names
	shards []shardFile // in order
	joined *Manifest
	files  []file // in the order in which they get their names
}

type file struct {
	*atomicfile.File
	path string
}

// wasCut says whether a merge into the same manifest was cut before the output had its
// name: what lies beside out is then its own.
func wasCut(out string, joined *Manifest) bool {
	old, err := Read(Path(out))
	return err == nil && !there(out) && slices.EqualFunc(old.Shards, joined.Shards, func(a, b Part) bool { return a.SHA256 == b.SHA256 })
}

// replaces says whether a file at path may be replaced.
func (m *merging) replaces(path string) bool { return m.force || m.goesOn && path != m.out }

// join writes all files, and completes the manifest.
func (m *merging) join(ctx context.Context) (err error) {
	j := m.joined
	if j.Rejected, err = m.joinBeside(ctx, RejectedSuffix, func(s *Manifest) *Written { return s.Rejected }); err != nil {
		return err
	}
	if j.Answers, err = m.joinBeside(ctx, AnswersSuffix, func(s *Manifest) *Written { return s.Answers }); err != nil {
		return err
	}
	// An output without lines that is compressed has a frame all the same, which one
	// with lines has not.
	sources := slices.DeleteFunc(slices.Clone(m.shards), func(s shardFile) bool { return s.Output.Lines == 0 })
	if len(sources) == 0 {
		sources = m.shards[:1]
	}
	var parts []part
	for _, s := range sources {
		parts = append(parts, part{s.path, s.Output})
	}
	written, err := m.joinFile(ctx, m.out, parts)
	if err != nil {
		return err
	}
	j.Output = *written
	return m.addManifest()
}

// addManifest writes the manifest, which gets its name first: it tells whose the files
// beside the output are.
func (m *merging) addManifest() error {
	text, err := Marshal(m.joined)
	if err != nil {
		return err
	}
	f, err := m.create(Path(m.out))
	if err != nil {
		return err
	}
	last := len(m.files) - 1
	m.files = append([]file{f}, m.files[:last]...)
	_, err = f.Write(text)
	return err
}

// joinBeside joins the files that some shards have beside their outputs; it returns nil
// where none has one.
func (m *merging) joinBeside(ctx context.Context, suffix string, of func(*Manifest) *Written) (*Written, error) {
	var parts []part
	for _, s := range m.shards {
		if w := of(s.Manifest); w != nil {
			parts = append(parts, part{s.path + suffix, *w})
		}
	}
	if len(parts) == 0 {
		return nil, nil
	}
	return m.joinFile(ctx, m.out+suffix, parts)
}

// create starts a file.
func (m *merging) create(path string) (file, error) {
	f, err := atomicfile.Create(path, m.replaces(path))
	if err == nil {
		m.files = append(m.files, file{f, path})
	}
	return file{f, path}, err
}

// part is a file to be joined, and what it must be.
type part struct {
	path string
	want Written
}

// joinFile writes a file that is all parts, one after another.
func (m *merging) joinFile(ctx context.Context, path string, parts []part) (*Written, error) {
	f, err := m.create(path)
	if err != nil {
		return nil, err
	}
	whole := &Written{Name: filepath.Base(path)}
	sum := sha256.New()
	for _, p := range parts {
		if err := p.appendTo(ctx, io.MultiWriter(f, sum)); err != nil {
			return nil, err
		}
		whole.Bytes += p.want.Bytes
		whole.Lines += p.want.Lines
	}
	whole.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return whole, nil
}

// appendTo copies a part, and refuses it where it is not what its manifest says.
func (p part) appendTo(ctx context.Context, to io.Writer) error {
	f, err := regular.Open(p.path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := stream(ctx, io.MultiWriter(to, h), f)
	if err != nil {
		return err
	}
	return p.want.Compare(p.path, n, hex.EncodeToString(h.Sum(nil)))
}

// Compare returns an error where a file at path is of another size, or of another sum,
// than was written.
func (w Written) Compare(path string, bytes int64, sum string) error {
	switch {
	case bytes != w.Bytes:
		return fmt.Errorf("%s: want %d bytes, as its manifest says, got %d", path, w.Bytes, bytes)
	case sum != w.SHA256:
		return fmt.Errorf("%s: want sha256 %s, as its manifest says, got %s", path, w.SHA256, sum)
	}
	return nil
}

// commit gives the files their names, the output last: until then nothing looks whole.
// Where that fails, those that had no name before lose it again.
func (m *merging) commit() (err error) {
	for i, f := range m.files {
		if i == len(m.files)-1 {
			err = m.removeOld()
		}
		if err == nil {
			err = f.Commit()
		}
		if err == nil {
			continue
		}
		for _, named := range m.files[:i] {
			if !m.force {
				_ = os.Remove(named.path)
			}
		}
		return err
	}
	return nil
}

// removeOld removes files beside an output that is replaced, which the new one has not.
func (m *merging) removeOld() error {
	if !m.force {
		return nil
	}
	for path, w := range map[string]*Written{m.out + RejectedSuffix: m.joined.Rejected, m.out + AnswersSuffix: m.joined.Answers} {
		if w != nil {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (m *merging) abort() {
	for _, f := range m.files {
		_ = f.Abort()
	}
}
