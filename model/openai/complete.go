package openai

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
)

// Reply is what became of one prompt: Err says why there is no answer.
type Reply struct {
	Text string

	// Finish is the endpoint's finish_reason, such as "stop", "length" or
	// "content_filter". Where there is no text and the endpoint gives no better
	// reason, it is "refusal", "no content" or "no choices".
	Finish string

	PromptTokens     int // as the endpoint counts; 0 where it does not say
	CompletionTokens int

	Err error // a *Error, or the context's error
}

// Truncated says whether the answer ended for want of tokens. "length" is OpenAI's
// word; servers that stand before other APIs hand theirs on: Mistral's model_length,
// Anthropic's max_tokens.
func (r Reply) Truncated() bool {
	switch strings.ToLower(r.Finish) {
	case "length", "model_length", "max_length", "max_tokens", "max_output_tokens":
		return true
	}
	return false
}

// broken are finish reasons of answers that something else cut off than their
// length.
var broken = regexp.MustCompile(`(?i)filter|error|abort|cancel|time_?out|safety|recitation|sensitive|block|prohibited|spii|refus|interrupt|incomplete|insufficient|fail|malformed|limit|overload|shed`)

// Broken says whether the answer was cut off by something else, such as a content
// filter, an error or an abort.
func (r Reply) Broken() bool { return !r.Truncated() && broken.MatchString(r.Finish) }

// Complete asks for an answer to each prompt and returns them in the order of
// the prompts. A prompt that fails by itself has Reply.Err set, and the others
// go on: one whose tries are used up, that does not fit the context, or that
// the endpoint refuses while it has answered others.
//
// The error is for what holds for every prompt: a *Error for a refused key, an
// unknown model, an empty account or a redirect, and, until the endpoint has
// answered a first prompt, for any request it refuses and for an address where
// nothing listens; or the context's error. Nothing more is asked then. What is in
// flight, and may be paid for, is waited for within its deadline, unless it is the
// context or each that has ended the call; the replies that came are returned with
// the error, and the rest have it as their Err.
//
// each, if not nil, is called with every reply as it comes and the place of its
// prompt, by one goroutine at a time; not with those that the error holds for.
// Its own error ends the call likewise.
func (c *Client) Complete(ctx context.Context, prompts []string, each func(i int, r Reply) error) ([]Reply, error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	asking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		replies = make([]Reply, len(prompts))
		next    atomic.Int64
		wg      sync.WaitGroup
		mu      sync.Mutex // of each
	)
	for range min(c.opts.Parallel, len(prompts)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(prompts); i = next.Add(1) - 1 {
				replies[i] = c.answer(ctx, asking, prompts[i])
				var failed *Error
				switch {
				case errors.As(replies[i].Err, &failed) && failed.scope == everyPrompt:
					stop(&ending{failed})
				case each != nil && (asking.Err() == nil || replies[i].Err == nil): // an answer counts, however late
					mu.Lock()
					err := each(int(i), replies[i])
					mu.Unlock()
					if err != nil {
						giveUp(&ending{err})
					}
				}
			}
		})
	}
	wg.Wait()
	if asking.Err() != nil {
		c.http.CloseIdleConnections()
		return replies, ended(asking)
	}
	return replies, nil
}

// ending is the cause for which a Complete ends itself.
type ending struct{ error }

// ended says why the context of a Complete has ended.
func ended(ctx context.Context) error {
	var own *ending
	if errors.As(context.Cause(ctx), &own) {
		return own.error
	}
	return ctx.Err()
}

// answer asks until there is an answer, no hope, or no try left; the last try is that
// within which asking ends.
func (c *Client) answer(ctx, asking context.Context, prompt string) Reply {
	for try := 1; ; try++ {
		if asking.Err() != nil {
			return Reply{Err: ended(asking)}
		}
		reply, failed := c.try(ctx, prompt)
		if failed == nil {
			c.answered.Store(true)
			if note := c.lengths.add(len(prompt), reply.PromptTokens); note != "" {
				c.note("%s", note)
			}
			return reply
		}
		if asking.Err() != nil {
			return Reply{Err: ended(asking)}
		}
		if failed.scope == thisTry && try <= c.opts.Retries {
			c.sleep(asking, pause(try, failed.retryAfter))
			continue
		}
		if failed.unreached && !c.answered.Load() {
			failed.scope = everyPrompt
		}
		failed.tries = try
		return Reply{Err: failed}
	}
}
