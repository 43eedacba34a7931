package openai_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/openai"
)

func TestShowURL(t *testing.T) {
	for base, want := range map[string]string{
		"https://api.openai.com/v1":                       "https://api.openai.com/v1",
		"http://127.0.0.1:8000/v1/":                       "http://127.0.0.1:8000/v1/",
		"https://user:secret@host:8443/v1":                "https://***@host:8443/v1",
		"https://token@host/v1#frag":                      "https://***@host/v1",
		"https://host/v1?api-version=2024-10-21&code=abc": "https://host/v1?api-version=2024-10-21&code=***",
		"https://host/v1?a=1&a=22222":                     "https://host/v1?a=***&a=***",
		"https://host/k0123456789abcdef/v1":               "https://host/***/v1",
		"https://host/v1?%zz":                             "***",
		"user:secret@host":                                "***",
		"sk-0123456789abcdef":                             "***",
		"":                                                "***",
		"http://us er:secret@host":                        "***",
	} {
		require.Equal(t, want, openai.ShowURL(base), base)
	}
}
