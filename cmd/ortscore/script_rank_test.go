package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ortscore/ortscore/io/dataset"
)

// lists FILE N PASSAGES
//
// adds n rows of so many passages, one of them pos. Each passage ends in its
// grade: 1 for the best, which stands anywhere.
func manyLists(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	size, err := strconv.Atoi(args[2])
	ts.Check(err)
	words := strings.Fields("river bread salt mountain valley water sea music garden winter")
	var b strings.Builder
	for i := range n {
		passages := make([]string, size)
		for k := range passages {
			text := strings.Join(slices.Repeat(words[(i+k)%len(words):][:1], (i+k)%3+1), " ")
			passages[k] = fmt.Sprintf("%s of grade %d", text, (k*7+i)%size+1)
		}
		pos, _ := json.Marshal(passages[:1])
		neg, _ := json.Marshal(passages[1:])
		fmt.Fprintf(&b, `{"query": "what is %s %d", "pos": %s, "neg": %s}`+"\n", words[i%len(words)], i, pos, neg)
	}
	appendFile(ts, args[0], b.String())
}

// rankedRow is a line that ortscore rank wrote.
type rankedRow struct {
	Pos, Neg  []string
	PosScores []json.Number `json:"pos_scores"`
	NegScores []json.Number `json:"neg_scores"`

	passages []string // pos, neg
	scores   []float64
}

// readRanked reads ranked lines: scores parallel to pos and neg, all of them
// floats.
func readRanked(ts *testscript.TestScript, path string) []rankedRow {
	var rows []rankedRow
	in := dataset.NewReader(path, strings.NewReader(ts.ReadFile(path)))
	for {
		row, err := in.Next()
		if err == io.EOF {
			return rows
		}
		ts.Check(err)
		var r rankedRow
		ts.Check(json.Unmarshal(row.Raw, &r))
		if len(r.PosScores) != len(r.Pos) || len(r.NegScores) != len(r.Neg) {
			ts.Fatalf("%s:%d: want scores parallel to %d pos and %d neg, got %v and %v", path, row.Line, len(r.Pos), len(r.Neg), r.PosScores, r.NegScores)
		}
		r.passages = slices.Concat(r.Pos, r.Neg)
		for _, n := range slices.Concat(r.PosScores, r.NegScores) {
			v, err := n.Float64()
			ts.Check(err)
			if !strings.ContainsAny(n.String(), ".e") {
				ts.Fatalf("%s:%d: want a float, got %s", path, row.Line, n)
			}
			r.scores = append(r.scores, v)
		}
		rows = append(rows, r)
	}
}

// scoreOfRank gives what a passage of rank 1, 2, ... of n scores.
var scoreOfRank = map[string]func(rank, n float64) float64{
	"reciprocal": func(rank, _ float64) float64 { return 1 / rank },
	"linear":     func(rank, n float64) float64 { return (n - rank + 1) / n },
	"dcg":        func(rank, _ float64) float64 { return 1 / math.Log2(rank+1) },
	"reference":  func(rank, _ float64) float64 { return 1 / max(1, rank-1) },
}

// ranked FILE KIND N...
//
// wants a line for each n, whose scores are those of the ranks 1 to n. For the
// kind confidence their exponentials add up to 1.
func rankedScores(ts *testscript.TestScript, _ bool, args []string) {
	rows := readRanked(ts, args[0])
	if len(rows) != len(args)-2 {
		ts.Fatalf("want %d lines, got %d", len(args)-2, len(rows))
	}
	for i, r := range rows {
		if want := args[i+2]; strconv.Itoa(len(r.scores)) != want {
			ts.Fatalf("line %d: want %s scores, got %d", i+1, want, len(r.scores))
		}
		sorted := slices.Sorted(slices.Values(r.scores))
		slices.Reverse(sorted)
		sum := 0.0
		for k, score := range sorted {
			sum += math.Exp(score)
			if of := scoreOfRank[args[1]]; of != nil && math.Abs(score-of(float64(k+1), float64(len(sorted)))) > 1e-6 {
				ts.Fatalf("line %d: want the %s scores of %d ranks, got %v", i+1, args[1], len(sorted), sorted)
			}
		}
		if args[1] == "confidence" && math.Abs(sum-1) > 1e-5 {
			ts.Fatalf("line %d: want logarithms of shares of 1, got a sum of %v", i+1, sum)
		}
	}
}

// graded FILE TOP
//
// wants the TOP passages of each line that score highest to be those of grades
// 1, 2, ... TOP.
func gradedScores(ts *testscript.TestScript, _ bool, args []string) {
	top, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i, r := range readRanked(ts, args[0]) {
		order := make([]int, len(r.scores))
		for k := range order {
			order[k] = k
		}
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(r.scores[b], r.scores[a]) })
		for place, k := range order[:top] {
			if grade(r.passages[k]) != place+1 {
				ts.Fatalf("line %d: want grade %d at rank %d, got %q", i+1, place+1, place+1, r.passages[k])
			}
		}
	}
}

// grade is the number at the end of a passage.
func grade(passage string) int {
	n, _ := strconv.Atoi(passage[strings.LastIndexByte(passage, ' ')+1:])
	return n
}

// sameorder FILE1 FILE2
//
// wants no two passages of a line that one file has in one order and the other
// the other way round; ! sameorder wants such.
func sameOrder(ts *testscript.TestScript, neg bool, args []string) {
	a, b := readRanked(ts, args[0]), readRanked(ts, args[1])
	if len(a) != len(b) || len(a) == 0 {
		ts.Fatalf("want files with as many lines, got %d and %d", len(a), len(b))
	}
	turned := false
	for i := range a {
		for x := range a[i].scores {
			for y := range x {
				turned = turned || (a[i].scores[x]-a[i].scores[y])*(b[i].scores[x]-b[i].scores[y]) < 0
			}
		}
	}
	if turned != neg {
		ts.Fatalf("want the same rankings: %v", !neg)
	}
}

// near FILE1 FILE2
//
// wants the same scores to 1e-4.
func nearScores(ts *testscript.TestScript, _ bool, args []string) {
	var scores [2][][]float64
	for i := range scores {
		for _, r := range readRanked(ts, args[i]) {
			scores[i] = append(scores[i], r.scores)
		}
	}
	if difference := farthest(scores[0], scores[1]); !(difference <= 1e-4) {
		ts.Fatalf("want the same scores, got a difference of %v", difference)
	}
}

// endpoint MODE [FILE | STATUS CODE]
//
// starts an OpenAI-compatible server that ranks passages by their grades, and
// puts its base URL into $ENDPOINT. A query that holds "weapon" it refuses to
// answer. The modes are
//
//	good     answers, the requests that come later sooner
//	shaky    refuses each prompt twice, with 429 and 500, and answers then
//	down     always 500
//	locked   401 with the Authorization header in its message
//	once     answers the first request and locks then
//	silent   never answers
//	cold     refuses a temperature
//	echo     answers with the Authorization header and the address, in several spellings
//	empty    answers with an empty text
//	half     answers every other request so
//	moved    redirects to an address with the key
//	cuts     counts 50 tokens in every prompt
//	refuses  always STATUS, with CODE in the error
//	written  answers to "case 3" what line 3 of FILE, from 0, has for a choice
func startEndpoint(ts *testscript.TestScript, _ bool, args []string) {
	e := &endpoint{mode: args[0], tries: map[string]int{}}
	switch e.mode {
	case "written":
		e.written = strings.Split(ts.ReadFile(args[1]), "\n")
	case "refuses":
		status, err := strconv.Atoi(args[1])
		ts.Check(err)
		e.status, e.code = status, args[2]
	}
	server := httptest.NewServer(e)
	ts.Defer(server.Close)
	ts.Setenv("ENDPOINT", server.URL+"/v1")
}

// asked FILE
//
// writes what the endpoint was sent: a line for each request, its Authorization
// header and its body.
func askedEndpoint(ts *testscript.TestScript, _ bool, args []string) {
	resp, err := http.Get(ts.Getenv("ENDPOINT"))
	ts.Check(err)
	defer resp.Body.Close()
	log, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), log, 0o666))
}

type endpoint struct {
	mode    string
	written []string
	status  int // with which it refuses, and the code beside it
	code    string

	mu    sync.Mutex
	tries map[string]int // by body
	log   []string
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	key := r.Header.Get("Authorization")
	e.mu.Lock()
	n := len(e.log)
	if r.Method == http.MethodGet {
		fmt.Fprint(w, strings.Join(e.log, ""))
		e.mu.Unlock()
		return
	}
	e.log = append(e.log, key+" "+string(body)+"\n")
	e.tries[string(body)]++
	try := e.tries[string(body)]
	e.mu.Unlock()

	refuse := func(status int, message string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error": {"message": %q}}`, message)
	}
	switch {
	case e.mode == "refuses":
		w.WriteHeader(e.status)
		fmt.Fprintf(w, `{"error": {"message": "no", "code": %q}}`, e.code)
	case e.mode == "shaky" && try == 1:
		refuse(http.StatusTooManyRequests, "slow down")
	case e.mode == "shaky" && try == 2, e.mode == "down":
		refuse(http.StatusInternalServerError, "out of order")
	case e.mode == "locked", e.mode == "once" && n > 0:
		refuse(http.StatusUnauthorized, "no such key: "+key)
	case e.mode == "written":
		k, _ := strconv.Atoi(writtenCase.FindStringSubmatch(string(body))[1])
		fmt.Fprintf(w, `{"choices": [%s], "usage": {"prompt_tokens": 100, "completion_tokens": 10}}`, e.written[k])
	case e.mode == "silent":
		<-r.Context().Done()
	case e.mode == "cold" && strings.Contains(string(body), `"temperature":`):
		refuse(http.StatusBadRequest, "Unsupported value: 'temperature' does not support 0 with this model.")
	case e.mode == "echo":
		say(w, fmt.Sprintf("I was asked with %s at %s, also %s and %q", key, r.RequestURI, url.QueryEscape(key), url.PathEscape(key)), 100)
	case e.mode == "moved":
		http.Redirect(w, r, "http://127.0.0.1:1/"+url.PathEscape(strings.TrimPrefix(key, "Bearer ")), http.StatusFound)
	case e.mode == "empty", e.mode == "half" && n%2 == 1:
		say(w, "", 100)
	case e.mode == "cuts":
		say(w, answer(body), 50)
	default:
		time.Sleep(time.Duration(4-n%4) * 5 * time.Millisecond)
		say(w, answer(body), 100)
	}
}

// reset forgets what was asked, and says how many requests that were.
func (e *endpoint) reset() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(e.log)
	e.log, e.tries = nil, map[string]int{}
	return n
}

// say writes a completion of a prompt of so many tokens.
func say(w io.Writer, text string, tokens int) {
	content, _ := json.Marshal(text)
	fmt.Fprintf(w, `{"choices": [{"message": {"content": %s}, "finish_reason": "stop"}], "usage": {"prompt_tokens": %d.0, "completion_tokens": 10}}`, content, tokens)
}

var writtenCase = regexp.MustCompile(`case (\d+)`)

var shownPassage = regexp.MustCompile(`(?m)^\[(\d+)\] (.*)$`)

// answer ranks the passages of a request by their grades.
func answer(body []byte) string {
	var request struct{ Messages []struct{ Content string } }
	if err := json.Unmarshal(body, &request); err != nil || len(request.Messages) != 1 {
		return "want one message"
	}
	prompt := request.Messages[0].Content
	if strings.Contains(prompt, "weapon") {
		return "I am sorry, I cannot help with that."
	}
	ids := map[int]string{} // by grade
	for _, m := range shownPassage.FindAllStringSubmatch(prompt, -1) {
		ids[grade(m[2])] = "[" + m[1] + "]"
	}
	var ranking []string
	for _, g := range slices.Sorted(maps.Keys(ids)) {
		ranking = append(ranking, ids[g])
	}
	return "Ranking: " + strings.Join(ranking, " > ")
}
