package manifest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/ortscore/ortscore/io/regular"
)

// readers is how many files are hashed at once: more would only make a disk seek.
const readers = 4

// HashAll is Hash for several files at once.
func HashAll(ctx context.Context, files []File, cache Cache) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i := range files {
		group.Go(func() error { return files[i].Hash(ctx, cache) })
	}
	return group.Wait()
}

// Hash fills in the bytes and the sum of a file, from the cache where they are known, and
// makes its path absolute.
func (f *File) Hash(ctx context.Context, cache Cache) (err error) {
	if f.Path, err = filepath.Abs(f.Path); err != nil {
		return err
	}
	f.Bytes, f.SHA256, err = cache.Hash(ctx, f.Path)
	return err
}

// Hash reads the regular file at path and returns its size and sha256. It ends with
// ctx.
func Hash(ctx context.Context, path string) (bytes int64, sum string, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	return hash(ctx, f)
}

func hash(ctx context.Context, f *os.File) (bytes int64, sum string, err error) {
	h := sha256.New()
	bytes, err = stream(ctx, h, f)
	return bytes, hex.EncodeToString(h.Sum(nil)), err
}

// stream copies until the end, and ends with ctx.
func stream(ctx context.Context, to io.Writer, from io.Reader) (bytes int64, err error) {
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return bytes, err
		}
		n, err := from.Read(buf)
		bytes += int64(n)
		if _, bad := to.Write(buf[:n]); bad != nil {
			return bytes, bad
		}
		if err == io.EOF {
			return bytes, nil
		}
		if err != nil {
			return bytes, err
		}
	}
}
