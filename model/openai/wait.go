package openai

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	firstPause    = time.Second     // the longest wait after the first try; it doubles with each
	longestPause  = time.Minute     // and grows no further
	maxRetryAfter = 5 * time.Minute // the most that is waited because the endpoint says so
)

// pause is how long to wait after the given try, counted from 1: anything up to
// a bound that doubles ("full jitter", so that requests refused together do not
// come back together), after what the endpoint asked for.
func pause(try int, asked time.Duration) time.Duration {
	bound := longestPause
	if try < 7 {
		bound = min(bound, firstPause<<(try-1))
	}
	return asked + rand.N(bound)
}

// retryAfter reads a Retry-After header (RFC 9110, section 10.2.3): seconds,
// from some servers with a fraction, or a date. What it cannot read is 0.
func retryAfter(value string) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		if !(seconds > 0) {
			return 0
		}
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(time.Until(at), 0), maxRetryAfter)
}

// sleep waits, but not past the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
