// Package shard cuts the rows of an input into parts for several machines, and
// names the parts' files.
package shard

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/ortscore/ortscore/io/dataset"
)

// Most is the most shards of an input: a file name has five digits for them.
const Most = 99_999

// Shard is one of Of parts of an input, numbered from 0. The zero Shard is the
// whole input.
type Shard struct{ Index, Of int }

// Parse reads "i/n", shard i of n, with 0 <= i < n; or "auto/n", which takes i from
// the environment of an array of Slurm or an indexed job of Kubernetes. The note
// says where i was taken from; it is empty for "i/n".
func Parse(text string, getenv func(string) string) (s Shard, note string, err error) {
	index, of, _ := strings.Cut(text, "/")
	if s.Of, err = number(of); err != nil || s.Of < 1 || s.Of > Most {
		return Shard{}, "", fmt.Errorf("want i/n or auto/n, with n from 1 to %d, got %q", Most, text)
	}
	if index == "auto" {
		if s.Index, note, err = fromEnvironment(s.Of, getenv); err != nil {
			return Shard{}, "", err
		}
		return s, fmt.Sprintf("shard %s, from %s", s, note), nil
	}
	if s.Index, err = number(index); err != nil || s.Index >= s.Of {
		return Shard{}, "", fmt.Errorf("want i/n with i from 0 to n-1, got %q", text)
	}
	return s, "", nil
}

// number parses a whole number of digits alone.
func number(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err
}

// String is the shard as it is written in a flag, "3/64".
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Of) }

// Path is where the shard of an output lies: out.00003-of-00064.jsonl.gz for
// out.jsonl.gz. Without sharding it is the output itself.
func (s Shard) Path(out string) string {
	if s.Of == 0 {
		return out
	}
	return dataset.Infix(out, fmt.Sprintf(".%05d-of-%05d", s.Index, s.Of))
}

var infix = regexp.MustCompile(`\.(\d{5})-of-(\d{5})(\.[^/]*)$`)

// Split takes the path of a shard apart, as Path has made it; ok is false for
// another path.
func Split(path string) (out string, s Shard, ok bool) {
	dir, base := filepath.Split(path)
	at := infix.FindStringSubmatchIndex(base)
	if at == nil {
		return path, Shard{}, false
	}
	s.Index, _ = number(base[at[2]:at[3]])
	s.Of, _ = number(base[at[4]:at[5]])
	out = dir + base[:at[0]] + base[at[6]:]
	return out, s, s.Index < s.Of && s.Path(out) == path
}

// Rows returns the rows of the shard, from <= row < to, of so many in total. A shard
// is made of whole blocks of the input, the last of which may be short, so that
// what is computed together does not depend on the shards. The shards follow each
// other, and their numbers of blocks differ by one at most: where there are more
// shards than blocks, the last ones are empty.
func (s Shard) Rows(total, block int) (from, to int) {
	if s.Of == 0 {
		return 0, total
	}
	blocks := (total + block - 1) / block
	each, more := blocks/s.Of, blocks%s.Of
	first := s.Index*each + min(s.Index, more)
	last := first + each
	if s.Index < more {
		last++
	}
	return min(first*block, total), min(last*block, total)
}
