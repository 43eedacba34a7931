package openai

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRepliesAreRead(t *testing.T) {
	for body, want := range map[string]Reply{
		`{"choices": [{"message": {"content": "a"}, "finish_reason": "length"}]}`:                                                      {Text: "a", Finish: "length"},
		`{"choices": [{"message": {"content": "a"}, "finish_reason": null}], "usage": null}`:                                           {Text: "a"},
		`{"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}, {"message": {}}]}`:                                       {Text: "a", Finish: "stop"},
		`{"choices": [{"message": {"content": "a"}}], "error": null, "usage": {"prompt_tokens": 9}}`:                                   {Text: "a", PromptTokens: 9},
		`{"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]}`:                                                         {Finish: "stop"},
		`{"choices": [{"index": 1, "message": {"content": "b"}}, {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}`: {Text: "a", Finish: "stop"},
		`{"choices": [{"index": 1, "message": {"content": "b"}}]}`:                                                                     {Text: "b"},
		`{"choices": []}`: {Finish: "no choices"},
		`{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 12.0, "completion_tokens": 3.4e0, "cost": 0.1}}`: {Text: "a", PromptTokens: 12, CompletionTokens: 3},
		`{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": 11.6, "completion_tokens": null}}`:               {Text: "a", PromptTokens: 12},
		`{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": -1, "completion_tokens": 1e300}}`:                {Text: "a"},
		`{"choices": [{"message": {"content": "a"}}], "usage": {"prompt_tokens": "12", "completion_tokens": [1]}}`:                {Text: "a"},
		`{"choices": [{"message": {"content": "a"}}], "usage": []}`:                                                               {Text: "a"},
		`{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}`:                                                  {Finish: "no content"},
		`{"choices": [{"message": {}}]}`:                                                                 {Finish: "no content"},
		`{"choices": [{"message": null}]}`:                                                               {Finish: "no content"},
		`{"choices": [{"message": {"content": null}, "finish_reason": "content_filter"}]}`:               {Finish: "content_filter"},
		`{"choices": [{"message": {"content": null}, "finish_reason": "tool_calls"}]}`:                   {Finish: "tool_calls"},
		`{"choices": [{"message": {"content": null, "refusal": "I can't"}, "finish_reason": "stop"}]}`:   {Finish: "refusal"},
		`{"choices": [{"message": {"content": "[1] > [0]", "refusal": null}, "finish_reason": "stop"}]}`: {Text: "[1] > [0]", Finish: "stop"},
		`{"choices": [{"message": {"content": "a"}, "finish_reason": "st\u001b[31mop\n"}]}`:              {Text: "a", Finish: "st [31mop"},
		`{"choices": [{"message": {"content": [{"type": "thinking", "thinking": [{"text": "hm"}]}, {"type": "text", "text": "[1]"}, {"type": "text", "text": " > [0]"}]}}]}`: {Text: "[1] > [0]"},
	} {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { _, _ = w.Write([]byte(body)) })
		c, _ := newClient(t, s.options())
		replies, err := c.Complete(t.Context(), []string{"x"}, nil)
		require.NoError(t, err, body)
		require.Equal(t, []Reply{want}, replies, body)
	}
}

// refusals are error answers as endpoints word them, and what they hold for:
// before the endpoint has answered anything, and after.
var refusals = []struct {
	status        int
	body          string
	before, after scope
	says          string
}{
	{307, ``, everyPrompt, everyPrompt, "307 Temporary Redirect"},
	{401, `{"error": {"message": "Incorrect API key", "type": "invalid_request_error", "param": null, "code": "invalid_api_key"}}`, everyPrompt, everyPrompt, "401 Unauthorized: Incorrect API key"},
	{402, `{"error": {"message": "Insufficient Balance"}}`, everyPrompt, everyPrompt, "402 Payment Required: Insufficient Balance"},
	{404, `{"error": {"message": "The model 'm' does not exist", "code": "model_not_found"}}`, everyPrompt, everyPrompt, "404 Not Found: The model 'm' does not exist"},
	{404, `{"detail": "Not Found"}`, everyPrompt, everyPrompt, "404 Not Found: Not Found"},
	{429, `{"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}`, everyPrompt, everyPrompt, "429 Too Many Requests: You exceeded your current quota"},
	{200, `{"error": {"message": "No credits", "code": 402}}`, everyPrompt, everyPrompt, "402 Payment Required: No credits"},
	{400, `{"error": {"message": "Unsupported value: 'temperature'", "param": "temperature", "code": "unsupported_value"}}`, everyPrompt, thisPrompt, "400 Bad Request: Unsupported value: 'temperature'"},
	{403, `<html>blocked</html>`, everyPrompt, thisPrompt, "403 Forbidden: <html>blocked</html>"},
	{422, `{"detail": [{"loc": ["body"], "msg": "odd"}]}`, everyPrompt, thisPrompt, `422 Unprocessable Entity: {"detail":[{"loc":["body"],"msg":"odd"}]}`},
	{418, ``, everyPrompt, thisPrompt, "418 I'm a teapot"},
	{413, `too large`, thisPrompt, thisPrompt, "413 Request Entity Too Large: too large"},
	{400, `{"error": {"message": "Too many tokens", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}`, thisPrompt, thisPrompt, "400 Bad Request: Too many tokens"},
	{400, `{"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested 5000", "type": "BadRequestError", "param": null, "code": 400}`, thisPrompt, thisPrompt, "400 Bad Request: This model's maximum context length"},
	{500, `{"error": {"code": 500, "message": "the request exceeds", "type": "exceed_context_size_error", "n_prompt_tokens": 1407, "n_ctx": 256}}`, thisPrompt, thisPrompt, "500 Internal Server Error: the request exceeds"},
	{429, `{"error": {"message": "rate limit: your context length is irrelevant", "code": "rate_limit_exceeded"}}`, thisTry, thisTry, "429 Too Many Requests: rate limit"},
	{503, `{"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}`, thisTry, thisTry, "503 Service Unavailable: Loading model"},
}

// What may be answered another day, once the tries are used up: an account that was
// empty too, but no key that is wrong.
func TestTemporaryErrors(t *testing.T) {
	refuse := func(status int, body string) *Error {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
		c, _ := newClient(t, s.options())
		replies, _ := c.Complete(t.Context(), []string{"x"}, nil)
		var got *Error
		require.ErrorAs(t, replies[0].Err, &got, "%d %s", status, body)
		return got
	}
	for _, c := range []struct {
		status int
		body   string
		want   bool
	}{
		{429, `{"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}}`, true},
		{429, `{"error": {"message": "Billing hard limit has been reached", "code": "billing_hard_limit_reached"}}`, true},
		{400, `{"error": {"message": "Billing hard limit has been reached", "code": "billing_hard_limit_reached"}}`, true},
		{403, `{"error": {"message": "no more", "type": "exceeded_current_quota_error"}}`, true},
		{402, `{"error": {"message": "Insufficient Balance"}}`, true},
		{429, `{"error": {"message": "slow down"}}`, true},
		{408, ``, true},
		{500, `out of order`, true},
		{503, `{"error": {"message": "Loading model", "code": 503}}`, true},
		{401, `{"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}`, false},
		{403, `{"error": {"message": "no access to this model"}}`, false},
		{404, `{"error": {"message": "no such model", "code": "model_not_found"}}`, false},
		{400, `{"error": {"message": "an odd request"}}`, false},
		{307, ``, false},
		{400, `{"error": {"message": "too long", "code": "context_length_exceeded"}}`, false},
	} {
		require.Equal(t, c.want, refuse(c.status, c.body).Temporary(), "%d %s", c.status, c.body)
	}
}

// An empty account ends the run also where it is found out in the middle of it.
func TestAnEmptyAccountHoldsForEveryPrompt(t *testing.T) {
	for _, code := range []string{"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"} {
		for _, status := range []int{400, 403, 429} {
			c, _ := newClient(t, newServer(t, nil).options())
			c.answered.Store(true)
			require.Equal(t, everyPrompt, c.judge(status, refusal{code: code}), "%d %s", status, code)
			require.Equal(t, everyPrompt, c.judge(status, refusal{kind: code}), "%d %s", status, code)
		}
	}
	c, _ := newClient(t, newServer(t, nil).options())
	require.Equal(t, thisTry, c.judge(429, refusal{message: "You exceeded your current quota of 3 requests a minute", code: "429"}))
}

func TestFinishReasonsTellWhetherAnAnswerIsWhole(t *testing.T) {
	for _, finish := range []string{"", "stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "COMPLETE"} {
		require.False(t, Reply{Finish: finish}.Broken() || Reply{Finish: finish}.Truncated(), finish)
	}
	for _, finish := range []string{"content_filter", "error", "abort", "aborted", "cancelled", "SAFETY", "RECITATION", "ERROR_LIMIT", "timeout", "insufficient_system_resource", "network_error", "incomplete"} {
		require.True(t, Reply{Finish: finish}.Broken(), finish)
	}
	require.True(t, Reply{Finish: "length"}.Truncated())
	require.False(t, Reply{Finish: "length"}.Broken())
}

func TestRefusalsHoldForWhatTheyShould(t *testing.T) {
	for i, r := range refusals {
		for _, answered := range []bool{false, true} {
			s := newServer(t, func(w http.ResponseWriter, _ *http.Request, prompt string, _ int) {
				if prompt == "fine" {
					say(w, "ok")
					return
				}
				w.WriteHeader(r.status)
				_, _ = w.Write([]byte(r.body))
			})
			opts := s.options()
			opts.Parallel, opts.Retries = 1, 1
			c, waits := newClient(t, opts)
			want := r.before
			if answered {
				_, err := c.Complete(t.Context(), []string{"fine"}, nil)
				require.NoError(t, err)
				want = r.after
			}
			name := fmt.Sprint(i, answered)
			replies, err := c.Complete(t.Context(), []string{"odd", "fine"}, nil)
			require.ErrorContains(t, replies[0].Err, "want an answer, got "+r.says, name)
			if want == everyPrompt {
				require.Equal(t, replies[0].Err, err, name)
				require.Equal(t, err, replies[1].Err, name)
			} else {
				require.NoError(t, err, name)
				require.Equal(t, "ok", replies[1].Text, name)
			}
			require.Equal(t, want == thisTry, len(waits.all) == 1, name)
		}
	}
}

func TestFilteredPromptsAreAnswersWithoutText(t *testing.T) {
	for body, status := range map[string]int{
		`{"error": {"message": "The response was filtered", "type": null, "param": "prompt", "code": "content_filter", "status": 400}}`: 400,
		`{"error": {"message": "no", "code": "content_policy_violation"}}`:                                                              400,
		`{"error": {"message": "litellm.BadRequestError: litellm.ContentPolicyViolationError: no", "type": null, "code": "400"}}`:       400,
		`{"error": {"message": "filtered", "code": "content_filter"}, "choices": []}`:                                                   200,
	} {
		s := newServer(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		})
		c, _ := newClient(t, s.options())
		replies, err := c.Complete(t.Context(), []string{"x"}, nil)
		require.NoError(t, err)
		require.Equal(t, []Reply{{Finish: "content_filter"}}, replies)
	}
}
