package durable

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/internal/filesystem"
)

// rowsAll is how many rows a small run has, blockRows how many a block.
const (
	rowsAll   = 10
	blockRows = 3
)

// summary is a state that goes wrong when a row is lost or doubled.
type summary struct {
	Rows  int `json:"rows"`
	Total int `json:"total"`
}

// asked counts what the model was asked, by row.
type asked map[int]int

// work does what is left of a run as io/job does: it asks the model for the
// answers that were not kept, keeps them, writes a line for each row of them, and
// every third row is also a reject. Row 0 has no answers, row 1 one, and so on.
func work(o *Output, rows int, a asked) error { return workOn(o, rows, a, new(int)) }

// moment is how long the model takes for a block.
var moment time.Duration

// workOn also says how many rows it was told are done.
func workOn(o *Output, rows int, a asked, done *int) error {
	var s summary
	from := 0
	if last := o.Last(); last != nil {
		from = last.Rows
		if err := json.Unmarshal(last.State, &s); err != nil {
			return err
		}
	}
	kept := o.Kept()
	for begin := from; begin < rows; begin += blockRows {
		end := min(begin+blockRows, rows)
		time.Sleep(moment)
		for row := begin; row < end; row++ {
			answers, err := ask(o, row, kept[row], a)
			if err != nil {
				return err
			}
			if err := o.Write(fmt.Appendf(nil, `{"row":%d,"answers":[%s]}`, row, strings.Join(answers, ","))); err != nil {
				return err
			}
			if row%3 == 1 {
				if err := o.WriteSide(0, fmt.Appendf(nil, `{"rejected":%d}`, row)); err != nil {
					return err
				}
			}
			s.Rows++
			s.Total += row
		}
		if err := o.EndBlock(end, s); err != nil {
			return err
		}
		*done = end
	}
	return nil
}

func ask(o *Output, row int, kept []json.RawMessage, a asked) ([]string, error) {
	var answers []string
	for _, k := range kept {
		answers = append(answers, string(k))
	}
	for n := len(kept); n < row%4; n++ {
		value := fmt.Sprintf("r%dn%d", row, n)
		a[row]++
		if err := o.Keep(row, value); err != nil {
			return nil, err
		}
		answers = append(answers, fmt.Sprintf("%q", value))
	}
	return answers, nil
}

// options are those of a small run. Its second side never has a line.
func options(path string) Options {
	return Options{
		Path:     path,
		Identity: []Fact{{Name: "model", Value: "tiny"}, {Name: "seed", Value: "1"}},
		Sides:    []string{".rejected.jsonl", ".answers.jsonl"},
	}
}

// finish ends a run as the caller does, with a manifest that does not tell of the
// folder.
func finish(o *Output) error {
	return o.Finish(func(files []File) ([]byte, error) {
		for i := range files {
			files[i].Path = filepath.Base(files[i].Path)
		}
		return json.Marshal(files)
	})
}

// run makes a whole output.
func run(sys filesystem.System, opts Options) error {
	o, err := open(sys, opts, 0)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := work(o, rowsAll, asked{}); err != nil {
		return err
	}
	return finish(o)
}

// contents are the files of a folder by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = string(text)
	}
	return all
}

// names are those of the files of a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestFinishMakesTheFiles(t *testing.T) {
	for _, ext := range []string{".jsonl", ".json.gz", ".jsonl.zst"} {
		t.Chdir(t.TempDir())
		path := "out" + ext
		o, err := Open(options(path))
		require.NoError(t, err)
		require.Nil(t, o.Last())
		require.Empty(t, o.Kept())
		require.Empty(t, o.Notes())
		require.NoError(t, work(o, rowsAll, asked{}))
		require.NoFileExists(t, path, "nothing under the final name before Finish")
		require.NoError(t, finish(o))
		require.NoError(t, o.Close())
		require.Equal(t, []string{path, path + ".manifest.json", path + ".rejected.jsonl"}, names(t, "."))
		require.Equal(t, "{\"rejected\":1}\n{\"rejected\":4}\n{\"rejected\":7}\n", contents(t, ".")[path+".rejected.jsonl"])
		require.ErrorIs(t, o.Write(nil), fs.ErrClosed)
	}
}
