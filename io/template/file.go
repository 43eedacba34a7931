package template

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ortscore/ortscore/io/regular"
)

// ReadFile reads a file with a template.
func ReadFile[T any](path string, parse func(text string) (T, error)) (T, error) {
	text, err := ReadText(path)
	if err != nil {
		var none T
		return none, err
	}
	t, err := parse(text)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return t, err
}

// ReadText reads a file that is one text, such as a template.
func ReadText(path string) (string, error) {
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
