//go:build cgo

package chat

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/hf"
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

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, to))
}

func parse(source string) (*Template, error) { return Parse(source, hf.RenderTemplate, Options{}) }

// What transformers renders, byte for byte, and what it raises.
func TestTemplatesAsTransformers(t *testing.T) {
	var conversations map[string][]Message
	readJSON(t, filepath.Join(templates, "conversations.json"), &conversations)
	files, err := filepath.Glob(filepath.Join(templates, "*.jinja"))
	require.NoError(t, err)
	count := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jinja")
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			var d dump
			readJSON(t, strings.TrimSuffix(file, ".jinja")+".json", &d)
			template, err := Parse(string(source), hf.RenderTemplate, Options{Special: d.Special, Date: d.Date})
			require.NoError(t, err)
			require.False(t, template.parts)
			for _, c := range d.Cases {
				text, err := template.render(conversations[c.Conversation], c.Prompt)
				count++
				switch {
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
	require.Equal(t, 448, count)
}

func TestRenderIsOneUsersMessage(t *testing.T) {
	opts := Options{Special: map[string]string{"bos_token": "<s>"}, Date: time.Date(2024, 7, 6, 0, 0, 0, 0, time.UTC)}
	template, err := Parse("{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}<a>{% endif %}{{ enable_thinking }}{{ strftime_now('%d %b %Y, %-d, %A, %j') }}{{ date }}", hf.RenderTemplate, opts)
	require.NoError(t, err)
	text, err := template.Render([]Message{{"user", "{{ bos_token }} {% raw %} <a> & \"b\"\x00"}})
	require.NoError(t, err)
	require.Equal(t, "<s><user>{{ bos_token }} {% raw %} <a> & \"b\"\x00<a>False06 Jul 2024, 6, Saturday, 188", text)
}

func TestRenderRefuses(t *testing.T) {
	const content = "{{ messages[0].content }}"
	for _, c := range []struct{ source, want string }{
		{"{{ raise_exception('no such role') }}", "line 1: no such role"},
		{"\n\n{{ raise_exception() }}", "line 3: missing argument"},
		{"{{ messages[0].content | nonesuch }}", "nonesuch"},
		{"{{ strftime_now(1) }}" + content, ""}, // a number is taken for its text
		{"{{ strftime_now('%9999d') }}", "strftime_now: want a date of at most 1,000 bytes"},
		{"{{ strftime_now('a\\x00') }}", "strftime_now: want a format without NUL"},
		{"{{ range(1000000000) }}", "range has too many elements"},
		{"{{ range('a') }}", "cannot convert"},
		{"{% for i in range(500) %}{{ messages[0].content }}{% endfor %}", "want a chat template that renders at most 8388608 bytes, got "},
		{"{% include 'etc/passwd' %}", "template not found"},
		{"{% extends 'a' %}", "template not found"},
		{"{% import 'a' as a %}", "template not found"},
		{"{% include '<string>' %}", "template not found"},
		{"{% if %}", "line 1"}, {"{{ a", "line 1"}, {"{% for x in %}", "line 1"}, {"{% endfor %}", "line 1"},
		{"{{ self }}" + content, ""},
	} {
		_, err := parse(c.source)
		if c.want == "" {
			require.NoError(t, err, c.source)
		} else {
			require.ErrorContains(t, err, "want a chat template that renders", c.source)
			require.ErrorContains(t, err, c.want, c.source)
		}
	}
	_, err := parse(strings.Repeat("a", 10<<20))
	require.EqualError(t, err, "want a chat template of at most 262144 bytes, got 10485760")
}

// Keys come in the order in which transformers hands them over.
func TestKeysInOrder(t *testing.T) {
	template, err := parse("{{ messages[0].content[0].text }}{{ messages | tojson }}")
	require.NoError(t, err)
	text, err := template.Render([]Message{{"user", "a"}})
	require.NoError(t, err)
	require.Equal(t, `a[{"role": "user", "content": [{"type": "text", "text": "a"}]}]`, text)
}

// A template is given the message as it wants it: as a text or as a list of parts.
func TestContentsAsParts(t *testing.T) {
	for source, parts := range map[string]bool{
		"{{ messages[0].content }}":                                                  false,
		"{{ messages[0]['content'] | trim }}":                                        false,
		"{% for m in messages %}{{ m.role }}: {{ m.content.strip() }}\n{% endfor %}": false,
		"{{ (messages | first)['content'] }}":                                        false,
		"{{ messages[0].content ~ messages[0].content }}":                            false,
		"{% if messages[0].content is not string %}{{ raise_exception('want a text') }}{% endif %}{{ messages[0].content }}":                             false,
		"{% for c in messages[0].content %}{{ c }}{% endfor %}":                                                                                          false,
		"{% generation %}{{ messages[0].content }}{%- endgeneration -%}":                                                                                 false,
		"{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}":                                                            true,
		"{{ messages[0]['content'][0]['text'] }}":                                                                                                        true,
		"{{ messages[0].content | map(attribute='text') | join }}":                                                                                       true,
		"{% for p in messages[0].content %}{% if p['type'] == 'text' %}{{ p['text'] | trim }}{% elif p.type == 'image' %}<image>{% endif %}{% endfor %}": true,
		"{% if messages[0].content is string %}{{ raise_exception('want parts') }}{% endif %}{{ messages[0].content[0].text }}":                          true,
		"{% if messages[0].content is string %}none{% else %}{{ messages[0].content[0].text }}{% endif %}":                                               true,
	} {
		template, err := parse(source)
		require.NoError(t, err, source)
		require.Equal(t, parts, template.parts, source)
		text, err := template.Render([]Message{{"user", " Rank <b>the sea</b> \n"}})
		require.NoError(t, err, source)
		require.Contains(t, text, "Rank <b>the sea</b>", source)
	}
}

func TestTemplatesThatAlterTheMessage(t *testing.T) {
	for source, want := range map[string]string{
		"You rank passages.":                                                                  "leaves it out, cuts it or changes it",
		"{{ messages[1].content }}":                                                           "undefined value",
		"{{ messages[0].role }}":                                                              "leaves it out",
		"{{ messages[0].content | upper }}":                                                   "changes it",
		"{{ messages[0].content.lower() }}":                                                   "changes it",
		"{{ messages[0].content[:1000] }}":                                                    "cuts it",
		"{{ messages[0].content[10:] }}":                                                      "cuts it",
		"{{ messages[0].content.split('\n')[0] }}":                                            "cuts it",
		"{{ messages[0].content | truncate(20) }}":                                            "truncate",
		"{{ messages[0].content | e }}":                                                       "changes it",
		"{{ messages[0].content | tojson }}":                                                  "changes it",
		"{{ messages }}":                                                                      "changes it",
		"{{ messages[0].content.replace('  ', ' ') }}":                                        "changes it",
		"{{ messages[0].content | replace('\"', '') }}":                                       "changes it",
		"{{ messages[0].content | title }}":                                                   "changes it",
		"{{ messages[0].content.split() | join(' ') }}":                                       "changes it",
		"{% for c in messages[0].content | reverse %}{{ c }}{% endfor %}":                     "changes it",
		"{{ raise_exception('for tools alone') }}":                                            "for tools alone",
		"{% if messages[0].content is string %}{{ raise_exception('no texts') }}{% endif %}x": "no texts",
	} {
		_, err := parse(source)
		require.ErrorContains(t, err, want, source)
	}
}

// A message that the template alters is an error even where the trial at start saw
// none, and the next one goes on.
func TestAMessageThatIsAltered(t *testing.T) {
	template, err := parse("{{ messages[0].content.split('</think>')[-1] }}{{ messages[-1].content | replace('sea', 'see') }}")
	require.NoError(t, err)
	_, err = template.Render([]Message{{"user", "a </think> b"}})
	require.NoError(t, err, "it stands there once more")
	_, err = template.Render([]Message{{"user", "the sea </think> b"}})
	require.ErrorIs(t, err, errAltered)
	_, err = template.Render([]Message{{"system", "You rank."}, {"user", "a"}})
	require.NoError(t, err)
	_, err = template.Render([]Message{{"system", "a"}, {"system", "You rank."}, {"user", "c"}})
	require.ErrorIs(t, err, errAltered, "the one in between is left out")
}
