// Package chat renders the chat template of a model, a Jinja2 template, into the
// text that the model reads.
//
// The engine is made for such templates, but is no Jinja2: what it does not know
// it may render otherwise than transformers without an error. testdata/chat holds
// what was compared, DESIGN.md what is known to differ.
package chat

import (
	"errors"
	"fmt"
	"regexp"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/ardanlabs/jinja"
	"github.com/ncruces/go-strftime"
)

// A template is written by whoever made the model: what it can use up is bounded.
const (
	maxSource = 1 << 20 // bytes of a template
	maxText   = 8 << 20 // bytes that it renders
	maxMemory = 1 << 30 // bytes that the process grows by meanwhile
	maxRange  = 1 << 16 // numbers of one range
	watch     = 5 * time.Millisecond
)

// maxTime bounds one rendering; tests do not wait as long.
var maxTime = 5 * time.Second

// Message is one turn of a conversation.
type Message struct{ Role, Content string }

// Options are what a template sees besides the messages.
type Options struct {
	Special map[string]string // special tokens by name: "bos_token", "eos_token"
	Date    time.Time         // what strftime_now reads: frozen, so that a rerun gives the same prompt
}

// Template is a chat template. It is safe for use by several goroutines.
type Template struct{ engine *jinja.Template }

// Parse reads a chat template.
func Parse(source string) (t *Template, err error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("want a chat template of at most %d bytes, got %d", maxSource, len(source))
	}
	if name := recursive(source); name != "" {
		return nil, fmt.Errorf("want a chat template whose macros end, got %s, which calls itself", name)
	}
	defer recovered(&err)
	// Jinja2 drops one newline at the end.
	engine, err := jinja.Compile(strings.TrimSuffix(source, "\n"))
	if err != nil {
		return nil, fmt.Errorf("want a chat template, got %w", err)
	}
	return &Template{engine}, nil
}

var macro = regexp.MustCompile(`(?s)\{%-?\s*macro\s+(\w+)(.*?)\{%-?\s*endmacro\b`)

// recursive finds a macro that calls itself, be it by way of others. The engine
// has no bound on depth, and a stack that is full ends the process.
func recursive(source string) string {
	calls := map[string][]string{}
	all := macro.FindAllStringSubmatch(source, -1)
	for _, caller := range all {
		for _, called := range all {
			if regexp.MustCompile(`\b` + called[1] + `\s*\(`).MatchString(caller[2]) {
				calls[caller[1]] = append(calls[caller[1]], called[1])
			}
		}
	}
	for name := range calls {
		seen, next := map[string]bool{}, calls[name]
		for len(next) > 0 {
			if next[0] == name {
				return name
			}
			if !seen[next[0]] {
				next = append(next, calls[next[0]]...)
			}
			seen[next[0]], next = true, next[1:]
		}
	}
	return ""
}

// recovered makes an error of a panic: the engine is young.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("want a chat template, got one that breaks the engine: %v", r)
	}
}

// Render renders a conversation, ready for the model's answer. What the template
// raises is an error. A template has no way to a file. One that goes past a bound
// is an error, and is left running: the engine cannot be stopped, so the process
// should end soon.
func (t *Template) Render(messages []Message, opts Options) (string, error) {
	return t.render(conversation(messages), true, opts)
}

func conversation(messages []Message) jinja.Value {
	list := make([]jinja.Value, len(messages))
	for i, m := range messages {
		list[i] = jinja.NewDict()
		list[i].AsDict().Set("role", jinja.NewString(m.Role))
		list[i].AsDict().Set("content", jinja.NewString(m.Content))
	}
	return jinja.NewList(list)
}

func (t *Template) render(messages jinja.Value, prompt bool, opts Options) (string, error) {
	data := variables(messages, prompt, opts)
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() { done <- r }()
		defer recovered(&r.err)
		r.text, r.err = t.engine.RenderValues(data)
	}()
	begin, memory := time.Now(), heap()
	tick := time.NewTicker(watch)
	defer tick.Stop()
	for {
		select {
		case r := <-done:
			if r.err == nil && len(r.text) > maxText {
				r.err = fmt.Errorf("want a chat template that renders at most %d bytes, got %d", maxText, len(r.text))
			}
			return r.text, r.err
		case <-tick.C:
		}
		if time.Since(begin) > maxTime {
			return "", fmt.Errorf("want a chat template that renders within %v, got no end", maxTime)
		}
		if heap() > memory+maxMemory {
			return "", fmt.Errorf("want a chat template that takes at most %d bytes of memory, got more", maxMemory)
		}
	}
}

// heap returns the bytes of all objects.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// variables are what transformers hands to a template; tools and documents are
// none, and thinking is off where the template can turn it off, so that an answer
// begins at once.
func variables(messages jinja.Value, prompt bool, opts Options) map[string]jinja.Value {
	data := map[string]jinja.Value{
		"messages":              messages,
		"add_generation_prompt": jinja.NewBool(prompt),
		"tools":                 jinja.None(),
		"documents":             jinja.None(),
		"enable_thinking":       jinja.NewBool(false),
		"raise_exception":       function("raise_exception", func(message string) (string, error) { return "", errors.New(message) }),
		"strftime_now":          function("strftime_now", func(format string) (string, error) { return strftime.Format(format, opts.Date), nil }),
	}
	data["range"] = jinja.NewCallable("range", numbers)
	for name, text := range opts.Special {
		data[name] = jinja.NewString(text)
	}
	return data
}

// function is a callable of one text.
func function(name string, f func(string) (string, error)) jinja.Value {
	return jinja.NewCallable(name, func(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
		if len(args) != 1 || !args[0].IsString() {
			return jinja.Undefined(), fmt.Errorf("%s: want one text, got %d arguments", name, len(args))
		}
		text, err := f(args[0].AsString())
		return jinja.NewString(text), err
	})
}

// numbers is Python's range, bounded.
func numbers(args []jinja.Value, _ map[string]jinja.Value) (jinja.Value, error) {
	bounds := []int64{0, 0, 1}
	for i, a := range args {
		if i > 2 || !a.IsInt() {
			return jinja.Undefined(), errors.New("range: want one to three whole numbers, got others")
		}
		bounds[i] = a.AsInt()
	}
	from, to, step := bounds[0], bounds[1], bounds[2]
	if len(args) == 1 {
		from, to = 0, from
	}
	var list []jinja.Value
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		if len(list) == maxRange {
			return jinja.Undefined(), fmt.Errorf("range: want at most %d numbers, got more", maxRange)
		}
		list = append(list, jinja.NewInt(i))
	}
	return jinja.NewList(list), nil
}
