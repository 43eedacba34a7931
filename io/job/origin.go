package job

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/durable"
	"github.com/ortscore/ortscore/io/manifest"
)

// Origin is what outputs are made by.
type Origin struct {
	Version   string
	Command   string
	Arguments []string // without secrets
	Identity  []manifest.Fact
	Files     []manifest.File // that were read, but for the input
}

// identify checks an input and makes the identity of its output. Standard input, which
// can be read only once, is not checked.
func (f *Files[R, A, S]) identify(ctx context.Context, in *input) (err error) {
	if in.In != dataset.Stdin {
		if err := f.share(ctx, in); err != nil {
			return err
		}
		if in.count, err = CheckFile(ctx, f.Check, in.In, in.Selection, f.Options.SkipBad); err != nil {
			return err
		}
		f.noteStale(in.In, in.count.Stale)
		in.identity = []manifest.Fact{{Name: "input", Value: "sha256 " + in.count.Input.SHA256()}}
	}
	if in.Out == dataset.Stdin {
		return nil
	}
	origin, err := f.origins(ctx)
	if err == nil {
		in.identity = append(in.identity, origin.Identity...)
	}
	return err
}

// noteStale says how many rows of an input keep scores that the run has not made.
func (f *Files[R, A, S]) noteStale(path string, rows int) {
	noun := "rows"
	if rows == 1 {
		noun = "row"
	}
	if rows > 0 {
		f.User.Note(fmt.Sprintf("%s: %d %s with score fields of another kind of run, which stay beside the new ones; --drop-scores removes them", path, rows, noun))
	}
}

func (f *Files[R, A, S]) origins(ctx context.Context) (*Origin, error) {
	if f.origin == nil {
		origin, err := f.Origin(ctx)
		if err != nil {
			return nil, err
		}
		f.origin = origin
	}
	return f.origin, nil
}

// share settles the rows of the shard, which are blocks of all rows of the input.
func (f *Files[R, A, S]) share(ctx context.Context, in *input) error {
	if f.Shard.Of == 0 {
		return nil
	}
	reader, err := dataset.Open(in.In)
	if err != nil {
		return err
	}
	defer reader.Close()
	for ; err == nil && (in.Limit == 0 || reader.Rows() < in.Limit); err = reader.Skip() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if err != nil && err != io.EOF {
		return err
	}
	in.Total = reader.Rows()
	in.From, in.To = f.Shard.Rows(in.Total, BlockRows)
	return nil
}

// finished returns errFinished where the output is there already, of the same command
// and input, and says what differs where it is of others. The sum of a large input is
// known from the run that wrote it, so that this takes no time.
func (f *Files[R, A, S]) finished(ctx context.Context, in *input) error {
	info, err := os.Stat(in.Out)
	if err != nil || f.Force || in.In == dataset.Stdin || durable.Unfinished(in.Out) {
		return nil
	}
	m, err := manifest.Read(manifest.Path(in.Out))
	if err != nil || info.Size() != m.Output.Bytes { // which is refused where it is opened
		return nil
	}
	origin, err := f.origins(ctx)
	if err != nil {
		return err
	}
	if err := in.file.Hash(ctx, manifest.UserCache()); err != nil {
		return err
	}
	then := slices.DeleteFunc(slices.Clone(m.Identity), func(f manifest.Fact) bool { return f.Name == "input" })
	changes := durable.Changes(then, origin.Identity)
	if k := slices.IndexFunc(m.Files, func(f manifest.File) bool { return f.Role == manifest.Input }); k < 0 {
		changes = append(changes, "its input is not known")
	} else if m.Files[k].SHA256 != in.file.SHA256 {
		changes = append(changes, "the input has changed")
	}
	if len(changes) == 0 {
		return errFinished
	}
	return &existsError{in.Out, changes}
}

// existsError says that a finished output of other settings is in the way.
type existsError struct {
	path    string
	changes []string
}

func (e *existsError) Error() string {
	return fmt.Sprintf("%s: want a new file, got one that was made with other settings: %s", e.path, strings.Join(e.changes, "; "))
}

// Is makes the error one of the fs.ErrExist family.
func (e *existsError) Is(target error) bool { return target == fs.ErrExist }

// manifest writes down how an output was made.
func (f *Files[R, A, S]) manifest(ctx context.Context, in *input, sum S, files []durable.File, began clock) ([]byte, error) {
	summary, err := json.Marshal(sum)
	if err != nil {
		return nil, err
	}
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	c := sum.Count()
	m := &manifest.Manifest{Version: f.origin.Version, Command: f.origin.Command, Arguments: f.origin.Arguments, Folder: folder,
		Identity: in.identity, Machine: f.Machine(), Files: slices.Clone(f.origin.Files), Summary: summary,
		Shard:   manifest.Shard{Index: f.Shard.Index, Of: f.Shard.Of, From: in.From, To: in.To, Total: in.Total, Block: BlockRows},
		Counts:  manifest.Counts{Rows: c.Rows, Rejected: c.Rejected, Passages: c.Passages},
		Started: began.Started, Finished: time.Now(), Seconds: began.Seconds}
	if f.Shard.Of == 0 {
		m.Shard.To, m.Shard.Total = c.Rows+c.Rejected, c.Rows+c.Rejected
	}
	if in.In != dataset.Stdin {
		if in.file.SHA256 == "" {
			if err := in.file.Hash(ctx, manifest.UserCache()); err != nil {
				return nil, err
			}
		}
		m.Files = append(m.Files, in.file)
	}
	for _, file := range files {
		w := manifest.Written{Name: filepath.Base(file.Path), Bytes: file.Bytes, Lines: int64(file.Lines), SHA256: file.SHA256}
		switch file.Path {
		case in.Out:
			m.Output = w
		case manifest.RejectedPath(in.Out):
			m.Rejected = &w
		default:
			m.Answers = &w
		}
	}
	return manifest.Marshal(m)
}
