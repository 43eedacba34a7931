package dataset

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Folders returns the names of the folders in the folder at path that hold a file of
// this name, in order.
func Folders(path, file string) ([]string, error) {
	found, err := os.ReadDir(path)
	var bad *fs.PathError
	if errors.As(err, &bad) {
		return nil, fmt.Errorf("%s: want a folder, got %w", path, bad.Err)
	} else if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range found {
		if _, err := os.Stat(filepath.Join(path, entry.Name(), file)); err == nil {
			names = append(names, entry.Name())
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: want folders with a %s, got none", path, file)
	}
	return names, nil
}
