// Package chat renders the chat template of a model, a Jinja2 template, into the
// text that the model reads.
//
// The engine is given from outside; what it is known to render otherwise than
// transformers is in DESIGN.md, and testdata/chat holds what was compared.
package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// A template is written by whoever made the model: what it can use up is bounded,
// in memory, depth and steps by the engine.
const (
	maxSource = 256 << 10 // bytes of a template
	maxText   = 8 << 20   // bytes that it renders
)

// maxTime bounds one rendering; tests do not wait as long.
var maxTime = 5 * time.Second

// Engine renders a Jinja2 template as transformers sets Jinja2 up for chat
// templates, for at most limit. The data is JSON: variables are the template's, and
// date what strftime_now reads: [year, month, day, hour, minute, second, weekday,
// day of the year].
type Engine func(source string, data []byte, limit time.Duration) (string, error)

// Message is one turn of a conversation.
type Message struct{ Role, Content string }

// Options are what a template sees besides the messages.
type Options struct {
	Special map[string]string // special tokens by name: "bos_token", "eos_token"
	Date    time.Time         // what strftime_now reads: frozen, so that a rerun gives the same prompt
}

// Template is a chat template. It is safe for use by several goroutines.
type Template struct {
	source  string
	engine  Engine
	options Options
	parts   bool // contents are lists of parts
}

// Parse reads a chat template, and tries it on a message of a user's: it must
// render the message as it is, given as a text or else as a list of parts.
func Parse(source string, engine Engine, opts Options) (*Template, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("want a chat template of at most %d bytes, got %d", maxSource, len(source))
	}
	t := &Template{source: generation.ReplaceAllStringFunc(source, untagged), engine: engine, options: opts}
	return t, t.probe()
}

// generation is a tag of transformers' own, which marks the answers for training.
var generation = regexp.MustCompile(`\{%[-+]?\s*(end)?generation\s*[-+]?%\}`)

// untagged is a tag of Jinja2's, of the same white space, for one of generation.
func untagged(tag string) string {
	if strings.Contains(tag, "endgeneration") {
		return strings.Replace(tag, "endgeneration", "endif", 1)
	}
	return strings.Replace(tag, "generation", "if true", 1)
}

// probe finds out whether the template wants a text or a list of parts. Given the
// wrong one a template may well render, but without the message.
func (t *Template) probe() error {
	trial := []Message{{Role: "user", Content: sentinel()}}
	_, err := t.Render(trial)
	if err == nil {
		return nil
	}
	t.parts = true
	if _, inParts := t.Render(trial); inParts != nil {
		return err
	}
	return nil
}

// sentinel is a text that a template should leave alone: both cases, quotes and
// what HTML and JSON would escape, white space, other scripts, and some length.
func sentinel() string {
	var b strings.Builder
	for i := range 200 {
		fmt.Fprintf(&b, "[%d] Passage \"%d\" isn't <b>Bold</b> & has {{ braces }},  two spaces,\ttabs \\ slashes, ÄÖß, 東京 and 🐝.\n\n", i, 2*i)
	}
	return b.String() + "[end] of the sentinel"
}

// errAltered is a template that renders and is of no use.
var errAltered = errors.New("want a chat template that renders a message as it is, got one that leaves it out, cuts it or changes it")

// Render renders a conversation, ready for the model's answer. What the template
// raises is an error, and so is a message that is not in the text as it is, but for
// white space round it. A template has no way to a file.
func (t *Template) Render(messages []Message) (string, error) {
	text, err := t.render(messages, true)
	if err != nil {
		return "", err
	}
	for _, m := range messages {
		if !strings.Contains(text, strings.TrimSpace(m.Content)) {
			return "", errAltered
		}
	}
	return text, nil
}

func (t *Template) render(messages []Message, prompt bool) (string, error) {
	data, err := json.Marshal(map[string]any{"variables": t.variables(messages, prompt), "date": fields(t.options.Date)})
	if err != nil {
		return "", err
	}
	text, err := t.engine(t.source, data, maxTime)
	if err != nil {
		return "", fmt.Errorf("want a chat template that renders, got one that fails: %w", err)
	}
	if len(text) > maxText {
		return "", fmt.Errorf("want a chat template that renders at most %d bytes, got %d", maxText, len(text))
	}
	return text, nil
}

// variables are what transformers hands to a template; tools and documents are
// none, and thinking is off where the template can turn it off, so that an answer
// begins at once.
func (t *Template) variables(messages []Message, prompt bool) map[string]any {
	list := make([]message, len(messages))
	for i, m := range messages {
		list[i] = message{m.Role, t.content(m.Content)}
	}
	v := map[string]any{
		"messages":              list,
		"add_generation_prompt": prompt,
		"tools":                 nil,
		"documents":             nil,
		"enable_thinking":       false,
	}
	for name, text := range t.options.Special {
		v[name] = text
	}
	return v
}

// message and part are what a template sees, their keys in this order.
type message struct {
	Role    string `json:"role"`
	Content any    `json:"content"`
}

type part struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func (t *Template) content(text string) any {
	if t.parts {
		return []part{{"text", text}}
	}
	return text
}

// fields are a date's as C's struct tm has them, but counted as people do.
func fields(d time.Time) [8]int {
	return [8]int{d.Year(), int(d.Month()), d.Day(), d.Hour(), d.Minute(), d.Second(), int(d.Weekday()), d.YearDay()}
}
