package openai

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// cut sends the beginning of an answer and breaks the connection.
func cut(t *testing.T, w http.ResponseWriter, beginning string) {
	conn, buf, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = buf.WriteString(beginning)
	_ = buf.Flush()
	_ = conn.Close()
}

// passing are the failures after which the next try may do.
func passing(t *testing.T) map[string]func(http.ResponseWriter) {
	fails := map[string]func(http.ResponseWriter){
		"no answer at all": func(w http.ResponseWriter) { cut(t, w, "") },
		"not HTTP":         func(w http.ResponseWriter) { cut(t, w, "garbage\r\n\r\n") },
		"cut in the body": func(w http.ResponseWriter) {
			cut(t, w, "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"choices\": [{\"me")
		},
		"cut between parts": func(w http.ResponseWriter) {
			cut(t, w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"cho\r\n")
		},
		"no JSON":          func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>maintenance</html>")) },
		"half a JSON":      func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"choices": [{"message": {"content": "x"`)) },
		"other JSON":       func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"status": "ok"}`)) },
		"choices null":     func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"choices": null}`)) },
		"wrong types":      func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"choices": [{"message": {"content": 3}}]}`)) },
		"nothing":          func(http.ResponseWriter) {},
		"error behind 200": func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"error": {"code": 502, "message": "provider"}}`)) },
		"error in choice": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"choices": [{"error": {"code": 429, "message": "slow"}, "finish_reason": "error", "message": {"content": "ha"}}]}`))
		},
	}
	for _, status := range []int{408, 429, 500, 502, 503, 504, 520, 529} {
		fails[fmt.Sprint("status ", status)] = func(w http.ResponseWriter) { refuse(w, status, "try later") }
	}
	return fails
}

func TestPassingFailuresAreTriedAgain(t *testing.T) {
	for name, fail := range passing(t) {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, n int) {
			if n < 2 {
				fail(w)
				return
			}
			say(w, "at last")
		})
		c, waits := newClient(t, s.options())
		replies, err := c.Complete(t.Context(), []string{"a"}, nil)
		require.NoError(t, err, name)
		require.NoError(t, replies[0].Err, name)
		require.Equal(t, "at last", replies[0].Text, name)
		require.Len(t, waits.all, 2, name)
	}
}

func TestTriesUsedUpAreThatPromptsError(t *testing.T) {
	for name, fail := range passing(t) {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request, prompt string, _ int) {
			if prompt == "bad" {
				fail(w)
				return
			}
			say(w, "good")
		})
		opts := s.options()
		opts.Parallel = 1
		c, waits := newClient(t, opts)
		replies, err := c.Complete(t.Context(), []string{"bad", "good"}, nil)
		require.NoError(t, err, name)
		var failed *Error
		require.ErrorAs(t, replies[0].Err, &failed, name)
		require.ErrorContains(t, failed, s.URL+"/v1/chat/completions: want a", name)
		require.ErrorContains(t, failed, "(the last of 3 tries)", name)
		require.Equal(t, "good", replies[1].Text, name)
		require.Len(t, waits.all, 2, name)
		require.Len(t, s.requests, 4, name)
	}
}

func TestErrorsSayWhatCame(t *testing.T) {
	for want, fail := range map[string]string{
		"want an answer, got unexpected EOF after 17 bytes of it":      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 900\r\n\r\n{\"choices\": [{\"me",
		`want a chat completion, got "<html> down </html>"`:            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 22\r\n\r\n<html>\n\tdown\n\n\n</html>",
		`want a chat completion with choices, got "{}"`:                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
		"want an answer, got 503 Service Unavailable: loading":         "HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 20\r\n\r\n{\"error\": \"loading\"}",
		"want an answer, got 529: ???":                                 "HTTP/1.1 529 X\r\nConnection: close\r\nContent-Length: 3\r\n\r\n???",
		"want an answer, got 500 Internal Server Error (the":           "HTTP/1.1 500 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"want an answer, got 502 Bad Gateway: cut sho (the last of 3 ": "HTTP/1.1 502 X\r\nConnection: close\r\nContent-Length: 900\r\n\r\ncut sho",
	} {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { cut(t, w, fail) })
		c, _ := newClient(t, s.options())
		replies, err := c.Complete(t.Context(), []string{"a"}, nil)
		require.NoError(t, err)
		require.ErrorContains(t, replies[0].Err, want)
	}
}

func TestAHangEndsAtTheDeadline(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request, prompt string, n int) {
		switch {
		case prompt == "in the body":
			_, _ = w.Write([]byte(`{"choices": [`))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case n == 0 || prompt == "always":
			<-r.Context().Done()
		default:
			say(w, "second")
		}
	})
	opts := s.options()
	// Many tries, for a machine so busy that it misses the deadline too.
	opts.Retries, opts.Deadline = 10, 200*time.Millisecond
	c, _ := newClient(t, opts)
	replies, err := c.Complete(t.Context(), []string{"once"}, nil)
	require.NoError(t, err)
	require.Equal(t, "second", replies[0].Text)
	opts.Retries = 1
	c, _ = newClient(t, opts)
	replies, err = c.Complete(t.Context(), []string{"always", "in the body"}, nil)
	require.NoError(t, err)
	for _, r := range replies {
		require.EqualError(t, r.Err, s.URL+"/v1/chat/completions: want an answer within 200ms, got none (the last of 2 tries)")
	}
}

func TestNobodyListening(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { say(w, "ok") })
	c, waits := newClient(t, s.options())
	fresh, _ := newClient(t, s.options())
	_, err := c.Complete(t.Context(), []string{"a"}, nil)
	require.NoError(t, err)
	s.Close()

	replies, err := c.Complete(t.Context(), []string{"a", "b"}, nil)
	require.NoError(t, err, "an endpoint that went away fails the prompts")
	for _, r := range replies {
		require.ErrorContains(t, r.Err, "connection refused (the last of 3 tries)")
	}
	require.Len(t, waits.all, 4)

	replies, err = fresh.Complete(t.Context(), []string{"a", "b"}, nil)
	require.ErrorContains(t, err, "connection refused (the last of 3 tries)", "one that never was there ends the run")
	require.Equal(t, err, replies[0].Err)
	require.Equal(t, err, replies[1].Err)
}

func TestAMistakenAddressIsNotTriedAgain(t *testing.T) {
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	plain := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { say(w, "ok") })
	for base, want := range map[string]string{
		untrusted.URL: "certificate",
		strings.Replace(plain.URL, "http:", "https:", 1): "HTTP response to HTTPS client",
	} {
		opts := plain.options()
		opts.BaseURL = base
		c, waits := newClient(t, opts)
		_, err := c.Complete(t.Context(), []string{"a"}, nil)
		require.ErrorContains(t, err, want)
		require.Empty(t, waits.all)
	}
}

func TestAnAnswerIsReadUpToABound(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, prompt string, _ int) {
		size := maxAnswer
		if prompt == "over" {
			size++
		}
		_, _ = w.Write(bytes.Repeat([]byte("x"), size))
	})
	opts := s.options()
	opts.Retries = 0
	c, _ := newClient(t, opts)
	replies, err := c.Complete(t.Context(), []string{"at", "over"}, nil)
	require.NoError(t, err)
	require.ErrorContains(t, replies[0].Err, `want a chat completion, got "xxx`)
	require.ErrorContains(t, replies[1].Err, "want an answer of at most 16 MiB, got more")
}

func TestRetryAfterIsHonoured(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, n int) {
		if n == 0 {
			w.Header().Set("Retry-After", "17")
			refuse(w, http.StatusTooManyRequests, "slow down")
			return
		}
		say(w, "ok")
	})
	c, waits := newClient(t, s.options())
	replies, err := c.Complete(t.Context(), []string{"a"}, nil)
	require.NoError(t, err)
	require.Equal(t, "ok", replies[0].Text)
	require.Len(t, waits.all, 1)
	require.GreaterOrEqual(t, waits.all[0], 17*time.Second)
	require.Less(t, waits.all[0], 18*time.Second)
}

func TestRetryAfterIsRead(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "NaN": 0, "-Inf": 0, "0": 0, "30": 30 * time.Second, " 30 ": 30 * time.Second,
		"0.25": 250 * time.Millisecond, "300": 5 * time.Minute, "301": 5 * time.Minute, "86400": 5 * time.Minute,
		"1e300": 5 * time.Minute, "Inf": 5 * time.Minute, "99999999999999999999": 5 * time.Minute,
		"Wed, 21 Oct 2015 07:28:00 GMT": 0, "Wed, 21 Oct 2115 07:28:00 GMT": 5 * time.Minute,
	} {
		require.Equal(t, want, retryAfter(value), "%q", value)
	}
	got := retryAfter(time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat))
	require.Greater(t, got, time.Minute)
	require.LessOrEqual(t, got, 2*time.Minute)
}

func TestPausesDoubleUpToABoundAndVary(t *testing.T) {
	for try, bound := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second, 7: time.Minute, 8: time.Minute, 1000: time.Minute,
	} {
		low, high := bound, time.Duration(0)
		for range 1000 {
			d := pause(try, 0)
			low, high = min(low, d), max(high, d)
		}
		require.GreaterOrEqual(t, low, time.Duration(0))
		require.Less(t, low, bound/10, "try %d", try)
		require.Less(t, high, bound, "try %d", try)
		require.Greater(t, high, bound*9/10, "try %d", try)
		require.GreaterOrEqual(t, pause(try, time.Hour), time.Hour)
	}
}

func TestADeadConnectionIsUnreachedOnlyWithoutOne(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	defer func() { _ = l.Close() }()
	opts := Options{BaseURL: "http://" + l.Addr().String(), Model: "m", Deadline: time.Minute, Parallel: 1, MaxTokens: 1}
	c, _ := newClient(t, opts)
	replies, err := c.Complete(t.Context(), []string{"a"}, nil)
	require.NoError(t, err, "a server that hangs up may do so for this prompt")
	require.Error(t, replies[0].Err)
}
