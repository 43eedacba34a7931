package main

import (
	"strings"

	"github.com/spf13/pflag"

	"github.com/ortscore/ortscore/model/openai"
)

// arguments writes a command line for a manifest: all flags that are set, be it by the
// arguments or by the environment, and the inputs behind "--". It holds no secret: where
// a flag is an address, what may be a key in it is blanked, and the key is wherever it
// stands.
func arguments(fs *pflag.FlagSet, inputs []string, key openai.Key) []string {
	var args []string
	fs.VisitAll(func(f *pflag.Flag) {
		// ort reads ORTSCORE_ORT_LIB itself, which is a thing of the machine.
		if _, value := fromEnvironment(f.Name); !f.Changed && (value == "" || f.Name == "ort-lib") {
			return
		}
		for _, value := range flagValues(f) {
			if f.Name == "base-url" {
				value = openai.ShowURL(value)
			}
			args = append(args, "--"+f.Name+"="+key.Hide(value))
		}
	})
	args = append(args, "--")
	for _, in := range inputs {
		args = append(args, key.Hide(in))
	}
	return args
}

// flagValues are the texts that give a flag its value, one after another.
func flagValues(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	if f.Value.Type() == "stringToString" {
		return []string{strings.Trim(f.Value.String(), "[]")}
	}
	return []string{f.Value.String()}
}
