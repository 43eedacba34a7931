package nll

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/modeltest"
)

// control protects by upper case: what is left in lower case is the template's own.
type control struct{ modeltest.Bytes }

func (control) Protect(data string) string { return strings.ToUpper(data) }

// talk is a chat template.
func talk(message, answer string) (Text, error) {
	return NewText("user("+message+")model(", answer), nil
}

// What the user says is the task's text up to the answer.
func TestBuildConversation(t *testing.T) {
	for _, c := range []struct{ line, want, answer string }{
		{`{"query": " q ", "answers": " a ", "pos": [" p "]}`, "user(KNOWLEDGE: P\n\nQUESTION: Q)model(A", "A"},
		{`{"task": "convsearch", "query": "q", "answers": "a", "pos": ["p"]}`, "user(KNOWLEDGE: P\n\nQUESTION: Q)model(A", "A"},
		{`{"query": "q", "answers": " a", "history": ["h "]}`, "user(H \nSPEAKER 1: Q)model( A", " A"},
		{`{"task": "icl", "query": "q", "answers": "a\n", "pos": ["p"]}`, "user(P\nQ)model(A\n", "A\n"},
		{`{"task": "lrlm", "query": "q", "answers": "a", "pos": ["p"], "context": "c"}`, "user(PCQ)model(A", "A"},
	} {
		b := builder()
		b.Control, b.Conversation = control{}, talk
		built, err := build(&b, example(t, c.line))
		require.NoError(t, err)
		require.Equal(t, [][2]string{{c.want, c.answer}}, texts(built.Sequences), "no BOS but the template's own")
		require.False(t, built.SpanDiffers, "the reference has no rule for it")
	}
}

func TestBuildConversationCutsThePassage(t *testing.T) {
	b := builder()
	b.Control, b.Conversation = control{}, talk
	const rest = "user(KNOWLEDGE: \n\nQUESTION: Q)model(AN ANSWER"
	for room := range 20 {
		b.MaxLength = len(rest) + room
		built, err := build(&b, example(t, `{"query": "q", "answers": "an answer", "pos": ["abcdefghijkl"]}`))
		require.NoError(t, err)
		want := strings.Replace(rest, "KNOWLEDGE: ", "KNOWLEDGE: "+"ABCDEFGHIJKL"[:min(room, 12)], 1)
		require.Equal(t, [][2]string{{want, "AN ANSWER"}}, texts(built.Sequences))
		require.Equal(t, room < 12, built.Cuts == 1)
	}
	b.MaxLength = len(rest) - 1
	_, err := build(&b, example(t, `{"query": "q", "answers": "an answer", "pos": ["abc"]}`))
	requireBad(t, err, "query: want question and answer within 44 tokens, got 45")
}

func TestBuildConversationRefuses(t *testing.T) {
	b := builder()
	b.Control, b.Conversation = control{}, talk
	_, err := build(&b, example(t, `{"task": "lrlm", "pos": ["p"], "score_inputs": [[1]], "context_inputs": [], "query_inputs": [2], "answer_inputs": [3]}`))
	requireBad(t, err, "score_inputs: want text for a template, got token ids")
	b.Conversation = func(string, string) (Text, error) { return Text{}, errors.New("broken") }
	_, err = build(&b, example(t, `{"query": "q", "answers": "a", "pos": ["p"]}`))
	requireBad(t, err, "broken")
}

// A template of one's own keeps its control tokens, the data has none.
func TestBuildTrustedTemplate(t *testing.T) {
	b := builder()
	var err error
	b.Template, err = ParseTemplate("own {passage} {query} {answer} end", true)
	require.NoError(t, err)
	b.Control = control{}
	built, err := build(&b, example(t, `{"query": "q", "answers": "an answer", "pos": ["p"]}`))
	require.NoError(t, err)
	require.Equal(t, [][2]string{{"<s>own P Q AN ANSWER end", "AN ANSWER"}}, texts(built.Sequences))
}

// measuredBytes notes the longest text that it was given.
type measuredBytes struct {
	modeltest.Bytes
	longest *int
}

func (m measuredBytes) Encode(text string, special bool) (model.Encoding, error) {
	*m.longest = max(*m.longest, len(text))
	return m.Bytes.Encode(text, special)
}

// A field too long for the context is refused by its beginning, and of a long
// passage no more than its beginning is read.
func TestBuildReadsTheBeginning(t *testing.T) {
	long := strings.Repeat("word ", 1<<20)
	row := func(query, answer, context, passage string) string {
		return `{"task": "lrlm", "query": "` + query + `", "answers": ["x", "` + answer + `"], "context": "` + context + `", "pos": ["` + passage + `"]}`
	}
	for _, c := range []struct{ name, line, want string }{
		{"passage", row("q", "a", "c", long), ""},
		{"query", row(long, "a", "c", "p"), "query: want question and answer within 1000 tokens, got more in 5242879 bytes"},
		{"answer", row("q", long, "c", "p"), "answers: want question and answer within 1000 tokens, got more in 5242879 bytes"},
		{"context", row("q", "a", long, "p"), "context: want question and answer within 1000 tokens, got more in 5242879 bytes"},
	} {
		b, longest := builder(), 0
		b.Tokenizer, b.MaxLength = measuredBytes{longest: &longest}, 1000
		built, err := build(&b, example(t, c.line))
		require.LessOrEqual(t, longest, 32<<10, c.name)
		if c.want != "" {
			requireBad(t, err, c.want, c.name)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, "<s>"+long[:512]+"cqx", texts(built.Sequences)[0][0])
		require.Equal(t, 1, built.Cuts)
	}
}
