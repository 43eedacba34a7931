package main

import (
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/openai"
)

// A command line that is written down gives every flag the value that it had, without the
// environment that set some of them.
func TestArguments(t *testing.T) {
	args := []string{"--onnx", "a model", "--devices=0,1", "--ep", "cuda", "--io-map", "input_ids=tokens,logits=output", "--in=a.jsonl", "--in", "b,c.jsonl",
		"--stop=\n", "--stop", ",", "--force", "--allow_leak=false", "--deadline=90s", "--top-p", "0.3", "--temperature=0.25", "--dataset-name=x,y",
		"--date=2026-01-02", "--seed=18446744073709551615", "-", "--", "--odd.jsonl"}
	t.Setenv("ORTSCORE_MAX_TOKENS", "77")
	t.Setenv("ORTSCORE_MODEL_NAME_OR_PATH", "not this")
	first, _ := rankCommand()
	require.NoError(t, parseFlags(first, args))
	line := arguments(first, first.Args(), openai.Key{})
	require.Contains(t, line, "--max-tokens=77")
	require.Equal(t, []string{"--", "-", "--odd.jsonl"}, line[len(line)-3:])

	t.Setenv("ORTSCORE_MAX_TOKENS", "78")
	second, _ := rankCommand()
	require.NoError(t, second.Parse(line))
	require.Equal(t, first.Args(), second.Args())
	first.VisitAll(func(f *pflag.Flag) {
		require.Equal(t, flagValues(f), flagValues(second.Lookup(f.Name)), f.Name)
	})
	require.Equal(t, line, arguments(second, second.Args(), openai.Key{}), "and it is written down the same")
}

func TestArgumentsHoldNoSecret(t *testing.T) {
	key, err := openai.ParseKey("sk-0123456789abcdef")
	require.NoError(t, err)
	fs, _ := rankCommand()
	require.NoError(t, parseFlags(fs, []string{"--base-url", "https://me:pw@host/v1?code=abcd&api-version=2024-10-21",
		"--model", "sk-0123456789abcdef", "--api-key-file=key.txt"}))
	require.Equal(t, []string{"--base-url=https://***@host/v1?api-version=2024-10-21&code=***", "--model=***", "--api-key-file=key.txt", "--", "x-***.jsonl"},
		arguments(fs, []string{"x-sk-0123456789abcdef.jsonl"}, key))
}
