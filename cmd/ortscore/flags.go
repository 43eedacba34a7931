package main

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// seedNames are the names that the flags have in FlagEmbedding's scripts.
var seedNames = map[string]string{
	"eval-data":           "in",
	"model-name-or-path":  "onnx",
	"lm-batch-size":       "batch-size",
	"lm-dtype":            "dtype",
	"generate-model-path": "onnx",
	"device":              "devices",
}

// newFlags makes a flag set in which underscores and dashes are the same and
// the seed names work.
func newFlags(name string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(name, pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		name = strings.ReplaceAll(name, "_", "-")
		if to, ok := seedNames[name]; ok {
			name = to
		}
		return pflag.NormalizedName(name)
	})
	return fs
}

// parseFlags parses the arguments, then takes from the environment what they
// leave unset: ORTSCORE_BATCH_TOKENS for --batch-tokens. A variable that is empty
// is as good as none. Variables are there for many commands, and only a flag that
// stands in the arguments is Changed: it is meant for this one.
func parseFlags(fs *pflag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return valueError("", err)
	}
	var firstErr error
	fs.VisitAll(func(f *pflag.Flag) {
		// ort reads ORTSCORE_ORT_LIB itself, so that its error can name it.
		name, value := fromEnvironment(f.Name)
		if value == "" || f.Changed || f.Name == "ort-lib" || firstErr != nil {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			firstErr = valueError(name, err)
		}
		f.Changed = false
	})
	return firstErr
}

// fromEnvironment returns the variable that sets a flag, under the flag's own
// name or its seed name, and its value.
func fromEnvironment(flag string) (name, value string) {
	name = envName(flag)
	if value = os.Getenv(name); value != "" {
		return name, value
	}
	for _, seed := range slices.Sorted(maps.Keys(seedNames)) {
		if seedNames[seed] == flag && os.Getenv(envName(seed)) != "" {
			return envName(seed), os.Getenv(envName(seed))
		}
	}
	return name, ""
}

func envName(flag string) string {
	return "ORTSCORE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// hinted is an error with a word on the way out.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

func withHint(err error, hint string) error { return &hinted{err, hint} }

// valueError says in this project's words that a flag's value is bad. source is
// where the value stood; "" for the flag itself.
func valueError(source string, err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	if source == "" {
		source = "--" + bad.GetFlag().Name
	}
	cause := errors.Unwrap(err)
	var number *strconv.NumError
	if errors.As(cause, &number) {
		want := "a whole number"
		if bad.GetFlag().Value.Type() == "bool" {
			want = "true or false"
		}
		cause = fmt.Errorf("want %s, got %q", want, bad.GetValue())
	}
	switch bad.GetFlag().Value.Type() {
	case "stringToString":
		cause = fmt.Errorf("want role=name, got %q", bad.GetValue())
	case "duration":
		cause = fmt.Errorf("want a time such as 90s or 2m, got %q", bad.GetValue())
	}
	return fmt.Errorf("%s: %w", source, cause)
}

// word is the value of a flag that takes one of a few words.
type word[T ~string] struct {
	to    *T
	parse func(string) (T, error)
}

func (w word[T]) String() string { return string(*w.to) }
func (w word[T]) Type() string   { return "string" }
func (w word[T]) Set(s string) error {
	v, err := w.parse(s)
	if err == nil {
		*w.to = v
	}
	return err
}

// oneOf parses one of the words in list.
func oneOf[T ~string](list ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		var names []string
		for _, v := range list {
			if string(v) == s {
				return v, nil
			}
			names = append(names, string(v))
		}
		last := len(names) - 1
		return "", fmt.Errorf("want %s or %s, got %q", strings.Join(names[:last], ", "), names[last], s)
	}
}

// atLeast is the value of a flag that takes a whole number from min up.
type atLeast struct {
	to  *int
	min int
}

func (n atLeast) String() string { return strconv.Itoa(*n.to) }
func (n atLeast) Type() string   { return "int" }
func (n atLeast) Set(s string) error {
	v, err := strconv.Atoi(s)
	if err != nil || v < n.min {
		return fmt.Errorf("want a whole number of at least %d, got %q", n.min, s)
	}
	*n.to = v
	return nil
}

// numbers is the value of a flag that takes whole numbers from 0 up, each once.
type numbers struct{ to *[]int }

func (n numbers) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(*n.to), " ", ","), "[]")
}
func (n numbers) Type() string { return "list" }
func (n numbers) Set(s string) error {
	var list []int
	for _, word := range strings.Split(s, ",") {
		v, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || v < 0 || slices.Contains(list, v) {
			return fmt.Errorf("want different whole numbers such as 0,1, got %q", s)
		}
		list = append(list, v)
	}
	*n.to = list
	return nil
}

// within is the value of a flag that takes a number from min to max.
type within struct {
	to       *float64
	min, max float64
}

func (n within) String() string { return strconv.FormatFloat(*n.to, 'g', -1, 64) }
func (n within) Type() string   { return "number" }
func (n within) Set(s string) error {
	v, err := strconv.ParseFloat(s, 64)
	if err == nil && v >= n.min && v <= n.max && !math.IsInf(v, 0) {
		*n.to = v
		return nil
	}
	switch {
	case math.IsInf(n.max, 1) && n.min == 0:
		return fmt.Errorf("want a number of at least 0, got %q", s)
	case math.IsInf(n.max, 1):
		return fmt.Errorf("want a number above 0, got %q", s)
	}
	return fmt.Errorf("want a number above 0, at most %v, got %q", n.max, s)
}

// date is the value of a flag that takes a day.
type date struct{ t time.Time }

// defaultDate is what chat templates see as today, so that a rerun gives the same
// prompt.
var defaultDate = date{time.Date(2024, 7, 26, 0, 0, 0, 0, time.UTC)}

func (d *date) String() string { return d.t.Format(time.DateOnly) }
func (d *date) Type() string   { return "day" }
func (d *date) Set(s string) error {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return fmt.Errorf("want a day such as 2024-07-26, got %q", s)
	}
	d.t = t
	return nil
}
