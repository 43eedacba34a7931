package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
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
	queries  []string
	clients  map[string]bool // addresses that connections came from
	answer   func(w http.ResponseWriter, r *http.Request, prompt string, n int)
}

// newServer starts a server. answer gets the prompt and the request's number,
// counted from 0.
func newServer(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, prompt string, n int)) *server {
	t.Helper()
	s := &server{clients: map[string]bool{}, answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Read to the end: only then does the server notice that a client leaves.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var sent map[string]any
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/v1/chat/completions") || json.Unmarshal(body, &sent) != nil {
			http.Error(w, "want POST /v1/chat/completions with JSON", http.StatusTeapot)
			return
		}
		s.mu.Lock()
		n := len(s.requests)
		s.requests = append(s.requests, sent)
		s.headers = append(s.headers, r.Header)
		s.queries = append(s.queries, r.URL.RawQuery)
		s.clients[r.RemoteAddr] = true
		s.mu.Unlock()
		messages := sent["messages"].([]any)
		s.answer(w, r, messages[0].(map[string]any)["content"].(string), n)
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
	replies, err := c.Complete(t.Context(), []string{"hello \"<&>\" \u2028 \x00 [3]"}, nil)
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
	_, err = c.Complete(t.Context(), []string{"hi"}, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"model": "m", "messages": []any{map[string]any{"role": "user", "content": "hi"}}, "max_tokens": 100.0,
		"temperature": 0.2, "top_p": 0.9, "stop": []any{"\n\n"}, "seed": 0.0,
	}, s.requests[1])
	require.Equal(t, "Bearer sk-0123456789", s.headers[1].Get("Authorization"))
}

func TestBaseURL(t *testing.T) {
	for base, want := range map[string]string{
		"http://127.0.0.1:8000":                            "http://127.0.0.1:8000/chat/completions",
		"http://127.0.0.1:8000/v1":                         "http://127.0.0.1:8000/v1/chat/completions",
		"https://api.example.com/v1/":                      "https://api.example.com/v1/chat/completions",
		"https://h/openai/deployments/a%2F":                "https://h/openai/deployments/a%2F/chat/completions",
		"http://[::1]:8000/v1":                             "http://[::1]:8000/v1/chat/completions",
		"https://h/models/claude@2":                        "https://h/models/claude@2/chat/completions",
		"https://h/deployments/d?api-version=2024-10-21":   "https://h/deployments/d/chat/completions?api-version=2024-10-21",
		"https://h/v1/?b=2&a=1&b=%20":                      "https://h/v1/chat/completions?b=2&a=1&b=%20",
		"https://h/v1?":                                    "https://h/v1/chat/completions",
		"https://h/v1?key=x/../y":                          "https://h/v1/chat/completions?key=x/../y",
		"https://h/0123456789abcdef0123456789abcdef/v1?t=": "https://h/0123456789abcdef0123456789abcdef/v1/chat/completions?t=",
	} {
		got, err := endpoint(base, "m", Key{})
		require.NoError(t, err, base)
		require.Equal(t, want, got.url)
	}
	for _, base := range []string{
		"", "localhost:8000", "localhost:8000/v1", "127.0.0.1:8000", "/v1", "ftp://h/v1", "http://", "http://:8000/v1",
		"http://h\n/v1", "http://h:port/v1", "http://h/v1/chat/completions", "http://h/v1/chat/completions/",
	} {
		_, err := endpoint(base, "m", Key{})
		require.ErrorContains(t, err, fmt.Sprintf("got %q", base))
	}
	for base, want := range map[string]string{
		"http://user:hidden@h/v1":                        "must not contain a user or a password",
		"http://hidden@h/v1":                             "must not contain a user or a password",
		"ht tp://u:hidden@h":                             "must not contain a user or a password",
		"http://h/v1#hidden":                             "must not contain #",
		"http://h/v1?a=b#hidden":                         "must not contain #",
		"http://h/v1?key=hidden;%zz":                     "want name=value after ?",
		"localhost:8000?key=hidden":                      `got "localhost:8000"`,
		"localhost:8000/sk-hidden-0123456789/v1":         `got "localhost:8000/***/v1"`,
		"http://h/sk-hidden-0123456789/chat/completions": `got "http://h/***/chat/completions"`,
	} {
		_, err := endpoint(base, "m", Key{})
		require.ErrorContains(t, err, want, base)
		require.NotContains(t, err.Error(), "hidden", base)
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

// Azure wants a version in the query, and the key in a header of its own.
func TestAQueryGoesAlong(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { say(w, "ok") })
	for query, azure := range map[string]string{"?api-version=2024-10-21": "sk-0123456789", "?tier=1&a=%2F": "", "": ""} {
		opts := s.options()
		opts.BaseURL, opts.Key = s.URL+"/openai/v1"+query, mustKey(t, "sk-0123456789")
		c, _ := newClient(t, opts)
		_, err := c.Complete(t.Context(), []string{"a"}, nil)
		require.NoError(t, err)
		last := len(s.requests) - 1
		require.Equal(t, strings.TrimPrefix(query, "?"), s.queries[last])
		require.Equal(t, azure, s.headers[last].Get("api-key"))
		require.Equal(t, "Bearer sk-0123456789", s.headers[last].Get("Authorization"))
	}
}
