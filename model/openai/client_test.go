package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server answers chat completions with a function and keeps what it was sent.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []map[string]any
	headers  []http.Header
	clients  map[string]bool // addresses that connections came from
}

// newServer starts a server. answer gets the prompt and the request's number,
// counted from 0.
func newServer(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, prompt string, n int)) *server {
	t.Helper()
	s := &server{clients: map[string]bool{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Read to the end: only then does the server notice that a client leaves.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var sent map[string]any
		if r.Method != http.MethodPost || r.URL.Path != "/v1/chat/completions" || json.Unmarshal(body, &sent) != nil {
			http.Error(w, "want POST /v1/chat/completions with JSON", http.StatusTeapot)
			return
		}
		s.mu.Lock()
		n := len(s.requests)
		s.requests = append(s.requests, sent)
		s.headers = append(s.headers, r.Header)
		s.clients[r.RemoteAddr] = true
		s.mu.Unlock()
		messages := sent["messages"].([]any)
		answer(w, r, messages[0].(map[string]any)["content"].(string), n)
	}))
	t.Cleanup(s.Close)
	return s
}

// say writes a completion as OpenAI does.
func say(w http.ResponseWriter, text string) {
	content, _ := json.Marshal(text)
	_, _ = fmt.Fprintf(w, `{"id": "1", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": %s}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}`, content)
}

// refuse writes an error as OpenAI does.
func refuse(w http.ResponseWriter, status int, message string) {
	text, _ := json.Marshal(message)
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error": {"message": %s, "type": "some_error", "param": null, "code": null}}`, text)
}

func (s *server) options() Options {
	return Options{BaseURL: s.URL + "/v1", Model: "m", Deadline: time.Minute, Retries: 2, Parallel: 2, MaxTokens: 100}
}

// newClient returns a client that does not wait between tries, and the waits
// it would have made.
func newClient(t *testing.T, opts Options) (*Client, *waits) {
	t.Helper()
	c, err := New(opts)
	require.NoError(t, err)
	t.Cleanup(c.http.CloseIdleConnections)
	var w waits
	c.sleep = w.add
	return c, &w
}

type waits struct {
	mu  sync.Mutex
	all []time.Duration
}

func (w *waits) add(_ context.Context, d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, d)
}

func mustKey(t *testing.T, text string) Key {
	t.Helper()
	key, err := ParseKey(text)
	require.NoError(t, err)
	return key
}

func TestRequestHoldsWhatIsSetAndNoMore(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { say(w, "ok") })
	c, _ := newClient(t, s.options())
	replies, err := c.Complete(t.Context(), []string{"hello \"<&>\" \u2028 \x00 [3]"})
	require.NoError(t, err)
	require.Equal(t, []Reply{{Text: "ok", Finish: "stop", PromptTokens: 7, CompletionTokens: 3}}, replies)
	message := map[string]any{"role": "user", "content": "hello \"<&>\" \u2028 \x00 [3]"}
	require.Equal(t, map[string]any{
		"model": "m", "messages": []any{message}, "temperature": 0.0, "max_tokens": 100.0,
	}, s.requests[0])
	require.NotContains(t, s.headers[0], "Authorization", "no key, no header")
	require.Equal(t, "application/json", s.headers[0].Get("Content-Type"))

	opts, seed := s.options(), int64(0)
	opts.Temperature, opts.TopP, opts.Stop, opts.Seed = 0.2, 0.9, []string{"\n\n"}, &seed
	opts.Key = mustKey(t, "sk-0123456789")
	c, _ = newClient(t, opts)
	_, err = c.Complete(t.Context(), []string{"hi"})
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"model": "m", "messages": []any{map[string]any{"role": "user", "content": "hi"}}, "max_tokens": 100.0,
		"temperature": 0.2, "top_p": 0.9, "stop": []any{"\n\n"}, "seed": 0.0,
	}, s.requests[1])
	require.Equal(t, "Bearer sk-0123456789", s.headers[1].Get("Authorization"))
}

func TestBaseURL(t *testing.T) {
	for base, want := range map[string]string{
		"http://127.0.0.1:8000":             "http://127.0.0.1:8000/chat/completions",
		"http://127.0.0.1:8000/v1":          "http://127.0.0.1:8000/v1/chat/completions",
		"https://api.example.com/v1/":       "https://api.example.com/v1/chat/completions",
		"https://h/openai/deployments/a%2F": "https://h/openai/deployments/a%2F/chat/completions",
		"http://[::1]:8000/v1":              "http://[::1]:8000/v1/chat/completions",
	} {
		got, err := endpoint(base)
		require.NoError(t, err, base)
		require.Equal(t, want, got)
	}
	for _, base := range []string{
		"", "localhost:8000", "localhost:8000/v1", "127.0.0.1:8000", "/v1", "ftp://h/v1", "http://", "http://:8000/v1",
		"http://h\n/v1", "http://h:port/v1", "http://h/v1/chat/completions", "http://h/v1/chat/completions/",
	} {
		_, err := endpoint(base)
		require.ErrorContains(t, err, fmt.Sprintf("got %q", base))
	}
	for _, base := range []string{"http://user:hidden@h/v1", "http://h/v1?key=hidden", "http://h/v1#hidden", "ht tp://u:hidden@h"} {
		_, err := endpoint(base)
		require.ErrorContains(t, err, "want one without")
		require.NotContains(t, err.Error(), "hidden")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, spoil := range map[string]func(*Options){
		"base URL: want":    func(o *Options) { o.BaseURL = "h" },
		"model: want":       func(o *Options) { o.Model = "" },
		"deadline: want":    func(o *Options) { o.Deadline = 0 },
		"retries: want":     func(o *Options) { o.Retries = -1 },
		"parallel requests": func(o *Options) { o.Parallel = 0 },
		"max tokens: want":  func(o *Options) { o.MaxTokens = 0 },
		"got -1":            func(o *Options) { o.Temperature = -1 },
		"got NaN":           func(o *Options) { o.Temperature = math.NaN() },
		"got +Inf":          func(o *Options) { o.Temperature = math.Inf(1) },
		"top p: want":       func(o *Options) { o.TopP = 1.5 },
		"to 1, got NaN":     func(o *Options) { o.TopP = math.NaN() },
		"stop: want":        func(o *Options) { o.Stop = []string{"x", ""} },
	} {
		opts := Options{BaseURL: "http://h", Model: "m", Deadline: 1, Parallel: 1, MaxTokens: 1}
		_, err := New(opts)
		require.NoError(t, err)
		spoil(&opts)
		_, err = New(opts)
		require.ErrorContains(t, err, want)
	}
}
