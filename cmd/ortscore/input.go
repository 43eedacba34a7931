package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/regular"
)

// checkInput refuses what cannot be read twice, first to check it and then to
// score it.
func checkInput(path string) error {
	if path == dataset.Stdin {
		return nil
	}
	info, err := os.Stat(path)
	var bad *fs.PathError
	if errors.As(err, &bad) {
		return fmt.Errorf("%s: want a file, got %w", path, bad.Err)
	} else if err != nil {
		return err
	}
	if mode := info.Mode(); !mode.IsRegular() && !mode.IsDir() {
		return fmt.Errorf("%s: want a regular file, or - for standard input, got a pipe or device", path)
	}
	in, err := dataset.Open(path)
	if err != nil {
		return err
	}
	return in.Close()
}

// openInput opens a file, or standard input so that waiting for it ends with ctx.
func openInput(ctx context.Context, path string) (*dataset.Reader, error) {
	if path != dataset.Stdin {
		return dataset.Open(path)
	}
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, os.Stdin)
		w.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	return dataset.NewReader(path, r), nil
}

// checkUnchanged refuses what was read of a file where it is not what was read to
// check it.
func checkUnchanged(in *dataset.Reader, pair filePair, checked dataset.Content) error {
	if pair.in == dataset.Stdin {
		return nil
	}
	if err := in.Changed(checked); err != nil {
		return withHint(err, "start again once nothing writes to it")
	}
	return nil
}

// readText reads a file that is one text, such as a template.
func readText(path string) (string, error) {
	data, err := regular.Read(path, regular.Small)
	if err != nil {
		return "", err
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return "", fmt.Errorf("%s: want a text in UTF-8, got other bytes", path)
	}
	// An editor ends a file with a newline; the text does not.
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), nil
}
