package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// maxAnswer bounds what is read of an answer: some hundred times what a long
// one has.
const maxAnswer = 16 << 20

type request struct {
	Model               string    `json:"model"`
	Messages            []message `json:"messages"`
	MaxTokens           int       `json:"max_tokens,omitempty"`
	MaxCompletionTokens int       `json:"max_completion_tokens,omitempty"`
	Temperature         float64   `json:"temperature"`
	TopP                float64   `json:"top_p,omitempty"`
	Stop                []string  `json:"stop,omitempty"`
	Seed                *int64    `json:"seed,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// body is the request for a prompt.
func (c *Client) body(prompt string, renamed bool) ([]byte, error) {
	r := request{
		Model:       c.opts.Model,
		Messages:    []message{{"user", prompt}},
		Temperature: c.opts.Temperature,
		TopP:        c.opts.TopP,
		Stop:        c.opts.Stop,
		Seed:        c.opts.Seed,
	}
	if renamed {
		r.MaxCompletionTokens = c.opts.MaxTokens
	} else {
		r.MaxTokens = c.opts.MaxTokens
	}
	return json.Marshal(r)
}

// try asks once; twice where the endpoint wants max_completion_tokens, which
// the client then remembers.
func (c *Client) try(ctx context.Context, prompt string) (Reply, *Error) {
	renamed := c.renamed.Load()
	body, err := c.body(prompt, renamed)
	if err != nil {
		return Reply{}, c.fail(thisPrompt, "want a request, got %v", err)
	}
	resp, failed := c.post(ctx, body)
	if failed != nil {
		return Reply{}, failed
	}
	if resp.status/100 == 2 {
		return c.read(resp)
	}
	said := readRefusal(resp.body)
	if !renamed && resp.status == http.StatusBadRequest && said.wantsNewName() {
		c.renamed.Store(true)
		return c.try(ctx, prompt)
	}
	return c.refused(resp.status, said, resp.header)
}

// response is an HTTP answer read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
}

// post sends one request and reads what comes back.
func (c *Client) post(ctx context.Context, body []byte) (*response, *Error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Deadline)
	defer cancel()
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	req, err := http.NewRequestWithContext(traced, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, c.fail(everyPrompt, "want a request, got %v", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if c.opts.Key.text != nil {
		req.Header.Set("Authorization", "Bearer "+*c.opts.Key.text)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		failed := c.broken(ctx, err)
		failed.unreached = !connected.Load()
		return nil, failed
	}
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if resp.StatusCode/100 == 2 {
		switch {
		case err != nil:
			return nil, c.broken(ctx, fmt.Errorf("%w after %d bytes of it", err, len(content)))
		case len(content) > maxAnswer:
			return nil, c.fail(thisTry, "want an answer of at most %d MiB, got more", maxAnswer>>20)
		}
	}
	// Otherwise the status says enough, however much came behind it.
	return &response{resp.StatusCode, resp.Header, content}, nil
}

// broken is the error of a connection that could not be made or broke.
func (c *Client) broken(ctx context.Context, err error) *Error {
	if ctx.Err() != nil {
		return c.fail(thisTry, "want an answer within %v, got none", c.opts.Deadline)
	}
	scope := thisTry
	if neverWorks(err) {
		scope = everyPrompt
	}
	if u, ok := err.(*url.Error); ok {
		err = u.Err // the address is in our error anyway
	}
	return c.fail(scope, "want an answer, got %v", err)
}
