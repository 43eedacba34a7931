package manifest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ortscore/ortscore/io/atomicfile"
	"github.com/ortscore/ortscore/io/regular"
)

// Cache is a folder that keeps the sums of large files, so that a run that is started
// again need not read a model of 140 GB first. "" is none. What cannot be read or
// written there costs time and is no error.
//
// A sum holds for as long as the file has its path, size, inode and both times. Every
// write, and every rename over it, sets the time of its last change (ctime), which no
// program can set back; only damage to the disk goes unseen. Therefore ortscore verify
// takes no sum from here.
type Cache string

// UserCache is the cache of this user, none where the system names no folder.
func UserCache() Cache {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return Cache(filepath.Join(dir, "ortscore", "sha256"))
}

// The least size of a file whose sum is kept: smaller ones are read in no time. A
// file that changed so shortly before it was read might change again within one tick
// of the file system's clock.
const (
	cachedSize = 64 << 20
	settled    = 2 * time.Second
)

// entry is what is kept of a file. All but the sum must still hold.
type entry struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	Inode uint64 `json:"inode"`
	MTime int64  `json:"mtime"` // nanoseconds
	CTime int64  `json:"ctime"`

	SHA256 string `json:"sha256"`
}

// Hash returns the size and sha256 of the regular file at path, from the cache where
// they are known. It ends with ctx.
func (c Cache) Hash(ctx context.Context, path string) (bytes int64, sum string, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	before, err := look(path, f)
	if err != nil {
		return 0, "", err
	}
	if c == "" || before.Bytes < cachedSize {
		return hash(ctx, f)
	}
	if known := c.load(before.Path); known.SHA256 != "" && known.describes(before) {
		return before.Bytes, known.SHA256, nil
	}
	start := time.Now()
	if bytes, sum, err = hash(ctx, f); err != nil {
		return 0, "", err
	}
	after, err := look(path, f)
	if err == nil && after == before && start.Sub(time.Unix(0, max(before.MTime, before.CTime))) > settled {
		after.SHA256 = sum
		c.store(after)
	}
	return bytes, sum, nil
}

// look returns what is known of an open file without reading it.
func look(path string, f *os.File) (entry, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return entry{}, fmt.Errorf("%s: %w", path, err)
	}
	path, err := filepath.Abs(path)
	return entry{Path: path, Bytes: stat.Size, Inode: stat.Ino, MTime: stat.Mtim.Nano(), CTime: stat.Ctim.Nano()}, err
}

// describes says whether what is kept is of this file.
func (e entry) describes(now entry) bool {
	e.SHA256 = ""
	return e == now
}

func (c Cache) file(path string) string {
	return filepath.Join(string(c), fmt.Sprintf("%x.json", sha256.Sum256([]byte(path))))
}

func (c Cache) load(path string) (e entry) {
	data, err := regular.Read(c.file(path), regular.Small)
	if err != nil || json.Unmarshal(data, &e) != nil || !hexSum.MatchString(e.SHA256) {
		return entry{}
	}
	return e
}

func (c Cache) store(e entry) {
	data, err := json.Marshal(e)
	if err != nil || os.MkdirAll(string(c), 0o700) != nil {
		return
	}
	f, err := atomicfile.Create(c.file(e.Path), true)
	if err != nil {
		return
	}
	defer f.Abort()
	if _, err := f.Write(data); err == nil {
		_ = f.Commit()
	}
}
