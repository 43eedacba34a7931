package openai

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// coldRefusals are how endpoints refuse a temperature.
var coldRefusals = []struct {
	status int
	body   string
}{
	{400, `{"error": {"message": "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.", "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"}}`},
	{400, `{"error": {"message": "Unsupported parameter: 'temperature' is not supported with this model.", "type": "invalid_request_error", "param": "temperature", "code": "unsupported_parameter"}}`},
	{400, `{"error": {"message": "odd", "param": "temperature", "code": "unsupported_parameter"}}`},
	{400, `{"error": {"message": "invalid temperature: only 1 is allowed for this model", "type": "invalid_request_error"}}`},
	{400, `{"error": {"message": "litellm.UnsupportedParamsError: m does not support Temperature=0.0", "type": null, "param": null, "code": "400"}}`},
	{422, `{"detail": [{"loc": ["body", "temperature"], "msg": "Input should be greater than 0"}]}`},
	{200, `{"error": {"message": "temperature: not supported", "code": 400}}`},
	{400, `{"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "{\"error\": {\"message\": \"Unsupported value\", \"param\": \"temperature\"}}", "provider_name": "OpenAI"}}}`},
}

func TestTemperatureIsLeftOutWhereItIsRefused(t *testing.T) {
	for _, r := range coldRefusals {
		s := newServer(t, nil)
		s.answer = func(w http.ResponseWriter, _ *http.Request, _ string, n int) {
			if _, sent := s.requests[n]["temperature"]; sent {
				w.WriteHeader(r.status)
				_, _ = w.Write([]byte(r.body))
				return
			}
			say(w, "ok")
		}
		opts := s.options()
		opts.Retries, opts.Parallel = 0, 1
		var notes []string
		opts.OnNote = func(note string) { notes = append(notes, note) }
		c, _ := newClient(t, opts)
		for range 2 {
			replies, err := c.Complete(t.Context(), []string{"a", "b"}, nil)
			require.NoError(t, err, r.body)
			require.Equal(t, []string{"ok", "ok"}, []string{replies[0].Text, replies[1].Text})
		}
		require.Len(t, s.requests, 5, "one request was refused, and it cost no retry")
		require.Equal(t, []string{"the endpoint refuses temperature 0: it is asked without one, and may rank otherwise in another run"}, notes)
	}
}

// What refuses max_tokens too, as OpenAI's reasoning models do, and with requests
// that are all refused at once.
func TestTemperatureAndMaxTokensAreRefused(t *testing.T) {
	var mu sync.Mutex
	arrived := 0
	all := make(chan struct{})
	s := newServer(t, nil)
	s.answer = func(w http.ResponseWriter, _ *http.Request, _ string, n int) {
		mu.Lock()
		if arrived++; arrived == 4 {
			close(all)
		}
		mu.Unlock()
		<-all
		s.mu.Lock()
		sent := s.requests[n]
		s.mu.Unlock()
		switch {
		case sent["max_tokens"] != nil:
			refuse(w, 400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
		case sent["temperature"] != nil:
			refuse(w, 400, "Unsupported value: 'temperature' does not support 0 with this model.")
		default:
			say(w, "ok")
		}
	}
	opts := s.options()
	opts.Retries, opts.Parallel = 0, 4
	notes := 0
	opts.OnNote = func(string) { mu.Lock(); defer mu.Unlock(); notes++ }
	c, _ := newClient(t, opts)
	replies, err := c.Complete(t.Context(), numbered(20), nil)
	require.NoError(t, err)
	for _, r := range replies {
		require.NoError(t, r.Err)
	}
	require.Equal(t, 1, notes)
}

// A refusal that stays without the temperature is not about it.
func TestTemperatureIsNotLeftOutForAnotherReason(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, prompt string, _ int) {
		if strings.Contains(prompt, "temperature") {
			refuse(w, 400, "cannot read: "+prompt)
			return
		}
		say(w, "ok")
	})
	opts := s.options()
	opts.Parallel = 1
	opts.OnNote = func(note string) { require.Fail(t, note) }
	c, _ := newClient(t, opts)
	_, err := c.Complete(t.Context(), []string{"the temperature of the sun"}, nil)
	require.ErrorContains(t, err, "cannot read: the temperature")
	require.Len(t, s.requests, 2)
	replies, err := c.Complete(t.Context(), []string{"fine", "the temperature of the sun"}, nil)
	require.NoError(t, err)
	require.ErrorContains(t, replies[1].Err, "cannot read: the temperature")
	require.Len(t, s.requests, 4, "once one with a temperature is answered there is no doubt")
	require.Contains(t, s.requests[3], "temperature")
}

// One that Extra sets is the user's: the endpoint's refusal is the answer.
func TestTemperatureOfExtraStays(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		refuse(w, 400, "no temperature, please")
	})
	opts := s.options()
	var err error
	opts.Extra, err = ParseExtra(`{"temperature": 3}`)
	require.NoError(t, err)
	c, _ := newClient(t, opts)
	_, err = c.Complete(t.Context(), []string{"a"}, nil)
	require.ErrorContains(t, err, "no temperature, please")
	require.Len(t, s.requests, 1)
}
