package nll

import (
	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/model"
)

// Example is a row on its way from its line to its scores: what is to be scored, as
// text, and what Builder.Build makes of that.
type Example struct {
	Row      *dataset.Row
	Task     Task
	Query    string
	Answers  []string // those that are scored
	Passages []string // pos then neg, or history
	Pos      int      // how many of Passages are pos; 0 for history
	History  bool
	Ignored  bool         // the row has pos or neg beside its history; as in the reference, they get no score
	Tokens   *TokenInputs // of an lrlm row with token ids; nil for text

	// Sequences are the tokenised texts: for each passage, one for each scored answer.
	Sequences   []model.Sequence
	Cuts        int  // passages that were cut
	SpanDiffers bool // the two rules for the answer's tokens disagree somewhere
	Repeats     bool // some passages are the same to the model, which then runs one of them
}

// TokenInputs are the token ids of an lrlm row. They are scored as they stand,
// one after another, without special tokens.
type TokenInputs struct {
	Scores                 [][]int32 // one a passage
	Context, Query, Answer []int32
}

// tokenFields are the fields that TokenInputs are read from.
var tokenFields = []string{"score_inputs", "context_inputs", "query_inputs", "answer_inputs"}

// ReadExample finds in a row what is scored. task, if not empty, overrides the
// row's own. Errors are *dataset.Error.
func ReadExample(row *dataset.Row, task Task, choice AnswerChoice, seed uint64) (*Example, error) {
	ex := &Example{Row: row}
	if err := ex.readPassages(); err != nil {
		return nil, err
	}
	if err := ex.readTask(task); err != nil {
		return nil, err
	}
	if ex.Task == LRLM && row.Has("score_inputs") {
		if err := ex.readTokens(); err != nil {
			return nil, err
		}
	} else if err := ex.readText(choice, seed); err != nil {
		return nil, err
	}
	if ex.count() == 0 {
		field, want := "pos", "at least one passage in pos or neg"
		if ex.History {
			field, want = "history", "at least one turn"
		}
		return nil, row.Errorf(field, "want %s, got none", want)
	}
	return ex, nil
}

// count returns the number of passages that get a score.
func (ex *Example) count() int {
	if ex.Tokens != nil {
		return len(ex.Tokens.Scores)
	}
	return len(ex.Passages)
}

func (ex *Example) readPassages() error {
	history, ok, err := ex.Row.Strings("history")
	if err != nil {
		return err
	}
	others := ex.Row.Has("pos") || ex.Row.Has("neg")
	// A table of several tasks has an empty history in every row of another.
	if ok && (len(history) > 0 || !others) {
		ex.History, ex.Passages, ex.Ignored = true, history, others
		return nil
	}
	passages, pos, ok, err := ex.Row.Passages()
	if err != nil {
		return err
	}
	if !ok {
		return ex.Row.Errorf("pos", "want pos, neg or history, got none of them")
	}
	ex.Passages, ex.Pos = passages, pos
	return nil
}

func (ex *Example) readTask(override Task) error {
	name, ok, err := ex.Row.String("task")
	switch {
	case err != nil:
		return err
	case override != "":
		ex.Task = override
	case ok:
		if ex.Task, err = ParseTask(name); err != nil {
			return ex.Row.Errorf("task", "%v", err)
		}
	case ex.History:
		ex.Task = Chat
	default:
		ex.Task = QA
	}
	if ex.History && ex.Task != Chat {
		return ex.Row.Errorf("history", "want pos and neg for task %s, got history", ex.Task)
	}
	return nil
}

func (ex *Example) readText(choice AnswerChoice, seed uint64) error {
	var ok bool
	var err error
	if ex.Query, ok, err = ex.Row.String("query"); err != nil {
		return err
	}
	if !ok {
		return ex.Row.Errorf("query", "want a string, got none")
	}
	answers, ok, err := ex.Row.StringOrStrings("answers")
	if err != nil {
		return err
	}
	if !ok || len(answers) == 0 {
		return ex.Row.Errorf("answers", "want at least one answer, got none")
	}
	ex.Answers = choice.choose(answers, ex.Query, seed)
	for _, a := range ex.Answers {
		if strip(a) == "" {
			return ex.Row.Errorf("answers", "want an answer of at least one token, got %q", a)
		}
	}
	return nil
}

func (ex *Example) readTokens() error {
	t := &TokenInputs{}
	var err error
	if t.Scores, _, err = ex.Row.TokenIDLists("score_inputs"); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		ids  *[]int32
	}{{"context_inputs", &t.Context}, {"query_inputs", &t.Query}, {"answer_inputs", &t.Answer}} {
		var ok bool
		if *f.ids, ok, err = ex.Row.TokenIDs(f.name); err != nil {
			return err
		}
		if !ok {
			return ex.Row.Errorf(f.name, "want a list of integers, got none")
		}
	}
	if len(t.Answer) == 0 {
		return ex.Row.Errorf("answer_inputs", "want an answer of at least one token, got none")
	}
	if len(t.Scores) != len(ex.Passages) {
		return ex.Row.Errorf("score_inputs", "want one list for each of the %d passages, got %d", len(ex.Passages), len(t.Scores))
	}
	ex.Tokens = t
	return nil
}
