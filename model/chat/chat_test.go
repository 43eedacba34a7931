package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var templates = filepath.Join("..", "..", "testdata", "chat")

// dump is what scripts/golden_chat.py writes.
type dump struct {
	Special map[string]string
	Date    time.Time
	Cases   []struct {
		Conversation string
		Prompt       bool
		Text, Error  *string
	}
}

// differs are conversations that the engine renders otherwise, by template: it
// does not know the limit of split. Prompts of rank are one message of a user's,
// and none of these.
var differs = map[string]string{"deepseek": "thoughts"}

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, to))
}

// What transformers renders, byte for byte, and what it raises.
func TestTemplatesAsTransformers(t *testing.T) {
	var conversations map[string][]Message
	readJSON(t, filepath.Join(templates, "conversations.json"), &conversations)
	files, err := filepath.Glob(filepath.Join(templates, "*.jinja"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 10)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jinja")
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			template, err := Parse(string(source))
			require.NoError(t, err)
			var d dump
			readJSON(t, strings.TrimSuffix(file, ".jinja")+".json", &d)
			require.NotEmpty(t, d.Cases)
			for _, c := range d.Cases {
				text, err := template.render(conversation(conversations[c.Conversation]), c.Prompt, Options{Special: d.Special, Date: d.Date})
				switch {
				case differs[name] == c.Conversation:
					require.NotEqual(t, *c.Text, text, "no longer: take it out of differs")
				case c.Text != nil:
					require.NoError(t, err, c.Conversation)
					require.Equal(t, *c.Text, text, c.Conversation)
				case c.Error != nil:
					require.ErrorContains(t, err, *c.Error, c.Conversation)
				default:
					require.Error(t, err, c.Conversation)
				}
			}
		})
	}
}

func TestRenderIsOneUsersMessage(t *testing.T) {
	template, err := Parse("{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}{{ enable_thinking }}{{ strftime_now('%d %b %Y, %-d') }}")
	require.NoError(t, err)
	opts := Options{Special: map[string]string{"bos_token": "<s>"}, Date: time.Date(2024, 7, 6, 0, 0, 0, 0, time.UTC)}
	text, err := template.Render([]Message{{"user", "{{ bos_token }} {% raw %} <a> & \"b\""}}, opts)
	require.NoError(t, err)
	require.Equal(t, "<s><user>{{ bos_token }} {% raw %} <a> & \"b\"<a>False06 Jul 2024, 6", text)
}

func TestRenderRefuses(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"{{ raise_exception('no such role') }}", "no such role"},
		{"{{ raise_exception() }}", "raise_exception: want one text, got 0 arguments"},
		{"{{ messages[0].content | nonesuch }}", "nonesuch"},
		{"{{ strftime_now(1) }}", "strftime_now: want one text"},
		{"{{ range(100000) }}", "range: want at most 65536 numbers, got more"},
		{"{{ range('a') }}", "range: want one to three whole numbers"},
		{"{% for i in range(9, 0, -1) %}{% for c in range(100) %}{{ messages[0].content }}{% endfor %}{% endfor %}", "want a chat template that renders at most 8388608 bytes, got 9000000"},
	} {
		template, err := Parse(c.source)
		require.NoError(t, err, c.source)
		_, err = template.Render([]Message{{"user", strings.Repeat("a", 10000)}}, Options{})
		require.ErrorContains(t, err, c.want, c.source)
	}
	for _, source := range []string{"{% if %}", "{{ a", "{% for x in %}", "{% endfor %}", "{% include 'etc/passwd' %}", "{% extends 'a' %}", "{% import 'a' as a %}",
		"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{% macro a() %}{{ b() }}{% endmacro %}{%- macro b() %}{{ a() }}{% endmacro %}",
		strings.Repeat("a", 1<<20+1)} {
		_, err := Parse(source)
		require.ErrorContains(t, err, "want a chat template", "%.40s", source)
	}
}

// A template that takes too long is an error in time. The engine goes on in the
// background until the test's process ends.
func TestRenderIsBounded(t *testing.T) {
	defer func(d time.Duration) { maxTime = d }(maxTime)
	maxTime = 50 * time.Millisecond
	template, err := Parse("{% for i in range(60000) %}{% for j in range(6000) %}{% endfor %}{% endfor %}")
	require.NoError(t, err)
	_, err = template.Render(nil, Options{})
	require.EqualError(t, err, "want a chat template that renders within 50ms, got no end")
}
