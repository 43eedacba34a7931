package openai

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func numbered(n int) []string {
	prompts := make([]string, n)
	for i := range prompts {
		prompts[i] = strconv.Itoa(i)
	}
	return prompts
}

func TestRepliesKeepThePromptsOrder(t *testing.T) {
	const n = 8
	var done [n + 1]chan struct{}
	for i := range done {
		done[i] = make(chan struct{})
	}
	close(done[n])
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, prompt string, _ int) {
		i, _ := strconv.Atoi(prompt)
		<-done[i+1] // the last prompt is answered first
		say(w, "answer "+prompt)
		close(done[i])
	})
	opts := s.options()
	opts.Parallel = n
	c, _ := newClient(t, opts)
	replies, err := c.Complete(t.Context(), numbered(n), nil)
	require.NoError(t, err)
	for i, r := range replies {
		require.NoError(t, r.Err)
		require.Equal(t, "answer "+strconv.Itoa(i), r.Text)
	}
}

func TestAsManyRequestsAsAskedForAreInFlight(t *testing.T) {
	const parallel, rounds = 5, 6
	var (
		flying, most atomic.Int64
		arrived      [rounds]atomic.Int64
		all          [rounds]chan struct{}
	)
	for i := range all {
		all[i] = make(chan struct{})
	}
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, n int) {
		if now := flying.Add(1); now > parallel {
			most.Store(now)
		}
		round := n / parallel
		if arrived[round].Add(1) == parallel {
			time.Sleep(20 * time.Millisecond) // one too many would come now
			close(all[round])
		}
		<-all[round] // fewer in flight would hang here
		flying.Add(-1)
		say(w, "ok")
	})
	opts := s.options()
	opts.Parallel = parallel
	c, _ := newClient(t, opts)
	for range 2 {
		_, err := c.Complete(t.Context(), numbered(rounds/2*parallel), nil)
		require.NoError(t, err)
	}
	require.Len(t, s.clients, parallel, "connections are kept")
	require.Zero(t, most.Load(), "more in flight than asked for")
}

func TestNoPromptsNoRequest(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { say(w, "ok") })
	c, _ := newClient(t, s.options())
	replies, err := c.Complete(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Empty(t, replies)
	require.Empty(t, s.requests)
}

func TestCancelLeavesNothingBehind(t *testing.T) {
	arrived := make(chan struct{}, 10)
	s := newServer(t, func(w http.ResponseWriter, r *http.Request, prompt string, _ int) {
		if prompt == "0" {
			say(w, "zero")
			return
		}
		arrived <- struct{}{}
		<-r.Context().Done() // hangs until the client leaves
	})
	opts := s.options()
	opts.Parallel = 4
	c, _ := newClient(t, opts)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for range opts.Parallel {
			<-arrived
		}
		cancel(context.DeadlineExceeded) // a cause of any kind is not the error
	}()
	replies, err := c.Complete(ctx, numbered(10), nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "zero", replies[0].Text, "what had come is returned")
	for _, r := range replies[1:] {
		require.ErrorIs(t, r.Err, context.Canceled)
	}
	require.Len(t, s.requests, 5, "nothing is asked after the end")
	settle(t)

	_, err = c.Complete(t.Context(), []string{"0"}, nil)
	require.NoError(t, err) // and its connection is kept
	_, err = c.Complete(ctx, []string{"0"}, nil)
	require.ErrorIs(t, err, context.Canceled)
	settle(t)
}

// settle waits until no goroutine is left in a client or in its connections.
func settle(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	left := ""
	for range 200 {
		left = string(stacks[:runtime.Stack(stacks, true)])
		if !strings.Contains(left, "openai.(*Client)") && !strings.Contains(left, "http.(*persistConn)") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("want no goroutine left, got\n%s", left)
}

func TestCancelEndsAWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		w.Header().Set("Retry-After", "300")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	c, _ := newClient(t, s.options())
	var asked time.Duration
	c.sleep = func(ctx context.Context, d time.Duration) {
		asked = d
		cancel()
		sleep(ctx, d) // the real one: it would outlast the test
	}
	_, err := c.Complete(ctx, []string{"a"}, nil)
	require.GreaterOrEqual(t, asked, 300*time.Second)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, s.requests, 1)
}

func TestAWaitLastsAsLongAsAsked(t *testing.T) {
	start := time.Now()
	sleep(t.Context(), 20*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(start), 20*time.Millisecond)
}

func TestARefusedKeyStopsAllAtOnce(t *testing.T) {
	arrived := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request, prompt string, _ int) {
		switch prompt {
		case "0":
			say(w, "zero")
		case "1":
			close(arrived)
			<-r.Context().Done() // in flight when the key is refused
		case "2":
			<-arrived
			refuse(w, http.StatusUnauthorized, "no such key")
		}
	})
	c, waits := newClient(t, s.options())
	replies, err := c.Complete(t.Context(), numbered(6), nil)
	var failed *Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, http.StatusUnauthorized, failed.Status)
	require.EqualError(t, err, s.URL+"/v1/chat/completions: want an answer, got 401 Unauthorized: no such key")
	require.Equal(t, "zero", replies[0].Text)
	for _, r := range replies[1:] {
		require.Equal(t, err, r.Err)
	}
	require.Len(t, s.requests, 3)
	require.Empty(t, waits.all)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		hits := 0
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			hits++
			say(w, "caught")
		}))
		s := newServer(t, func(w http.ResponseWriter, r *http.Request, _ string, _ int) {
			http.Redirect(w, r, other.URL+"/v1/chat/completions?token=hidden", status)
		})
		opts := s.options()
		opts.Key = mustKey(t, "sk-0123456789")
		c, _ := newClient(t, opts)
		_, err := c.Complete(t.Context(), []string{"private"}, nil)
		other.Close()
		require.ErrorContains(t, err, "redirected to "+other.URL+"/v1/chat/completions,")
		require.NotContains(t, err.Error(), "hidden")
		require.Zero(t, hits)
		require.Len(t, s.requests, 1)
	}
}

func TestMaxTokensIsRenamedOnceForAll(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, n int) {
		s := "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
		if n == 0 {
			refuse(w, http.StatusBadRequest, s)
			return
		}
		say(w, "ok")
	})
	opts := s.options()
	opts.Retries, opts.Parallel = 0, 1
	c, _ := newClient(t, opts)
	for range 2 {
		replies, err := c.Complete(t.Context(), []string{"a", "b"}, nil)
		require.NoError(t, err)
		require.Equal(t, "ok", replies[0].Text)
		require.Equal(t, "ok", replies[1].Text)
	}
	require.Len(t, s.requests, 5, "one request was refused, and it cost no retry")
	require.Contains(t, s.requests[0], "max_tokens")
	for _, r := range s.requests[1:] {
		require.NotContains(t, r, "max_tokens")
		require.EqualValues(t, 100, r["max_completion_tokens"])
	}
}

func TestMaxTokensRefusedByBothNamesIsAnError(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error": {"message": "too many", "param": "max_tokens", "code": "unsupported_parameter"}}`))
	})
	c, _ := newClient(t, s.options())
	_, err := c.Complete(t.Context(), []string{"a"}, nil)
	require.ErrorContains(t, err, "400 Bad Request: too many")
	require.Len(t, s.requests, 2)
}

// Whoever looks on sees each reply as it comes, and may end it all.
func TestEachReplyIsSeenAndMayEndIt(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, prompt string, _ int) {
		if prompt == "2" {
			refuse(w, http.StatusRequestEntityTooLarge, "too long")
			return
		}
		say(w, "answer "+prompt)
	})
	opts := s.options()
	opts.Parallel = 1
	c, _ := newClient(t, opts)
	seen := map[int]Reply{}
	replies, err := c.Complete(t.Context(), numbered(5), func(i int, r Reply) error { seen[i] = r; return nil })
	require.NoError(t, err)
	for i, r := range replies {
		require.Equal(t, r, seen[i])
	}

	enough := errors.New("enough")
	replies, err = c.Complete(t.Context(), numbered(9), func(i int, _ Reply) error {
		if i == 3 {
			return enough
		}
		return nil
	})
	require.Equal(t, enough, err)
	require.Equal(t, "answer 3", replies[3].Text)
	require.Equal(t, enough, replies[4].Err)
	require.Len(t, s.requests, 5+4, "nothing is asked after the end")

	s.answer = func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
		refuse(w, http.StatusUnauthorized, "no")
	}
	_, err = c.Complete(t.Context(), numbered(3), func(int, Reply) error { require.Fail(t, "it holds for every prompt"); return nil })
	require.ErrorContains(t, err, "401")
}

// What is in flight when an endpoint refuses a key or an empty account is waited for: it
// may be paid for.
func TestAnswersInFlightAtARefusalCount(t *testing.T) {
	arrived, refused := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, _ *http.Request, prompt string, _ int) {
		if prompt == "0" {
			close(arrived)
			<-refused
			time.Sleep(50 * time.Millisecond)
			say(w, "paid")
			return
		}
		<-arrived
		w.WriteHeader(http.StatusUnauthorized)
		close(refused)
	})
	opts := s.options()
	opts.Parallel = 2
	c, _ := newClient(t, opts)
	var came []string
	_, err := c.Complete(t.Context(), numbered(10), func(_ int, r Reply) error {
		came = append(came, r.Text)
		return nil
	})
	var failed *Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, http.StatusUnauthorized, failed.Status)
	require.Equal(t, []string{"paid"}, came)
	require.Len(t, s.requests, 2, "nothing is asked after the refusal")
}
