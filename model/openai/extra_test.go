package openai

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExtraGoesIntoEveryRequest(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { say(w, "ok") })
	opts := s.options()
	var err error
	opts.Extra, err = ParseExtra(` {"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": false},
		"seed": 9007199254740993, "temperature": null, "max_completion_tokens": 7} ` + "\n")
	require.NoError(t, err)
	require.Equal(t, 7, opts.Extra.MaxTokens())
	c, _ := newClient(t, opts)
	body, err := c.body("hi", form{})
	require.NoError(t, err)
	require.JSONEq(t, `{"model": "m", "messages": [{"role": "user", "content": "hi"}], "reasoning_effort": "low", "max_completion_tokens": 7,
		"chat_template_kwargs": {"enable_thinking": false}, "seed": 9007199254740993, "temperature": null}`, string(body))
	require.Contains(t, string(body), "9007199254740993", "no number is rounded")
	_, err = c.Complete(t.Context(), []string{"a", "b"}, nil)
	require.NoError(t, err)
	for _, r := range s.requests {
		require.Equal(t, "low", r["reasoning_effort"])
		require.NotContains(t, r, "max_tokens")
	}
}

func TestExtraIsAnObject(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "want a JSON object, got unexpected end of JSON input",
		" \n":                    "want a JSON object, got unexpected end of JSON input",
		"null":                   "want a JSON object, got other JSON",
		"[1]":                    "want a JSON object, got other JSON",
		`"seed"`:                 "want a JSON object, got other JSON",
		`{"seed": 1} {}`:         "want a JSON object, got invalid character '{' after top-level value",
		`{seed: 1}`:              "want a JSON object, got invalid character 's' looking for",
		`{"messages": []}`:       "messages: must not be set, since every request has its own",
		`{"a": 1, "model": "x"}`: "model: must not be set",
		`{"stream": true}`:       "stream: must not be set",
		`{"n": 2}`:               "n: must not be set",
	} {
		_, err := ParseExtra(text)
		require.ErrorContains(t, err, want, text)
	}
	for text, want := range map[string]int{`{}`: 0, `{"max_tokens": 5}`: 5, `{"max_tokens": "x", "max_completion_tokens": 6}`: 6, `{"max_tokens": -1}`: 0} {
		extra, err := ParseExtra(text)
		require.NoError(t, err)
		require.Equal(t, want, extra.MaxTokens(), text)
	}
}
