package openai

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

type completion struct {
	Choices []choice        `json:"choices"`
	Usage   usage           `json:"usage"`
	Error   json.RawMessage `json:"error"`
}

// usage is what the endpoint counted. No answer is lost for it: a gateway may
// write 12.0 or null, and what cannot be read is 0.
type usage struct{ prompt, completion int }

func (u *usage) UnmarshalJSON(b []byte) error {
	var fields map[string]any
	if json.Unmarshal(b, &fields) == nil {
		u.prompt, u.completion = tokens(fields["prompt_tokens"]), tokens(fields["completion_tokens"])
	}
	return nil
}

func tokens(v any) int {
	if n, ok := v.(float64); ok && n >= 0 && n <= math.MaxInt32 {
		return int(math.Round(n))
	}
	return 0
}

type choice struct {
	Index   *int `json:"index"`
	Message struct {
		Content *content `json:"content"`
		Refusal string   `json:"refusal"`
	} `json:"message"`
	FinishReason string          `json:"finish_reason"`
	Error        json.RawMessage `json:"error"`
}

// content is a message's text: a string, or, from Mistral's reasoning models, a
// list of parts, of which those of type text count.
type content string

func (c *content) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return json.Unmarshal(b, (*string)(c))
	}
	var parts []struct{ Type, Text string }
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	for _, p := range parts {
		if p.Type == "text" {
			*c += content(p.Text)
		}
	}
	return nil
}

// read takes the reply from an answer of status 200.
func (c *Client) read(resp *response) (Reply, *Error) {
	var got completion
	if err := json.Unmarshal(resp.body, &got); err != nil {
		return Reply{}, c.fail(thisTry, "want a chat completion, got %q", c.tidy(resp.body))
	}
	// OpenRouter sends its status before it has an answer, and errors behind it.
	refusal, first := got.Error, firstChoice(got.Choices)
	if first != nil {
		refusal = first.Error
	}
	if given(refusal) {
		said := readRefusal(refusal)
		return c.refused(said.status(), said, resp.header)
	}
	if got.Choices == nil {
		return Reply{}, c.fail(thisTry, "want a chat completion with choices, got %q", c.tidy(resp.body))
	}
	reply := Reply{
		Finish:           "no choices",
		PromptTokens:     got.Usage.prompt,
		CompletionTokens: got.Usage.completion,
	}
	if first != nil {
		reply.Text, reply.Finish = first.read()
		reply.Finish = c.tidy([]byte(reply.Finish))
	}
	return reply, nil
}

// firstChoice returns the choice of index 0, or the first one where none says so;
// nil where there is none.
func firstChoice(choices []choice) *choice {
	for i := range choices {
		if at := choices[i].Index; at != nil && *at == 0 {
			return &choices[i]
		}
	}
	if len(choices) == 0 {
		return nil
	}
	return &choices[0]
}

// read returns a choice's text and why it ends there.
func (ch choice) read() (text, finish string) {
	if ch.Message.Content != nil {
		text = string(*ch.Message.Content)
	}
	finish = ch.FinishReason
	if text == "" && (finish == "" || finish == "stop") {
		switch {
		case ch.Message.Refusal != "":
			finish = "refusal"
		case ch.Message.Content == nil:
			finish = "no content"
		}
	}
	return text, finish
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// refusal is what an endpoint says in place of an answer.
type refusal struct{ message, code, kind, param string }

// readRefusal reads an error body: {"error": {"message", "type", "param",
// "code"}} by OpenAI, the same unwrapped by older vLLM, {"error": "..."} by
// Ollama, {"detail": "..."} by FastAPI; code may be a number. OpenRouter has the
// body of the server behind it in metadata.raw. Anything else is its own message.
func readRefusal(body []byte) refusal {
	var top any
	if json.Unmarshal(body, &top) != nil {
		return refusal{message: string(body)}
	}
	fields, _ := top.(map[string]any)
	if inner, ok := fields["error"].(map[string]any); ok {
		fields = inner
	}
	said := refusal{code: word(fields["code"]), kind: word(fields["type"]), param: word(fields["param"])}
	for _, name := range []string{"message", "error", "detail"} {
		if said.message == "" {
			said.message = word(fields[name])
		}
	}
	if said.message == "" {
		// Written anew, without the escapes in which a key would hide.
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(top) // it came from JSON
		said.message = b.String()
	}
	if metadata, ok := fields["metadata"].(map[string]any); ok {
		if raw := word(metadata["raw"]); raw != "" {
			behind := readRefusal([]byte(raw))
			said.message += ": " + behind.message
			said.kind, said.param = cmp.Or(said.kind, behind.kind), cmp.Or(said.param, behind.param)
		}
	}
	return said
}

func word(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// status is the one that a refusal behind a status of 200 stands for.
func (r refusal) status() int {
	if n, err := strconv.Atoi(r.code); err == nil && n >= 400 && n < 600 {
		return n
	}
	return http.StatusInternalServerError
}

// unwanted says what a refusal asks to be left out of a request. Where it has no
// name for that, as gateways have none, its message tells, but not once requests
// with a temperature have been answered: then it may quote a prompt.
func (c *Client) unwanted(status int, r refusal) (f form) {
	if status != http.StatusBadRequest && status != http.StatusUnprocessableEntity {
		return form{}
	}
	f.renamed = r.code == "unsupported_parameter" && r.param == "max_tokens" || strings.Contains(r.message, "max_completion_tokens")
	f.renamed = f.renamed && !c.opts.Extra.limits()
	f.unheated = r.param == "temperature" || !c.heated.Load() && strings.Contains(strings.ToLower(r.message), "temperature")
	f.unheated = f.unheated && !c.opts.Extra.Has("temperature")
	return f
}

// filtered says whether the prompt was refused for what it says: by OpenAI and
// Azure with a code, through LiteLLM by a word in the message.
func (r refusal) filtered() bool {
	return r.code == "content_filter" || r.code == "content_policy_violation" || strings.Contains(r.message, "ContentPolicyViolation")
}

// noMoney are the codes and types of a refusal for an account with nothing left:
// OpenAI's insufficient_quota and billing_hard_limit_reached, Moonshot's
// exceeded_current_quota_error. Nothing is read out of messages, in which a limit for
// each minute is called a quota too.
var noMoney = regexp.MustCompile(`(?i)insufficient_(quota|balance|funds|credits)|billing|current_quota`)

// broke says whether the account has nothing left to pay an answer with.
func (r refusal) broke(status int) bool {
	return status == http.StatusPaymentRequired || noMoney.MatchString(r.code) || noMoney.MatchString(r.kind)
}

// tooLong says whether the prompt does not fit the model's context. OpenAI and
// llama.cpp have a word for it; vLLM, DeepSeek and others only a sentence.
func (r refusal) tooLong(status int) bool {
	switch {
	case status == http.StatusRequestEntityTooLarge, r.code == "context_length_exceeded", r.kind == "exceed_context_size_error":
		return true
	case status != http.StatusBadRequest && status != http.StatusUnprocessableEntity:
		return false
	}
	message := strings.ToLower(r.message)
	for _, phrase := range []string{"context length", "context window", "context size", "prompt is too long"} {
		if strings.Contains(message, phrase) {
			return true
		}
	}
	return false
}
