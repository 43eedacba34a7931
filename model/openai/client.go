// Package openai asks an OpenAI-compatible endpoint for chat completions, many
// prompts at once: a hosted service, or a local server such as vLLM, llama.cpp
// or Ollama. It knows nothing of what the prompts say.
//
// The wire format is that of POST /v1/chat/completions in the OpenAI API
// reference; what other servers do differently is noted where it is handled.
package openai

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options say whom to ask and how. Every number is meant as it stands: there
// are no defaults here.
type Options struct {
	BaseURL string // what stands before /chat/completions, as http://127.0.0.1:8000/v1; a query stays behind it
	Model   string // the model's name at the endpoint
	Key     Key    // the zero Key where the endpoint wants none

	// Deadline bounds one try, from dialling to the answer's last byte, so that
	// a try that hangs leaves room for the next. A prompt takes at most
	// Retries+1 of these and Retries waits, each of six minutes or less.
	Deadline time.Duration
	Retries  int // tries after the first, 0 or more
	Parallel int // requests in flight within one Complete, 1 or more

	// MaxTokens bounds the tokens written, 1 or more. It is sent as max_tokens;
	// once the endpoint has refused that name, as max_completion_tokens.
	MaxTokens   int
	Temperature float64  // 0 or more; sent unless the endpoint refuses it
	TopP        float64  // in (0, 1]; 0 is not sent
	Stop        []string // not sent where empty
	Seed        *int64   // not sent where nil
	Extra       Extra    // goes into every request, in place of the above where it has the same field

	// OnNote, if set, is called with what a person should know of the answers, each
	// once, by one goroutine at a time.
	OnNote func(note string) `json:"-"`
}

// Client asks one endpoint. It is safe for concurrent use.
type Client struct {
	opts    Options
	address address
	secrets []Key // the key, and what may be one in the base URL
	http    *http.Client

	sleep func(context.Context, time.Duration) // tests do not wait

	answered atomic.Bool // the endpoint has answered a prompt
	renamed  atomic.Bool // the endpoint wants max_completion_tokens
	heated   atomic.Bool // the endpoint has answered a request with a temperature
	unheated atomic.Bool // the endpoint wants no temperature
	lengths  lengths
	noting   sync.Mutex
}

// New checks the options and returns a client. It does not reach out.
func New(opts Options) (*Client, error) {
	address, err := endpoint(opts.BaseURL, opts.Model, opts.Key)
	if err != nil {
		return nil, err
	}
	if err := opts.check(); err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns = opts.Parallel
	transport.MaxIdleConnsPerHost = opts.Parallel
	return &Client{
		opts:    opts,
		address: address,
		secrets: append(address.secrets, opts.Key),
		http: &http.Client{
			Transport: transport,
			// Neither the key nor the prompts go where nobody has sent them.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		sleep: sleep,
	}, nil
}

func (o Options) check() error {
	switch {
	case o.Model == "":
		return errors.New("model: want a name, got none")
	case o.Deadline <= 0:
		return fmt.Errorf("deadline: want more than 0, got %v", o.Deadline)
	case o.Retries < 0:
		return fmt.Errorf("retries: want 0 or more, got %d", o.Retries)
	case o.Parallel < 1:
		return fmt.Errorf("parallel requests: want 1 or more, got %d", o.Parallel)
	case o.MaxTokens < 1:
		return fmt.Errorf("max tokens: want 1 or more, got %d", o.MaxTokens)
	case !(o.Temperature >= 0) || math.IsInf(o.Temperature, 1):
		return fmt.Errorf("temperature: want 0 or more, got %v", o.Temperature)
	case !(o.TopP >= 0 && o.TopP <= 1):
		return fmt.Errorf("top p: want 0 to 1, got %v", o.TopP)
	case slices.Contains(o.Stop, ""):
		return errors.New("stop: want strings with something in them, got an empty one")
	}
	return nil
}
