package openai

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// secret holds no eight characters in a row that JSON leaves as they are.
const secret = "sk<Tt/9+&vQ2<x&7_Lm>Zr4&bN8"

// requireHidden fails if text holds the key or a longer part of it.
func requireHidden(t *testing.T, text string) {
	t.Helper()
	for i := range len(secret) - recognisable + 1 {
		require.NotContains(t, text, secret[i:i+recognisable])
	}
}

func TestKeysAreCutToSize(t *testing.T) {
	for _, text := range []string{secret, secret + "\n", secret + "\r\n", "  " + secret + "\t\n\n"} {
		require.Equal(t, secret, *mustKey(t, text).text)
	}
	for _, text := range []string{"", "\n", " \t\r\n "} {
		require.Equal(t, Key{}, mustKey(t, text))
	}
}

func TestWhatCannotBeAKeyIsRefusedWithoutShowingIt(t *testing.T) {
	half := len(secret) / 2
	for _, inside := range []string{"\n", "\r\n", "\x00", "\x7f", "\x1b", " ", "\t", `"`, `\`, "é", "\u2028", "\xff"} {
		text := secret[:half] + inside + secret[half:]
		key, err := ParseKey(text)
		require.ErrorContains(t, err, fmt.Sprintf("another character at byte %d of %d", half, len(text)), "%q", inside)
		require.Equal(t, Key{}, key)
		requireHidden(t, err.Error())
	}
}

func TestNoVerbPrintsTheKey(t *testing.T) {
	opts := Options{BaseURL: "http://h", Model: "m", Key: mustKey(t, secret), Deadline: 1, Parallel: 1, MaxTokens: 1}
	c, err := New(opts)
	require.NoError(t, err)
	inside := struct{ opts Options }{opts}
	for _, v := range []any{opts, &opts, opts.Key, &opts.Key, inside, &inside, c, reflect.ValueOf(c).Elem(), []Options{opts}, map[Key]int{opts.Key: 1}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			text := fmt.Sprintf(verb, v)
			requireHidden(t, text)
			require.NotContains(t, strings.ToLower(text), fmt.Sprintf("%x", secret))
		}
	}
	text, err := json.Marshal(opts)
	require.NoError(t, err)
	requireHidden(t, string(text))
}

// TestTheKeyIsNotRepeatedAfterTheServer has servers that put the authorization
// header wherever they can.
func TestTheKeyIsNotRepeatedAfterTheServer(t *testing.T) {
	escaped := strings.NewReplacer("/", `\/`, "+", `\u002b`, "<", `\u003c`, "&", `\u0026`)
	for name, answer := range map[string]func(http.ResponseWriter, string){
		"error message": func(w http.ResponseWriter, auth string) { refuse(w, 401, "bad header: "+auth) },
		"plain body":    func(w http.ResponseWriter, auth string) { http.Error(w, auth, 400) },
		"escaped message": func(w http.ResponseWriter, auth string) {
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"error": {"message": "` + escaped.Replace(auth) + `"}}`))
		},
		"unknown JSON": func(w http.ResponseWriter, auth string) {
			w.WriteHeader(400)
			_, _ = w.Write([]byte(`{"headers": [{"authorization": "` + escaped.Replace(auth) + `"}]}`))
		},
		"at the cut":    func(w http.ResponseWriter, auth string) { refuse(w, 400, strings.Repeat("x", maxMessage-60)+auth) },
		"its beginning": func(w http.ResponseWriter, auth string) { refuse(w, 401, "wrong: "+auth[:len(auth)-8]+"********") },
		"its end":       func(w http.ResponseWriter, auth string) { refuse(w, 401, "wrong: ****"+auth[len(auth)-9:]) },
		"broken answer": func(w http.ResponseWriter, auth string) { _, _ = w.Write([]byte(auth)) },
		"error in 200":  func(w http.ResponseWriter, auth string) { _, _ = w.Write([]byte(`{"error": "` + auth + `"}`)) },
		"redirect": func(w http.ResponseWriter, auth string) {
			w.Header().Set("Location", "http://h/"+auth[7:])
			w.WriteHeader(307)
		},
		"not HTTP":   func(w http.ResponseWriter, auth string) { cut(t, w, auth+"\r\n\r\n") },
		"bad header": func(w http.ResponseWriter, auth string) { cut(t, w, "HTTP/1.1 200 OK\r\n"+auth[7:]+"\r\n\r\n") },
		"content length": func(w http.ResponseWriter, auth string) {
			cut(t, w, "HTTP/1.1 200 OK\r\nContent-Length: "+auth[7:]+"\r\n\r\n")
		},
	} {
		sent := ""
		s := newServer(t, func(w http.ResponseWriter, r *http.Request, _ string, _ int) {
			sent = r.Header.Get("Authorization")
			answer(w, sent)
		})
		opts := s.options()
		opts.Key, opts.Retries = mustKey(t, secret+"\n"), 0
		c, _ := newClient(t, opts)
		replies, err := c.Complete(t.Context(), []string{"a"})
		require.Equal(t, "Bearer "+secret, sent)
		require.Error(t, replies[0].Err, name)
		for _, err := range []error{err, replies[0].Err} {
			requireHidden(t, fmt.Sprintf("%v %+v %#v", err, err, err))
		}
		require.Contains(t, replies[0].Err.Error(), "***", name)
	}
}

func TestTheKeyIsNotRepeatedAsAFinishReason(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		_, _ = fmt.Fprintf(w, `{"choices": [{"message": {}, "finish_reason": %q}]}`, secret)
	})
	opts := s.options()
	opts.Key = mustKey(t, secret)
	c, _ := newClient(t, opts)
	replies, err := c.Complete(t.Context(), []string{"a"})
	require.NoError(t, err)
	require.Equal(t, "***", replies[0].Finish)
}

func TestRedactLeavesTheRest(t *testing.T) {
	long, short := mustKey(t, "sk-0123456789"), mustKey(t, "none")
	for _, c := range []struct {
		key        Key
		text, want string
	}{
		{Key{}, "anything at all", "anything at all"},
		{long, "", ""},
		{long, "no key in here, but sk-0123 and 456789", "no key in here, but sk-0123 and 456789"},
		{long, "<sk-0123456789>", "<***>"},
		{long, "sk-0123456789sk-0123456789", "******"},
		{long, "sk-0123456x 3456789", "***x 3456789"},
		{long, "2345678", "2345678"},
		{long, "é23456789é", "é***é"},
		{short, "there is none", "there is ***"},
		{short, "non", "non"},
	} {
		require.Equal(t, c.want, c.key.redact(c.text))
	}
}

func FuzzNoAnswerShowsTheKeyOrBreaksTheLine(f *testing.F) {
	f.Add(200, []byte(`{"choices": [{"message": {"content": "a"}, "finish_reason": "KEY"}]}`), "")
	f.Add(200, []byte(`{"error": {"code": 429, "message": "KEY"}}`), "3")
	f.Add(200, []byte(`{"choices": [{"message": {"content": [{"type": "text", "text": 3}]}}]}`), "")
	f.Add(307, []byte("KEY"), "http://h/KEY?KEY")
	for _, r := range refusals {
		f.Add(r.status, []byte(r.body), "Wed, 21 Oct 2015 07:28:00 GMT")
	}
	key, err := ParseKey(secret)
	require.NoError(f, err)
	c, err := New(Options{BaseURL: "http://h", Model: "m", Key: key, Deadline: 1, Parallel: 1, MaxTokens: 1})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, status int, body []byte, header string) {
		body = []byte(strings.ReplaceAll(string(body), "KEY", secret))
		header = strings.ReplaceAll(header, "KEY", secret)
		resp := &response{status, http.Header{"Location": {header}, "Retry-After": {header}}, body}
		reply, failed := c.read(resp)
		if status/100 != 2 {
			reply, failed = c.refused(status, readRefusal(body), resp.header)
		}
		requireOneLine(t, reply.Finish)
		if failed == nil {
			return
		}
		requireOneLine(t, failed.Error())
		require.GreaterOrEqual(t, failed.retryAfter, time.Duration(0))
		require.LessOrEqual(t, failed.retryAfter, maxRetryAfter)
	})
}

func requireOneLine(t *testing.T, text string) {
	t.Helper()
	requireHidden(t, text)
	require.NotContains(t, text, "\n")
	require.True(t, utf8.ValidString(text))
	require.LessOrEqual(t, utf8.RuneCountInString(text), maxMessage+50)
}
