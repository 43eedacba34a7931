package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/ortscore/ortscore/io/job"
	"github.com/ortscore/ortscore/io/progress"
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/openai"
	"github.com/ortscore/ortscore/nll"
	"github.com/ortscore/ortscore/ort"
	"github.com/ortscore/ortscore/rank"
)

// runStats counts the model's work over a run.
type runStats struct {
	Sequences int     `json:"sequences"`
	Copies    int     `json:"identical_sequences"` // of these, the ones that did not run
	Tokens    int     `json:"tokens"`              // that ran, without padding
	Shared    int     `json:"shared_tokens"`       // that did not, since another sequence beside it begins with them
	Padding   int     `json:"padding"`             // tokens
	Batches   int     `json:"batches"`
	Shapes    int     `json:"shapes"`  // unlike [B, T] among them
	Seconds   float64 `json:"seconds"` // scoring, the model's loading left out
	usage
	// BatchTokens is the budget of a batch in the end, and BatchChosen whether the run
	// chose it.
	BatchTokens int  `json:"batch_tokens"`
	BatchChosen bool `json:"batch_tokens_chosen"`

	busy   time.Duration // of all copies of the model
	shapes map[[2]int]struct{}
	lm     *model.LM
	bar    *progress.Bar // of the file in work
}

// show begins a file.
func (s *runStats) show(bar *progress.Bar) { s.bar = bar }

// usage is what a run made of the machine.
type usage struct {
	Models     int     `json:"models"`      // copies that ran side by side
	Idle       float64 `json:"idle"`        // share of the seconds in which they waited
	PeakMemory int64   `json:"peak_memory"` // bytes of the process
	// Arenas are what ONNX Runtime says of its memory on the device, for each copy.
	Arenas []ort.Arena `json:"arenas"`
}

// newUsage takes the copies of the model from what they belong to, while they are open.
func newUsage(t interface {
	models() int
	arenas() []ort.Arena
}, busy time.Duration, seconds float64) usage {
	u := usage{Models: t.models(), Arenas: t.arenas()}
	if all := seconds * float64(u.Models); all > 0 {
		u.Idle = max(0, 1-busy.Seconds()/all)
	}
	u.PeakMemory = processPeak()
	return u
}

// processPeak is the most that the process held in memory, in bytes, 0 where the
// system does not tell. getrusage would count what the parent held when it made
// the process.
func processPeak() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}

func (s *runStats) add(b model.BatchStats) {
	s.bar.Add(progress.Step{Units: b.Sequences, Work: b.Work, Tokens: b.Tokens})
	s.Sequences += b.Sequences
	s.Copies += b.Copies
	s.Tokens += b.Tokens
	s.Shared += b.Shared
	s.Padding += b.Padding
	s.busy += b.Duration
	s.Batches++
	if s.shapes == nil {
		s.shapes = map[[2]int]struct{}{}
	}
	s.shapes[[2]int{b.Rows, b.Tokens + b.Padding}] = struct{}{}
	s.Shapes = len(s.shapes)
}

// end closes the count.
func (s *runStats) end(t *teacher, seconds float64) {
	s.Seconds = seconds
	s.usage = newUsage(t, s.busy, seconds)
	if s.lm == nil { // nothing was left to score
		return
	}
	s.BatchTokens, s.BatchChosen = s.lm.Budget(), s.lm.Tuner != nil && s.lm.Tuner.Settled()
}

// origin is what the reports of nll and rank begin with.
type origin struct {
	Version   string   `json:"version"`
	Model     string   `json:"model"`
	Provider  string   `json:"provider"`
	Precision string   `json:"precision"` // of the teacher's weights
	Notes     []string `json:"notes"`     // those that were printed
	place     string   // what the teacher ran on, for a person
}

func (u *ui) origin(model, provider, precision, place string) origin {
	return origin{version, model, provider, precision, append([]string{}, u.noted...), place}
}

func (t *teacher) origin(ui *ui) origin {
	return ui.origin(t.files.Model, string(t.info.Provider), t.stored, t.place())
}

func rankOrigin(ui *ui, t rankTeacher) origin {
	return ui.origin(t.name(), t.provider(), t.precision(), t.place())
}

// report is what --json writes.
type report struct {
	origin
	job.Result
	TokensPerSecond float64 `json:"tokens_per_second"`
	asPosNeg        bool    // pos_scores and neg_scores were written
	*nll.Summary
	runStats
}

func (f *nllFlags) report(ui *ui, t *teacher, sum *nll.Summary, stats *runStats, out job.Result) *report {
	r := &report{
		origin:   t.origin(ui),
		Result:   out,
		Summary:  sum,
		runStats: *stats,
		asPosNeg: f.fields != nll.TeacherFields,
	}
	if stats.Seconds > 0 {
		r.TokensPerSecond = float64(stats.Tokens) / stats.Seconds
	}
	return r
}

// decodeStats counts a decoding model's work over a run.
type decodeStats struct {
	PromptTokens int     `json:"prompt_tokens"` // without padding
	Padding      int     `json:"padding"`
	Steps        int     `json:"steps"`     // forwards after the prompts
	RowSteps     int     `json:"row_steps"` // the answers that took part in them, added up
	Requests     int     `json:"requests"`  // to an endpoint
	Seconds      float64 `json:"seconds"`   // ranking, the model's loading left out
	usage

	bar  *progress.Bar
	busy time.Duration // of all copies of a local model
}

// show begins a file.
func (s *decodeStats) show(bar *progress.Bar) { s.bar = bar }

// step counts a forward.
func (s *decodeStats) step(f model.StepStats) {
	s.busy += f.Duration
	if f.Prefill {
		s.PromptTokens += f.Tokens
		s.Padding += f.Padding
	} else {
		s.Steps++
		s.RowSteps += f.Rows
	}
	s.bar.Add(progress.Step{Units: f.Ended, Tokens: f.Tokens, Work: float64(f.Ended)})
}

// reply counts an endpoint's answer.
func (s *decodeStats) reply(r openai.Reply) {
	s.Requests++
	s.PromptTokens += r.PromptTokens
	s.bar.Add(progress.Step{Units: 1, Tokens: r.PromptTokens + r.CompletionTokens, Work: 1})
}

// rankReport is what rank --json writes.
type rankReport struct {
	origin
	job.Result
	constrained bool // nothing but rankings could be written
	*rank.Summary
	decodeStats
}

func (f *rankFlags) report(ui *ui, t rankTeacher, sum *rank.Summary, stats *decodeStats, out job.Result) *rankReport {
	stats.Seconds = out.Seconds
	stats.usage = newUsage(t, stats.busy, stats.Seconds)
	return &rankReport{
		origin:      rankOrigin(ui, t),
		Result:      out,
		constrained: f.modelType != remoteModel && f.decode == constrainedDecoding,
		Summary:     sum,
		decodeStats: *stats,
	}
}
