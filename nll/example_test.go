package nll

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadExample(t *testing.T) {
	for _, c := range []struct {
		name, line string
		override   Task
		choice     AnswerChoice
		want       Example
	}{
		{"the example as it stands", `{"query": "q", "answers": ["a", "b"], "pos": ["p"], "neg": ["n", "m"]}`, "", First,
			Example{Task: QA, Query: "q", Answers: []string{"a"}, Passages: []string{"p", "n", "m"}, Pos: 1}},
		{"all answers", `{"query": "q", "answers": ["a", "b"], "pos": ["p"], "neg": []}`, "", Best,
			Example{Task: QA, Query: "q", Answers: []string{"a", "b"}, Passages: []string{"p"}, Pos: 1}},
		{"one string for answers", `{"query": "q", "answers": "a", "pos": ["p"]}`, "", First,
			Example{Task: QA, Query: "q", Answers: []string{"a"}, Passages: []string{"p"}, Pos: 1}},
		{"null is as good as none", `{"query": "q", "answers": ["a"], "pos": null, "neg": ["n"], "history": null, "task": null}`, "", First,
			Example{Task: QA, Query: "q", Answers: []string{"a"}, Passages: []string{"n"}}},
		{"no neg", `{"query": "", "answers": ["a"], "pos": ["p"]}`, "", First,
			Example{Task: QA, Answers: []string{"a"}, Passages: []string{"p"}, Pos: 1}},
		{"history is chat", `{"query": "q", "answers": ["a"], "history": ["h", "i"]}`, "", First,
			Example{Task: Chat, Query: "q", Answers: []string{"a"}, Passages: []string{"h", "i"}, History: true}},
		{"history goes before pos", `{"query": "q", "answers": ["a"], "history": ["h"], "pos": ["p"], "neg": ["n"]}`, "", First,
			Example{Task: Chat, Query: "q", Answers: []string{"a"}, Passages: []string{"h"}, History: true, Ignored: true}},
		{"an empty history beside pos is none", `{"query": "q", "answers": ["a"], "history": [], "pos": ["p"]}`, "", First,
			Example{Task: QA, Query: "q", Answers: []string{"a"}, Passages: []string{"p"}, Pos: 1}},
		{"chat without history", `{"query": "q", "answers": ["a"], "pos": ["p"], "neg": ["n"], "task": "chat"}`, "", First,
			Example{Task: Chat, Query: "q", Answers: []string{"a"}, Passages: []string{"p", "n"}, Pos: 1}},
		{"a task of its own", `{"query": "q", "answers": ["a"], "pos": ["p"], "neg": [], "task": "icl"}`, "", First,
			Example{Task: ICL, Query: "q", Answers: []string{"a"}, Passages: []string{"p"}, Pos: 1}},
		{"--task overrides it", `{"query": "q", "answers": ["a"], "pos": ["p"], "neg": [], "task": "whatever"}`, ConvSearch, First,
			Example{Task: ConvSearch, Query: "q", Answers: []string{"a"}, Passages: []string{"p"}, Pos: 1}},
		{"context is no concern until a template asks for it", `{"query": "q", "answers": ["a"], "pos": ["p"], "context": 7}`, "", First,
			Example{Task: QA, Query: "q", Answers: []string{"a"}, Passages: []string{"p"}, Pos: 1}},
		{"token ids", `{"task": "lrlm", "pos": ["p"], "neg": ["n"], "score_inputs": [[1, 2], []], "context_inputs": [3], "query_inputs": [], "answer_inputs": [4, 5]}`, "", First,
			Example{Task: LRLM, Passages: []string{"p", "n"}, Pos: 1, Tokens: &TokenInputs{Scores: [][]int32{{1, 2}, {}}, Context: []int32{3}, Query: []int32{}, Answer: []int32{4, 5}}}},
		{"token ids of another task are no concern", `{"query": "q", "answers": ["a"], "pos": ["p"], "score_inputs": "x"}`, "", First,
			Example{Task: QA, Query: "q", Answers: []string{"a"}, Passages: []string{"p"}, Pos: 1}},
		{"lrlm with null token ids is text", `{"query": "q", "answers": ["a"], "pos": ["p"], "task": "lrlm", "score_inputs": null}`, "", First,
			Example{Task: LRLM, Query: "q", Answers: []string{"a"}, Passages: []string{"p"}, Pos: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			row := parse(t, c.line)
			c.want.Row = row
			got, err := ReadExample(row, c.override, c.choice, 1)
			require.NoError(t, err)
			require.Equal(t, &c.want, got)
			require.Equal(t, len(got.Passages), got.count())
		})
	}
}

func TestReadExampleRefuses(t *testing.T) {
	const tokens = `"task": "lrlm", "pos": ["p"], "neg": [], `
	for _, c := range []struct {
		line     string
		override Task
		want     string
	}{
		{`{}`, "", "pos: want pos, neg or history, got none of them"},
		{`{"query": "q", "answers": ["a"], "pos": null, "neg": null, "history": null}`, "", "pos: want pos, neg or history, got none of them"},
		{`{"query": "q", "answers": ["a"], "pos": [], "neg": []}`, "", "pos: want at least one passage in pos or neg, got none"},
		{`{"query": "q", "answers": ["a"], "pos": []}`, "", "pos: want at least one passage in pos or neg, got none"},
		{`{"query": "q", "answers": ["a"], "history": []}`, "", "history: want at least one turn, got none"},
		{`{"query": "q", "answers": ["a"], "pos": "p", "neg": []}`, "", "pos: want a list of strings, got a string"},
		{`{"query": "q", "answers": ["a"], "pos": ["p"], "neg": ["n", 7]}`, "", "neg[1]: want a string, got a number"},
		{`{"query": "q", "answers": ["a"], "pos": ["p", null]}`, "", "pos[1]: want a string, got null"},
		{`{"query": "q", "answers": ["a"], "history": {"a": 1}}`, "", "history: want a list of strings, got an object"},
		{`{"query": "q", "answers": ["a"], "pos": ["a\u0000b"]}`, "", "pos[0]: want text without NUL, got U+0000 at character 2"},
		{`{"query": "q", "answers": ["a"], "pos": ["a\ud83d"]}`, "", `pos[0]: want whole surrogate pairs, got a lone \ud83d at character 2`},

		{`{"query": "q", "answers": ["a"], "pos": ["p"], "task": "rerank"}`, "", `task: want qa, convsearch, chat, icl or lrlm, got "rerank"`},
		{`{"query": "q", "answers": ["a"], "pos": ["p"], "task": ""}`, "", `task: want qa, convsearch, chat, icl or lrlm, got ""`},
		{`{"query": "q", "answers": ["a"], "pos": ["p"], "task": 3}`, QA, "task: want a string, got a number"},
		{`{"query": "q", "answers": ["a"], "history": ["h"], "task": "qa"}`, "", "history: want pos and neg for task qa, got history"},
		{`{"query": "q", "answers": ["a"], "history": ["h"]}`, LRLM, "history: want pos and neg for task lrlm, got history"},

		{`{"answers": ["a"], "pos": ["p"]}`, "", "query: want a string, got none"},
		{`{"query": null, "answers": ["a"], "pos": ["p"]}`, "", "query: want a string, got none"},
		{`{"query": ["q"], "answers": ["a"], "pos": ["p"]}`, "", "query: want a string, got a list"},
		{`{"query": "q", "pos": ["p"]}`, "", "answers: want at least one answer, got none"},
		{`{"query": "q", "answers": [], "pos": ["p"]}`, "", "answers: want at least one answer, got none"},
		{`{"query": "q", "answers": null, "pos": ["p"]}`, "", "answers: want at least one answer, got none"},
		{`{"query": "q", "answers": 7, "pos": ["p"]}`, "", "answers: want a string or a list of strings, got a number"},
		{`{"query": "q", "answers": ["a", true], "pos": ["p"]}`, "", "answers[1]: want a string, got a boolean"},
		{`{"query": "q", "answers": "", "pos": ["p"]}`, "", `answers: want an answer of at least one token, got ""`},
		{`{"query": "q", "answers": " \n\u001c", "pos": ["p"]}`, "", `answers: want an answer of at least one token, got " \n\x1c"`},
		{`{"query": "q", "answers": "  ", "pos": ["p"], "task": "chat"}`, "", `answers: want an answer of at least one token, got "  "`},

		{`{` + tokens + `"score_inputs": [1]}`, "", "score_inputs[0]: want a list of integers, got a number"},
		{`{` + tokens + `"score_inputs": [[1]]}`, "", "context_inputs: want a list of integers, got none"},
		{`{` + tokens + `"score_inputs": [[1]], "context_inputs": []}`, "", "query_inputs: want a list of integers, got none"},
		{`{` + tokens + `"score_inputs": [[1]], "context_inputs": [], "query_inputs": []}`, "", "answer_inputs: want a list of integers, got none"},
		{`{` + tokens + `"score_inputs": [[1]], "context_inputs": [], "query_inputs": [], "answer_inputs": []}`, "", "answer_inputs: want an answer of at least one token, got none"},
		{`{` + tokens + `"score_inputs": [[1], [2]], "context_inputs": [], "query_inputs": [], "answer_inputs": [1]}`, "", "score_inputs: want one list for each of the 1 passages, got 2"},
		{`{` + tokens + `"score_inputs": [[1]], "context_inputs": [-1], "query_inputs": [], "answer_inputs": [1]}`, "", "context_inputs[0]: want an integer from 0 to 2147483647, got -1"},
		{`{` + tokens + `"score_inputs": [[1]], "context_inputs": [], "query_inputs": [1.5], "answer_inputs": [1]}`, "", "query_inputs[0]: want an integer from 0 to 2147483647, got 1.5"},
		{`{"task": "lrlm", "pos": [], "neg": [], "score_inputs": [], "context_inputs": [], "query_inputs": [], "answer_inputs": [1]}`, "", "pos: want at least one passage in pos or neg, got none"},
	} {
		_, err := ReadExample(parse(t, c.line), c.override, First, 1)
		requireBad(t, err, c.want, c.line)
	}
}

func TestPassageField(t *testing.T) {
	ex := &Example{Pos: 2}
	require.Equal(t, []string{"pos[0]", "pos[1]", "neg[0]", "neg[1]"},
		[]string{ex.passageField(0), ex.passageField(1), ex.passageField(2), ex.passageField(3)})
	ex = &Example{History: true}
	require.Equal(t, "history[3]", ex.passageField(3))
}
