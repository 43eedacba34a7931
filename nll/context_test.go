package nll

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/modeltest"
)

// The context of a row fills {context}, in lrlm and in a template of one's own.
func TestContext(t *testing.T) {
	own := mustTemplate("{passage} {context} {answer}", true)
	for _, c := range []struct {
		name, line string
		template   *Template
		text, err  string
	}{
		{"lrlm", `{"task": "lrlm", "query": "q", "answers": "a", "pos": ["p"], "context": "c"}`, nil, "<s>pcqa", ""},
		{"lrlm without", `{"task": "lrlm", "query": "q", "answers": "a", "pos": ["p"]}`, nil, "<s>pqa", ""},
		{"a template", `{"query": "q", "answers": "a", "pos": ["p"], "context": "c"}`, own, "<s>p c a", ""},
		{"a template without", `{"query": "q", "answers": "a", "pos": ["p"]}`, own, "",
			"rows.jsonl:7: context: want a string for {context}, got none"},
		{"not a string", `{"query": "q", "answers": "a", "pos": ["p"], "context": 7}`, own, "",
			"rows.jsonl:7: context: want a string, got a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJob(toy())
			j.Builder.Template = c.template
			built, _, err := j.Read(parse(t, c.line))
			if c.err != "" {
				require.EqualError(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.text, modeltest.Bytes{}.Text(built.Sequences[0].Tokens))
		})
	}
}

// Token ids have no places for a template's fields.
func TestTemplateWantsText(t *testing.T) {
	j := newJob(toy())
	j.Builder.Template = mustTemplate("{passage}{answer}", true)
	_, _, err := j.Read(parse(t, `{"task": "lrlm", "pos": ["p"], "score_inputs": [[1]], "context_inputs": [], "query_inputs": [], "answer_inputs": [2]}`))
	require.EqualError(t, err, "rows.jsonl:7: score_inputs: want text for a template, got token ids")
}
