package manifest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An output that appears while shards are joined stays, and no file beside it tells of
// another.
func TestMergeBesideAnother(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.jsonl")
	m := &merging{out: out, joined: &Manifest{}}
	for _, path := range []string{out + RejectedSuffix, out + AnswersSuffix, out} {
		_, err := m.create(path)
		require.NoError(t, err)
	}
	require.NoError(t, m.addManifest())
	for _, path := range []string{out + RejectedSuffix, out + AnswersSuffix, out} {
		require.NoError(t, os.WriteFile(path, []byte("another"), 0o666))
	}
	require.ErrorIs(t, m.commit(), fs.ErrExist)
	m.abort()
	found, err := os.ReadDir(filepath.Dir(out))
	require.NoError(t, err)
	require.Len(t, found, 3)
	for _, f := range found {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(out), f.Name()))
		require.NoError(t, err)
		require.Equal(t, "another", string(text), f.Name())
	}
}

// Wherever a merge is cut while its files get their names, the same again ends in the same
// files; a merge of other shards does not replace them.
func TestMergeCutWhileNaming(t *testing.T) {
	for named := range 4 {
		out := filepath.Join(t.TempDir(), "out.jsonl")
		begin := func(sum string) (*merging, error) {
			joined := &Manifest{Command: "nll", Shards: []Part{{SHA256: sum}}, Output: Written{SHA256: strings.Repeat("0", 64)}}
			m := &merging{out: out, goesOn: wasCut(out, joined), joined: joined}
			if err := m.checkOut(); err != nil {
				return nil, err
			}
			for _, path := range []string{out + RejectedSuffix, out + AnswersSuffix, out} {
				f, err := m.create(path)
				require.NoError(t, err)
				_, err = f.Write([]byte(sum))
				require.NoError(t, err)
			}
			return m, m.addManifest()
		}
		m, err := begin("one")
		require.NoError(t, err)
		for _, f := range m.files[:named] {
			require.NoError(t, f.Commit())
		}
		m.abort()

		if named > 0 {
			_, err = begin("other")
			require.ErrorIs(t, err, fs.ErrExist, "%d files named", named)
		}
		m, err = begin("one")
		require.NoError(t, err, "%d files named", named)
		require.NoError(t, m.commit())
		for _, path := range []string{out + RejectedSuffix, out + AnswersSuffix, out} {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, "one", string(text))
		}
		_, err = begin("one")
		require.ErrorIs(t, err, fs.ErrExist)
	}
}
