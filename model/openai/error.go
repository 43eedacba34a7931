package openai

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
)

// Error says why there is no answer, on one line and without the key.
type Error struct {
	Status int // the HTTP status; 0 where none came

	url        string
	message    string
	tries      int
	scope      scope
	unwanted   form // what the endpoint does not want in a request
	unreached  bool // no connection was made
	temporary  bool
	retryAfter time.Duration
}

func (e *Error) Error() string {
	text := e.url + ": " + e.message
	if e.tries > 1 {
		text += fmt.Sprintf(" (the last of %d tries)", e.tries)
	}
	return text
}

// Temporary says whether the same request may be answered another day: the endpoint
// was not reached, was busy or broken, or the account is empty.
func (e *Error) Temporary() bool { return e.temporary }

// scope is what an error holds for.
type scope int

const (
	thisTry     scope = iota // the next may do
	thisPrompt               // no other try will do
	everyPrompt              // no other prompt will do either
)

// fail makes an error. No text from outside reaches one but through here.
func (c *Client) fail(scope scope, format string, args ...any) *Error {
	message := c.tidy([]byte(fmt.Sprintf(format, args...)))
	return &Error{url: c.address.shown, scope: scope, temporary: scope == thisTry, message: message}
}

// refused makes the error for an answer of another status than 200; a prompt
// that was filtered is an answer.
func (c *Client) refused(status int, said refusal, header http.Header) (Reply, *Error) {
	if said.filtered() {
		return Reply{Finish: "content_filter"}, nil
	}
	got := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	if to := header.Get("Location"); status/100 == 3 && to != "" {
		// What stands behind the path may hold a token.
		to, _, _ = strings.Cut(to, "?")
		said.message = "redirected to " + to + ", and a base URL is taken as it is"
	}
	if said.message != "" {
		got += ": " + said.message
	}
	failed := c.fail(c.judge(status, said), "want an answer, got %s", got)
	failed.Status = status
	failed.temporary = failed.temporary || said.broke(status)
	failed.unwanted = c.unwanted(status, said)
	failed.retryAfter = retryAfter(header.Get("Retry-After"))
	return Reply{}, failed
}

// judge says what a refusal holds for. Where nothing tells, a request is taken
// to be at fault in every prompt until one has been answered, and the prompt
// alone from then on: days into a run one odd passage does not end it, nor does
// a firewall's 403 for what one says.
func (c *Client) judge(status int, said refusal) scope {
	switch {
	case said.tooLong(status):
		return thisPrompt
	case said.broke(status):
		return everyPrompt // sent with 429 by most, but no wait will help
	case status == http.StatusRequestTimeout || status == http.StatusTooManyRequests || status >= 500:
		return thisTry
	}
	switch status {
	case http.StatusUnauthorized, http.StatusNotFound:
		return everyPrompt
	}
	if status < 400 || !c.answered.Load() {
		return everyPrompt
	}
	return thisPrompt
}

// neverWorks reports errors in how the address is meant, not in the network.
func neverWorks(err error) bool {
	var untrusted *tls.CertificateVerificationError
	return errors.As(err, &untrusted) || errors.Is(err, http.ErrSchemeMismatch)
}

// The longest message in an error, in characters, and as much of what came as
// is looked at for one, in bytes.
const (
	maxMessage = 200
	maxLooked  = 64 << 10
)

// tidy makes a message of what came: without the key, on one line, without
// what a terminal would obey, and cut short.
func (c *Client) tidy(text []byte) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, c.Hide(string(text[:min(len(text), maxLooked)])))
	runes := []rune(strings.Join(strings.Fields(clean), " "))
	if len(runes) > maxMessage {
		return string(runes[:maxMessage]) + "..."
	}
	return string(runes)
}

// Hide blanks the key in a text, and whatever else may be a key in the base URL,
// as answers may repeat it. A text of more than 64 KiB is cut.
func (c *Client) Hide(text string) string {
	return hide(c.secrets, text[:min(len(text), maxLooked)])
}
