package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// seedNames are the names that the flags have in FlagEmbedding's scripts.
var seedNames = map[string]string{
	"eval-data":          "in",
	"model-name-or-path": "onnx",
	"lm-batch-size":      "batch-size",
	"lm-dtype":           "dtype",
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
// leave unset: ORTSCORE_BATCH_TOKENS for --batch-tokens.
func parseFlags(fs *pflag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	var firstErr error
	fs.VisitAll(func(f *pflag.Flag) {
		// ort reads ORTSCORE_ORT_LIB itself, so that its error can name it.
		value, ok := os.LookupEnv(envName(f.Name))
		if !ok || f.Changed || f.Name == "ort-lib" || firstErr != nil {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			firstErr = fmt.Errorf("%s: %w", envName(f.Name), err)
		}
	})
	return firstErr
}

func envName(flag string) string {
	return "ORTSCORE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// usagef makes an error of the command line.
func usagef(format string, args ...any) error { return fmt.Errorf(format, args...) }

// hinted is an error with a word on the way out.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

func withHint(err error, hint string) error { return &hinted{err, hint} }

// choice makes a flag's value of one of a package's own named types.
func choice[T ~string](flag, value string, parse func(string) (T, error)) (T, error) {
	v, err := parse(value)
	if err != nil {
		return v, fmt.Errorf("--%s: %w", flag, err)
	}
	return v, nil
}
