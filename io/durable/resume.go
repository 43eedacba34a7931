package durable

import (
	"encoding/json"
	"fmt"
	"hash"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ortscore/ortscore/io/internal/filesystem"
	"github.com/ortscore/ortscore/io/manifest"
)

// history reads the journal and decides what of it to resume:
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
