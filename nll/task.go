package nll

import "fmt"

// Task says what kind of row is scored, and with it how its text is made.
type Task string

// The tasks of the LLM-Embedder training data (FlagEmbedding,
// research/llm_embedder), with the text of each.
const (
	QA         Task = "qa"         // a passage, a question, an answer
	ConvSearch Task = "convsearch" // the same, the question taken from a conversation
	Chat       Task = "chat"       // an earlier turn, the last turn, the reply
	ICL        Task = "icl"        // few-shot examples, an input, its label
	LRLM       Task = "lrlm"       // an earlier part of a long text, what comes before, what comes next
)

// Tasks lists all tasks.
var Tasks = []Task{QA, ConvSearch, Chat, ICL, LRLM}

// ParseTask checks a task's name.
func ParseTask(name string) (Task, error) {
	for _, t := range Tasks {
		if string(t) == name {
			return t, nil
		}
	}
	return "", fmt.Errorf("want qa, convsearch, chat, icl or lrlm, got %q", name)
}

// templates are the texts of the tasks, as the reference builds them: qa and
// convsearch with white space stripped from every part, the others with each
// part as it stands.
var templates = map[Task]*Template{
	QA:         mustTemplate("Knowledge: {passage}\n\nQuestion: {query}\n\nAnswer: {answer}", true),
	ConvSearch: mustTemplate("Knowledge: {passage}\n\nQuestion: {query}\n\nAnswer: {answer}", true),
	Chat:       mustTemplate("{passage}\nSpeaker 1: {query}\nSpeaker 2: {answer}", false),
	ICL:        mustTemplate("{passage}\n{query}\n{answer}", false),
	LRLM:       mustTemplate("{passage}{context}{query}{answer}", false),
}

func mustTemplate(text string, strip bool) *Template {
	t, err := ParseTemplate(text, strip)
	if err != nil {
		panic(err)
	}
	return t
}
