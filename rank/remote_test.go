package rank

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ortscore/ortscore/model/openai"
)

// remote is a teacher behind a server that answers each prompt with a function,
// one prompt at a time.
func remote(t *testing.T, answer func(w http.ResponseWriter, prompt string)) *Remote {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var sent struct{ Messages []struct{ Content string } }
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || len(sent.Messages) != 1 {
			http.Error(w, "want one message", http.StatusTeapot)
			return
		}
		answer(w, sent.Messages[0].Content)
	}))
	t.Cleanup(server.Close)
	client, err := openai.New(openai.Options{BaseURL: server.URL, Model: "m", Deadline: time.Minute, Parallel: 1, MaxTokens: 100})
	require.NoError(t, err)
	return &Remote{Client: client}
}

// reply answers as an endpoint does that counts 5 tokens.
func reply(w http.ResponseWriter, text, finish string) {
	content, _ := json.Marshal(text)
	_, _ = fmt.Fprintf(w, `{"choices": [{"message": {"content": %s}, "finish_reason": %q}], "usage": {"prompt_tokens": 9, "completion_tokens": 5}}`, content, finish)
}

// A remote teacher that knows the truth is as good as a local one.
func TestRemoteScoresTheTruth(t *testing.T) {
	in := manyLines(8, 30, 30)
	want, _ := runJob(t, newJob(t, sorter()), in...)
	for _, first := range []int{0, 1} {
		teacher := remote(t, func(w http.ResponseWriter, prompt string) {
			reply(w, "<think>[0] > [1]</think>\n"+Format(truth(prompt), first), "stop")
		})
		replies := 0
		teacher.First, teacher.OnReply = first, func(openai.Reply) { replies++ }
		j := newJob(t, teacher)
		j.Fitter.First = first
		got, sum := runJob(t, j, in...)
		require.Equal(t, want, got)
		require.Zero(t, sum.Malformed)
		require.Equal(t, sum.Lists, replies)
		require.Equal(t, 5*sum.Lists, sum.FullTokens)
		require.Equal(t, 1., sum.Mass)
		require.Zero(t, sum.LowMass)
	}
}

// Of a long answer the end counts, however little of it is quoted.
func TestRemoteLongAnswers(t *testing.T) {
	long := "My first idea is [0] > [1] > [2].\n" + strings.Repeat("I look once more at what they say. ", 3000) + "\nFinal ranking: [2] > [1] > [0]"
	teacher := remote(t, func(w http.ResponseWriter, _ string) { reply(w, long, "stop") })
	readings, err := rankAll(t, teacher, []List{{Text: "rank", N: 3}})
	require.NoError(t, err)
	require.Equal(t, []int{2, 1, 0}, readings[0].Order)
}

func TestRemoteReadings(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		want   Reading
		err    string
	}{
		{"a ranking", func(w http.ResponseWriter) { reply(w, "Sure: [2] > [0] > [1]", "stop") },
			Reading{Ranking: read([]int{2, 0, 1}, 3, Repairs{}), Mass: 1, Text: "Sure: [2] > [0] > [1]", Full: 5}, ""},
		{"cut off", func(w http.ResponseWriter) { reply(w, "[2] > [0", "length") },
			Reading{Mass: 1, Text: "[2] > [0", Full: 5, Truncated: true}, `want a whole ranking, got "[2] > [0", cut off: --max-tokens leaves more room`},
		{"cut off behind a whole ranking", func(w http.ResponseWriter) { reply(w, "[2] > [0] > [1]", "length") },
			Reading{Ranking: read([]int{2, 0, 1}, 3, Repairs{}), Mass: 1, Text: "[2] > [0] > [1]", Full: 5}, ""},
		{"cut off behind more", func(w http.ResponseWriter) { reply(w, "[2] > [0] > [1]\nWait", "length") },
			Reading{Mass: 1, Text: "[2] > [0] > [1]\nWait", Full: 5, Truncated: true}, `want a whole ranking, got "[2] > [0] > [1] Wait", cut off`},
		{"cut off in a thought behind a ranking", func(w http.ResponseWriter) { reply(w, "[2] > [0] > [1]<think>", "length") },
			Reading{Mass: 1, Text: "[2] > [0] > [1]<think>", Full: 5, Truncated: true}, "cut off"},
		{"cut off before any text", func(w http.ResponseWriter) { reply(w, "", "length") },
			Reading{Mass: 1, Full: 5, Truncated: true}, `want a whole ranking, got "", cut off: --max-tokens leaves more room`},
		{"a NUL", func(w http.ResponseWriter) { reply(w, "[2] > \x00[0] > [1]", "stop") },
			Reading{Ranking: read([]int{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1}), Mass: 1, Text: "[2] > \x00[0] > [1]", Full: 5}, ""},
		{"a refusal", func(w http.ResponseWriter) { reply(w, "No.", "stop") },
			Reading{Ranking: read([]int{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1}), Mass: 1, Text: "No.", Full: 5}, ""},
		{"filtered", func(w http.ResponseWriter) { reply(w, "", "content_filter") },
			Reading{Ranking: read([]int{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1}), Mass: 1, Full: 5}, "want an answer, got none: content_filter"},
		{"filtered behind a whole ranking", func(w http.ResponseWriter) { reply(w, "[2] > [0] > [1]\nBut", "content_filter") },
			Reading{Mass: 1, Text: "[2] > [0] > [1]\nBut", Full: 5}, `want a whole ranking, got "[2] > [0] > [1] But", cut off: finish reason content_filter`},
		{"aborted", func(w http.ResponseWriter) { reply(w, "[2] > [0]", "abort") },
			Reading{Mass: 1, Text: "[2] > [0]", Full: 5}, `want a whole ranking, got "[2] > [0]", cut off: finish reason abort`},
		{"no choices", func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"choices": []}`)) },
			Reading{Ranking: read([]int{0, 1, 2}, 0, Repairs{Missing: 3, Refusal: 1}), Mass: 1}, "want an answer, got none: no choices"},
		{"an error is no refusal", func(w http.ResponseWriter) { http.Error(w, "too hot", http.StatusInternalServerError) },
			Reading{Mass: 1}, "500 Internal Server Error: too hot"},
	} {
		teacher := remote(t, func(w http.ResponseWriter, _ string) { c.answer(w) })
		got := rankOne(t, teacher, list("p", 3))
		if c.err == "" {
			require.Empty(t, got.Failure, c.name)
		} else {
			require.Contains(t, got.Failure, c.err, c.name)
		}
		c.want.Failure, c.want.Unanswered = got.Failure, got.Unanswered
		require.Equal(t, c.want, got, c.name)
	}
}

// Some servers repeat the prompt, whose example is no answer.
func TestRemoteAnswersWithThePrompt(t *testing.T) {
	prompt := "Rank 3 passages, such as [1] > [0] > [2]:\n\n[0] bread\n[1] ships\n[2] a tun\n"
	for text, want := range map[string][]int{
		prompt:                                   nil,
		prompt + "[2] > [0] > [1]":               {2, 0, 1},
		"user: " + prompt + "\nI cannot.":        nil,
		strings.ReplaceAll(prompt, "\n\n", "\n"): nil,
		"[2] > [0] > [1]\n" + prompt:             {2, 0, 1},
	} {
		teacher := remote(t, func(w http.ResponseWriter, _ string) { reply(w, text, "stop") })
		readings, err := rankAll(t, teacher, []List{{Text: prompt, N: 3}})
		require.NoError(t, err)
		if want == nil {
			require.Equal(t, 1, readings[0].Repairs.Refusal, text)
		} else {
			require.Equal(t, want, readings[0].Order, text)
		}
	}
}

// Of several prompts some fail: their rows are rejected, each for its own
// reason, and the others keep their places.
func TestRemoteFailuresAreTheirRows(t *testing.T) {
	teacher := remote(t, func(w http.ResponseWriter, prompt string) {
		switch {
		case strings.HasPrefix(prompt, "hot"):
			http.Error(w, "too hot", http.StatusInternalServerError)
		case strings.HasPrefix(prompt, "rude"):
			reply(w, "", "content_filter")
		case strings.HasPrefix(prompt, "shy"):
			reply(w, "I'd rather not.", "stop")
		default:
			reply(w, Format(truth(prompt), 0), "stop")
		}
	})
	var in []string
	for _, query := range []string{"a", "hot", "b", "rude", "shy", "c"} {
		in = append(in, strings.Replace(goodLine, `"q"`, `"`+query+`"`, 1))
	}
	j, out := newJob(t, teacher), &lines{}
	j.rejects = true
	sum, err := j.Run(t.Context(), reader(in...), out)
	require.NoError(t, err)
	got := j.reasons
	require.Len(t, got, 3)
	require.Contains(t, got[0], "500 Internal Server Error: too hot")
	require.Equal(t, []string{"4: want an answer, got none: content_filter", `5: want a ranking, got "I'd rather not."`}, got[1:])
	require.Equal(t, []int{3, 3, 3, 6, 2, 1}, []int{sum.Rows, sum.Rejected, sum.NoRanking, sum.Lists, sum.Malformed, sum.Failed})
	require.Equal(t, Repairs{Missing: 4, Refusal: 2}, sum.Repairs)
	for i, query := range []string{"a", "b", "c"} {
		require.Equal(t, query, parseLine(t, all(out)[i]).Query)
	}
}

// What holds for every prompt ends the run, rows that can be skipped or not.
func TestRemoteErrorsEndTheRun(t *testing.T) {
	teacher := remote(t, func(w http.ResponseWriter, _ string) { http.Error(w, "no such key", http.StatusUnauthorized) })
	replies := 0
	teacher.OnReply = func(openai.Reply) { replies++ }
	j, out := newJob(t, teacher), &lines{}
	j.rejects = true
	_, err := j.Run(t.Context(), reader(goodLine, goodLine), out)
	require.ErrorContains(t, err, "401 Unauthorized: no such key")
	require.Empty(t, out.String())
	require.Zero(t, replies)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	j.Teacher = remote(t, func(w http.ResponseWriter, prompt string) {
		cancel()
		reply(w, Format(truth(prompt), 0), "stop")
	})
	_, err = j.Run(ctx, reader(goodLine, goodLine), out)
	require.Equal(t, context.Canceled, err)
	require.Empty(t, out.String())
}
