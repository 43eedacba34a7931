package openai

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
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
		replies, err := c.Complete(t.Context(), []string{"a"}, nil)
		require.Equal(t, "Bearer "+secret, sent)
		require.Error(t, replies[0].Err, name)
		for _, err := range []error{err, replies[0].Err} {
			requireHidden(t, fmt.Sprintf("%v %+v %#v", err, err, err))
		}
		require.Contains(t, replies[0].Err.Error(), "***", name)
	}
}

// A key in the base URL's path or query, the same or another, with and without one
// in the header: neither our own address nor what the server says of it holds it.
func TestAKeyInTheBaseURLIsNotRepeated(t *testing.T) {
	for _, place := range []string{"/%s/v1", "/v1?key=%s", "/v1?api-version=1&token=%s", "/a/%s/b/v1"} {
		for _, key := range []Key{{}, mustKey(t, secret), mustKey(t, "another-0123456789")} {
			for name, answer := range map[string]func(http.ResponseWriter, *http.Request){
				"address": func(w http.ResponseWriter, r *http.Request) { refuse(w, 404, "no route "+r.RequestURI) },
				"decoded": func(w http.ResponseWriter, r *http.Request) {
					refuse(w, 404, "no route "+r.URL.Path+"?"+fmt.Sprint(r.URL.Query()))
				},
				"redirect": func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, "http://h"+r.RequestURI, http.StatusTemporaryRedirect)
				},
				"silence": func(w http.ResponseWriter, _ *http.Request) { cut(t, w, "") },
			} {
				s := newServer(t, nil)
				s.answer = func(w http.ResponseWriter, r *http.Request, _ string, _ int) { answer(w, r) }
				opts := s.options()
				opts.BaseURL, opts.Key, opts.Retries = s.URL+fmt.Sprintf(place, url.PathEscape(secret)), key, 0
				if strings.Contains(place, "=") {
					opts.BaseURL = s.URL + fmt.Sprintf(place, url.QueryEscape(secret))
				}
				c, _ := newClient(t, opts)
				replies, err := c.Complete(t.Context(), []string{"a"}, nil)
				require.Error(t, replies[0].Err, name)
				for _, err := range []error{err, replies[0].Err} {
					text := fmt.Sprintf("%v %+v %#v", err, err, err)
					requireHidden(t, text)
					require.NotContains(t, text, url.PathEscape(secret)[:12], "%s %s", place, name)
					require.NotContains(t, text, url.QueryEscape(secret)[:12], "%s %s", place, name)
				}
				require.Contains(t, replies[0].Err.Error(), "***")
			}
		}
	}
	u, err := endpoint("http://h/deployments/gpt-4o-mini-2024-07-18/v1/m-0123456789abcdef", "m-0123456789abcdef", Key{})
	require.NoError(t, err)
	require.Equal(t, u.url, u.shown, "the name of a model or a deployment is no key")
}

func TestTheKeyIsNotRepeatedAsAFinishReason(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		_, _ = fmt.Fprintf(w, `{"choices": [{"message": {}, "finish_reason": %q}]}`, secret)
	})
	opts := s.options()
	opts.Key = mustKey(t, secret)
	c, _ := newClient(t, opts)
	replies, err := c.Complete(t.Context(), []string{"a"}, nil)
	require.NoError(t, err)
	require.Equal(t, "***", replies[0].Finish)
}

func TestHideLeavesTheRest(t *testing.T) {
	long, short := mustKey(t, "sk-0123456789"), mustKey(t, "none")
	for _, c := range []struct {
		key        Key
		text, want string
	}{
		{Key{}, "anything at all", "anything at all"},
		{long, "", ""},
		{long, "no key in here, but sk-0123 and 456789", "no key in here, but sk-0123 and 456789"},
		{long, "<sk-0123456789>", "<***>"},
		{long, "sk-0123456789sk-0123456789", "***"},
		{long, "sk-0123456x 3456789", "***x 3456789"},
		{long, "2345678", "2345678"},
		{long, "é23456789é", "é***é"},
		{long, "SK-0123456789", "***"},
		{long, "100% of \\x and &c; \\", "100% of \\x and &c; \\"},
		{short, "there is none", "there is ***"},
		{short, "non nonesuch none2 None.", "non nonesuch none2 ***."},
	} {
		require.Equal(t, c.want, hide([]Key{c.key}, c.text))
	}
}

// However a server or a gateway spells the key, it is found.
func TestHideFindsEverySpelling(t *testing.T) {
	quoted := func(s string) string {
		text, err := json.Marshal(s)
		require.NoError(t, err)
		return string(text)
	}
	everyByte := func(format string) func(string) string {
		return func(s string) string {
			var b strings.Builder
			for i := range len(s) {
				fmt.Fprintf(&b, format, s[i])
			}
			return b.String()
		}
	}
	spellings := map[string]func(string) string{
		"as it is": func(s string) string { return s }, "query": url.QueryEscape, "path": url.PathEscape, "HTML": html.EscapeString, "JSON": quoted, "Go": strconv.Quote,
		"slashes": func(s string) string { return strings.ReplaceAll(s, "/", `\/`) }, "lower case": strings.ToLower,
		"all of it in hex": everyByte("%%%02x"), "in HEX": everyByte("%%%02X"), "by numbers": everyByte("&#%d;"), "by hex numbers": everyByte("&#x%X;"), "by u": everyByte(`\u%04x`), "by x": everyByte(`\x%02x`),
	}
	for first, spell := range spellings {
		for second, again := range spellings {
			got := hide([]Key{mustKey(t, secret)}, "before "+again("x"+spell(secret)+"y")+" after")
			for _, look := range []func(string) string{spell, func(s string) string { return again(spell(s)) }} {
				require.NotContains(t, got, look(secret[3:11]), "%s, %s: %s", first, second, got)
			}
			require.Contains(t, got, blank, "%s, %s", first, second)
			require.True(t, strings.HasPrefix(got, "before ") && strings.HasSuffix(got, " after"), got)
		}
	}
	// A key that looks as if it were escaped is none the less itself.
	for _, text := range []string{"sk%2F%41bcdefgh", "sk&amp;bcdefgh"} {
		require.Equal(t, "<***>", hide([]Key{mustKey(t, text)}, "<"+text+">"))
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
