package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// splitPath cuts a path before its extension, ".jsonl.gz" say, and names the
// compression: "", ".gz" or ".zst". ok is false where it is not one we read.
func splitPath(path string) (stem, ext, compression string, ok bool) {
	rest := path
	if e := filepath.Ext(path); e == ".gz" || e == ".zst" {
		compression = e
		rest = strings.TrimSuffix(path, e)
	}
	e := filepath.Ext(rest)
	if e != ".json" && e != ".jsonl" {
		return path, "", "", false
	}
	return strings.TrimSuffix(rest, e), e + compression, compression, true
}

// OutPath is the default path of the output for an input: beside it, with the kind
// of its scores and their name before the extension, "d/train.scored.NAME.jsonl.gz"
// for "d/train.jsonl.gz". It has no meaning for standard input.
func OutPath(in, kind, name string) string {
	stem, ext, _, _ := splitPath(in)
	return fmt.Sprintf("%s.%s.%s%s", stem, kind, name, ext)
}

// SameFile says whether two paths lead to the same file, by whatever links or
// spelling. Files that do not exist yet are the same if they would have the same
// name in the same folder. Standard input is no file.
func SameFile(a, b string) bool {
	if a == Stdin || b == Stdin {
		return false
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(infoA, infoB)
	}
	if errA == nil || errB == nil {
		return false
	}
	folderA, errA := os.Stat(filepath.Dir(a))
	folderB, errB := os.Stat(filepath.Dir(b))
	if errA != nil || errB != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	return filepath.Base(a) == filepath.Base(b) && os.SameFile(folderA, folderB)
}

// Infix puts text before the extension of a path: "d/train.TEXT.jsonl.gz" for
// "d/train.jsonl.gz" and ".TEXT". A path without an extension that we read gets it at
// its end.
func Infix(path, text string) string {
	stem, ext, _, _ := splitPath(path)
	return stem + text + ext
}
