package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/io/manifest"
)

// outage is an endpoint that ranks passages by their grades, until it has given so many
// answers; then it fails, in one of the ways of endpoints.
type outage struct {
	way   string
	never *regexp.Regexp // requests that it cannot answer, if set

	mu       sync.Mutex
	left     int            // answers until it fails; -1 for ever
	answered map[string]int // by body
}

func (o *outage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	o.mu.Lock()
	well := o.left != 0
	if well {
		o.left--
		o.answered[prompt(body)]++
	}
	o.mu.Unlock()
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error": {"message": "no", "code": %q}}`, code)
	}
	switch {
	case well && o.never != nil && o.never.Match(body):
		refuse(http.StatusInternalServerError, "")
	case well:
		say(w, answer(body), 100)
	case o.way == "quota":
		refuse(http.StatusTooManyRequests, "insufficient_quota")
	case o.way == "key":
		refuse(http.StatusUnauthorized, "invalid_api_key")
	case o.way == "reset":
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	case o.way == "silence":
		<-r.Context().Done()
	}
}

// prompt is the text of a request.
func prompt(body []byte) string {
	var request struct{ Messages []struct{ Content string } }
	_ = json.Unmarshal(body, &request)
	return request.Messages[0].Content
}

// An endpoint goes away after some of 700 answers. The run ends with what was answered;
// once the endpoint is back, the same command asks for the others alone, and ends in what
// an undisturbed run writes. No row is rejected for it, wherever it was read.
func TestOutage(t *testing.T) {
	dir, o, run := startOutage(t)
	code, stderr := run("want.jsonl")
	require.Zero(t, code, stderr)
	want, err := os.ReadFile(filepath.Join(dir, "want.jsonl"))
	require.NoError(t, err)

	for _, way := range []string{"quota", "key", "reset", "silence"} {
		after := []int{600}
		if way == "reset" {
			after = []int{1, 500, 511, 512, 513, 600, 640, 660, 698, 699}
		}
		for _, n := range after {
			for _, parallel := range []string{"1", "8"} {
				t.Run(fmt.Sprintf("%s after %d, parallel %s", way, n, parallel), func(t *testing.T) {
					out := fmt.Sprintf("%s-%d-%s.jsonl", way, n, parallel)
					args := []string{"--parallel", parallel, "--retries", "0", "--deadline", "300ms"}
					if way != "silence" {
						args[5] = "1m"
					} else {
						args = append(args, "--max-failures", "10")
					}
					o.way, o.left, o.answered = way, n, map[string]int{}
					code, stderr := run(out, args...)
					require.Equal(t, map[bool]int{true: exitUsage, false: exitRetry}[way == "key"], code, stderr)
					require.Len(t, o.answered, n)

					o.left = -1
					code, stderr = run(out, args...)
					require.Zero(t, code, stderr)
					require.Len(t, o.answered, 700)
					for text, times := range o.answered {
						require.Equal(t, 1, times, "an answer is asked for once: %s", text)
					}
					got, err := os.ReadFile(filepath.Join(dir, out))
					require.NoError(t, err)
					require.Equal(t, string(want), string(got))
					require.NoFileExists(t, filepath.Join(dir, manifest.RejectedPath(out)))
				})
			}
		}
	}
}

// A prompt that the endpoint never answers is that row's fault, wherever it stands: the
// others are ranked, and it is not asked about for ever.
func TestPromptWithoutAnswer(t *testing.T) {
	dir, o, run := startOutage(t)
	for _, parallel := range []string{"1", "8"} {
		o.never, o.answered = regexp.MustCompile(`what is (0|255|511|640|699)\b`), map[string]int{}
		code, stderr := run(parallel+".jsonl", "--parallel", parallel, "--retries", "0")
		require.Equal(t, exitPartial, code, stderr)
		got, err := os.ReadFile(filepath.Join(dir, parallel+".jsonl"))
		require.NoError(t, err)
		require.Equal(t, 695, strings.Count(string(got), "\n"))
		for text, times := range o.answered {
			require.LessOrEqual(t, times, 2, text)
		}
	}
}

// startOutage starts an endpoint that is well. run runs the command on 700 lists.
func startOutage(t *testing.T) (dir string, o *outage, run func(out string, args ...string) (code int, stderr string)) {
	t.Helper()
	needNative(t)
	dir = t.TempDir()
	var lists strings.Builder
	for i := range 700 {
		fmt.Fprintf(&lists, `{"query": "what is %d", "pos": ["a river of grade %d"], "neg": ["bread of grade %d", "salt of grade 4"]}`+"\n", i, i%3+1, (i+1)%3+1)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in.jsonl"), []byte(lists.String()), 0o666))
	o = &outage{left: -1, answered: map[string]int{}}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	run = func(out string, args ...string) (int, string) {
		command, err := exeInPath("ortscore")
		require.NoError(t, err)
		cmd := exec.Command(command, append([]string{"rank", "--model-type", "gpt", "--model", "m", "--base-url", server.URL + "/v1", "--out", out, "in.jsonl"}, args...)...)
		cmd.Dir = dir
		stderr, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(stderr)
	}
	return dir, o, run
}
