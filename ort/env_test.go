package ort

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCleanError(t *testing.T) {
	for raw, want := range map[string]string{
		"Error running network: Non-zero status code.":                                                     "non-zero status code",
		"/src/bridge.cc:2043 Provider& Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load a.so: no b.so": "failed to load a.so: no b.so",
		"CUDA is not there\nat all":                                                                        "CUDA is not there at all",
		"":                                                                                                 "",
	} {
		require.EqualError(t, cleanError(errors.New(raw)), want)
	}
}
