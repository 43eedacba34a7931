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
	Temperature         *float64  `json:"temperature,omitempty"`
	TopP                float64   `json:"top_p,omitempty"`
	Stop                []string  `json:"stop,omitempty"`
	Seed                *int64    `json:"seed,omitempty"`
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// form is how a request differs from that of the OpenAI API reference.
type form struct {
	renamed  bool // max_tokens is called max_completion_tokens
	unheated bool // there is no temperature
}

// body is the request for a prompt.
func (c *Client) body(prompt string, f form) ([]byte, error) {
	r := request{
		Model:       c.opts.Model,
		Messages:    []message{{"user", prompt}},
		MaxTokens:   c.opts.MaxTokens,
		Temperature: &c.opts.Temperature,
		TopP:        c.opts.TopP,
		Stop:        c.opts.Stop,
		Seed:        c.opts.Seed,
	}
	if f.renamed {
		r.MaxTokens, r.MaxCompletionTokens = 0, r.MaxTokens
	}
	if f.unheated {
		r.Temperature = nil
	}
	if c.opts.Extra.limits() {
		r.MaxTokens, r.MaxCompletionTokens = 0, 0
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return c.opts.Extra.merge(body)
}

// try asks once, and anew without what the endpoint says it does not want, which
// the client then remembers.
func (c *Client) try(ctx context.Context, prompt string) (Reply, *Error) {
	sent := form{c.renamed.Load(), c.unheated.Load()}
	for {
		body, err := c.body(prompt, sent)
		if err != nil {
			return Reply{}, c.fail(thisPrompt, "want a request, got %v", err)
		}
		reply, failed := c.ask(ctx, body)
		if failed == nil {
			c.accepted(sent)
			return reply, nil
		}
		next := form{sent.renamed || failed.unwanted.renamed, sent.unheated || failed.unwanted.unheated}
		if next == sent {
			return Reply{}, failed
		}
		sent = next
	}
}

// ask sends one request and reads its answer.
func (c *Client) ask(ctx context.Context, body []byte) (Reply, *Error) {
	resp, failed := c.post(ctx, body)
	if failed != nil {
		return Reply{}, failed
	}
	if resp.status/100 == 2 {
		return c.read(resp)
	}
	return c.refused(resp.status, readRefusal(resp.body), resp.header)
}

// accepted remembers the form of a request that was answered.
func (c *Client) accepted(sent form) {
	if sent.renamed {
		c.renamed.Store(true)
	}
	if !sent.unheated {
		c.heated.Store(true)
	} else if c.unheated.CompareAndSwap(false, true) {
		c.note("the endpoint refuses temperature %v: it is asked without one, and may rank otherwise in another run", c.opts.Temperature)
	}
}

func (c *Client) note(format string, args ...any) {
	c.noting.Lock()
	defer c.noting.Unlock()
	if c.opts.OnNote != nil {
		c.opts.OnNote(fmt.Sprintf(format, args...))
	}
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
	req, err := http.NewRequestWithContext(traced, http.MethodPost, c.address.url, bytes.NewReader(body))
	if err != nil {
		return nil, c.fail(everyPrompt, "want a request, got %v", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if c.opts.Key.text != nil {
		req.Header.Set("Authorization", "Bearer "+*c.opts.Key.text)
		if c.address.azure {
			req.Header.Set("api-key", *c.opts.Key.text)
		}
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
