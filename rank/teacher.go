package rank

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"unicode/utf8"

	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/openai"
)

// List is what a teacher is shown: a prompt with N numbered passages.
type List struct {
	Text   string
	Tokens []int32 // of the prompt, with all that a local model wants round it
	N      int
}

// Reading is the ranking that a teacher gave a list.
type Reading struct {
	Ranking              // of what it wrote; none where Repairs.Refusal or Failure is set
	Confidence []float64 `json:"confidence,omitempty"` // [n] by rank, as Decoded has it; nil where it is not known
	Mass       float64   `json:"mass"`                 // as Decoded has it; 1 where it is not known
	Text       string    `json:"text,omitempty"`       // what it wrote, where that was free
	Full       int       `json:"full"`                 // tokens that the ranking has, with an end of text
	Truncated  bool      `json:"truncated,omitempty"`  // the answer was cut off before its ranking was whole
	Failure    string    `json:"failure,omitempty"`    // why there is no ranking

	// Unanswered is the endpoint's error where it gave no answer.
	Unanswered error `json:"-"`
}

// Passing implements job.Passing: an endpoint that was away is asked again.
func (r Reading) Passing() bool {
	var failed *openai.Error
	return errors.As(r.Unanswered, &failed) && failed.Temporary()
}

// Teacher ranks lists, and gives each reading to done as it comes, by one goroutine at a
// time. The error is for what ends the run, which an error of done does; what befalls
// one list is in its Reading.
type Teacher interface {
	Rank(ctx context.Context, lists []List, done func(i int, r Reading) error) error
}

// Local is a teacher that runs here.
type Local struct {
	Generator *model.Generator
	Seed      uint64 // of sampling

	Grammar *Grammar // nil for free decoding, which needs the following
	Decode  func(ids []int32) (string, error)
	MaxNew  int      // tokens written
	Stop    []string // texts that end the answer, and are not part of it
	First   int      // the first identifier
	// Opening is the mark of a thought that the prompt leaves open, and the answer goes
	// on in: see OpenThought.
	Opening string

	// Failures, if set, ends the run where nothing comes of it.
	Failures *Failures
}

// Rank implements Teacher. While free text is on trial, it is a few lists at once.
func (l *Local) Rank(ctx context.Context, lists []List, done func(i int, r Reading) error) error {
	for from := 0; from < len(lists); {
		to := len(lists)
		if n := l.Failures.trial(); l.Grammar == nil && n > 0 {
			to = min(from+n, to)
		}
		err := l.Generator.Generate(ctx, l.prompts(lists[from:to]), func(i int, g model.Generated) error {
			r, err := l.read(lists[from+i], g)
			if err != nil {
				return err
			}
			if err := done(from+i, r); err != nil {
				return err
			}
			return l.Failures.add(r)
		})
		if err != nil {
			return err
		}
		from = to
	}
	return nil
}

func (l *Local) prompts(lists []List) []model.Prompt {
	prompts := make([]model.Prompt, len(lists))
	for i, list := range lists {
		prompts[i] = model.Prompt{Tokens: list.Tokens, MaxNew: l.MaxNew, Seed: l.seed(list)}
		if l.Grammar != nil {
			prompts[i].Guide, prompts[i].MaxNew = l.Grammar.Guide(list.N), l.Grammar.Room(list.N)
		} else if len(l.Stop) > 0 {
			prompts[i].Done = l.stopped
		}
	}
	return prompts
}

// seed depends on the list alone, so that a ranking does not depend on its place
// in the file.
func (l *Local) seed(list List) uint64 {
	h := fnv.New64a()
	h.Write([]byte(list.Text))
	return l.Seed ^ h.Sum64()
}

func (l *Local) read(list List, g model.Generated) (Reading, error) {
	var nonFinite *model.NonFiniteError
	switch {
	case errors.As(g.Err, &nonFinite):
		return Reading{Failure: g.Err.Error(), Mass: 1}, nil
	case g.Err != nil: // not this list's fault
		return Reading{}, g.Err
	case l.Grammar == nil:
		return l.readFree(list, g), nil
	}
	d, err := l.Grammar.Read(list.N, g.Tokens, g.Choices)
	if err != nil {
		return Reading{}, err
	}
	return Reading{Ranking: Ranking{Order: d.Order, Found: list.N}, Confidence: d.Confidence, Mass: d.Mass, Full: l.Grammar.Full(d.Order) + 1}, nil
}

// readFree reads what was written freely. What is no text, such as a NUL for some
// tokenizers, is no ranking.
func (l *Local) readFree(list List, g model.Generated) Reading {
	text, err := l.text(g.Tokens)
	if err != nil {
		return Reading{Failure: fmt.Sprintf("want a ranking, got tokens that are no text: %v", err), Mass: 1, Full: len(g.Tokens)}
	}
	out := readText(l.Opening, text, text, list.N, l.First, g.Stop == model.StopLength)
	out.Full = len(g.Tokens)
	return out
}

// readText reads an answer in free text, which goes on in opening, and of which shown
// may be quoted. Where it was cut off, only a whole ranking at its end is one: more
// could have followed.
func readText(opening, text, shown string, n, first int, cut bool) Reading {
	ranking, closed := parse(opening+text, n, first)
	if cut && !closed {
		return Reading{Mass: 1, Text: shown, Truncated: true,
			Failure: "want a whole ranking, got " + abridged(shown) + ", cut off: --max-tokens leaves more room"}
	}
	return Reading{Ranking: ranking, Mass: 1, Text: shown}
}

// text is what was written, up to a stop string.
func (l *Local) text(ids []int32) (string, error) {
	text, err := l.Decode(ids)
	for _, stop := range l.Stop {
		text, _, _ = strings.Cut(text, stop)
	}
	return text, err
}

// stopped tells when free text has ended: at a stop string. A whole ranking is no
// end, since another one may follow, and then that counts.
func (l *Local) stopped(ids []int32) bool {
	whole, err := l.Decode(ids)
	if err != nil {
		return true // read reports it
	}
	text, _ := l.text(ids)
	return len(text) < len(whole)
}

// Remote is a teacher behind an OpenAI-compatible endpoint.
type Remote struct {
	Client *openai.Client
	First  int // the first identifier
	// OnReply, if set, is called with each reply.
	OnReply func(reply openai.Reply)

	// Failures, if set, ends the run where nothing comes of it.
	Failures *Failures
}

// Rank implements Teacher.
func (r *Remote) Rank(ctx context.Context, lists []List, done func(i int, r Reading) error) error {
	prompts := make([]string, len(lists))
	for i, list := range lists {
		prompts[i] = list.Text
	}
	_, err := r.Client.Complete(ctx, prompts, func(i int, reply openai.Reply) error {
		if r.OnReply != nil {
			r.OnReply(reply)
		}
		reading := r.hide(r.read(lists[i], reply))
		if err := done(i, reading); err != nil {
			return err
		}
		return r.Failures.add(reading)
	})
	return err
}

// hide blanks the key in what may be shown of a reading: a model may repeat what a
// gateway has put into its prompt.
func (r *Remote) hide(out Reading) Reading {
	out.Text, out.Failure = r.Client.Hide(out.Text), r.Client.Hide(out.Failure)
	return out
}

func (r *Remote) read(list List, reply openai.Reply) Reading {
	if reply.Err != nil { // it said nothing that could be repaired
		return Reading{Failure: reply.Err.Error(), Unanswered: reply.Err, Mass: 1}
	}
	text := withoutPrompt(reply.Text, list.Text)
	empty := strings.TrimSpace(text) == ""
	broken := reply.Broken() && !empty
	// What is quoted is without the key before it is cut short, perhaps within the key.
	shown := r.Client.Hide(text)
	out := readText("", text, shown, list.N, r.First, reply.Truncated() || broken)
	out.Full = reply.CompletionTokens
	switch {
	case out.Truncated && broken:
		out.Truncated = false
		out.Failure = "want a whole ranking, got " + abridged(shown) + ", cut off: finish reason " + reply.Finish
	case out.Truncated || !empty:
	case strings.TrimSpace(reply.Text) != "":
		out.Failure = "want an answer, got the prompt"
	case reply.Finish != "":
		out.Failure = "want an answer, got none: " + reply.Finish
	}
	return out
}

// leastPrompt is how long a prompt is at least that is looked for in an answer, in
// bytes without white space.
const leastPrompt = 32

// withoutPrompt removes the prompt from an answer, as some servers repeat it. White
// space may differ.
func withoutPrompt(text, prompt string) string {
	sought, _ := withoutSpace(prompt)
	if len(sought) < leastPrompt {
		return text
	}
	var out strings.Builder
	bytes, at := withoutSpace(text)
	from := 0 // in text
	for k := strings.Index(bytes, sought); k >= 0; k = strings.Index(bytes, sought) {
		out.WriteString(text[from:at[k]] + "\n")
		from = at[k+len(sought)-1] + 1
		bytes, at = bytes[k+len(sought):], at[k+len(sought):]
	}
	return out.String() + text[from:]
}

// withoutSpace returns the bytes of a text that are no white space, and where each
// of them stands.
func withoutSpace(text string) (bytes string, at []int) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		for end := i + size; i < end; i++ {
			if !isSpace(r) {
				out, at = append(out, text[i]), append(at, i)
			}
		}
	}
	return string(out), at
}
