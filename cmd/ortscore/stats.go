package main

import (
	"fmt"
	"os"
	"strings"
	"time"

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
}

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
func (s *runStats) end(start time.Time, t *teacher, lm *model.LM) {
	elapsed := time.Since(start)
	s.Seconds = elapsed.Seconds()
	s.usage = newUsage(t, s.busy, s.Seconds)
	s.BatchTokens, s.BatchChosen = lm.Budget(), lm.Tuner != nil && lm.Tuner.Settled()
}

// outcome is what the reports of nll and rank begin with.
type outcome struct {
	Version       string   `json:"version"`
	Model         string   `json:"model"`
	Provider      string   `json:"provider"`
	Precision     string   `json:"precision"` // of the teacher's weights
	Outputs       []string `json:"outputs"`
	RejectedFiles []string `json:"rejected_files"`
	Notes         []string `json:"notes"` // those that were printed
	place         string   // what the teacher ran on, for a person
}

// newOutcome makes lists of no files empty, and not null.
func newOutcome(model, provider, precision, place string, done []filePair, rejected, notes []string) outcome {
	o := outcome{place: place, Version: version, Model: model, Provider: provider, Precision: precision, Outputs: []string{},
		RejectedFiles: append([]string{}, rejected...), Notes: append([]string{}, notes...)}
	for _, p := range done {
		o.Outputs = append(o.Outputs, p.out)
	}
	return o
}

// report is what --json writes.
type report struct {
	outcome
	TokensPerSecond float64 `json:"tokens_per_second"`
	asPosNeg        bool    // pos_scores and neg_scores were written
	*nll.Summary
	runStats
}

func (s *scoring) report(sum *nll.Summary, stats *runStats) *report {
	r := &report{
		outcome:  newOutcome(s.teacher.files.Model, string(s.teacher.info.Provider), s.teacher.stored, s.teacher.place(), s.files, s.rejected, s.ui.noted),
		Summary:  sum,
		runStats: *stats,
		asPosNeg: s.flags.fields != nll.TeacherFields,
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

	bar  *progress
	busy time.Duration // of all copies of a local model
}

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
	s.bar.add(model.BatchStats{Sequences: f.Ended, Tokens: f.Tokens, Work: float64(f.Ended)})
}

// replies counts an endpoint's answers.
func (s *decodeStats) replies(replies []openai.Reply) {
	for _, r := range replies {
		s.Requests++
		s.PromptTokens += r.PromptTokens
		s.bar.add(model.BatchStats{Sequences: 1, Tokens: r.PromptTokens + r.CompletionTokens, Work: 1})
	}
}

// rankReport is what rank --json writes.
type rankReport struct {
	outcome
	Broken      int  `json:"broken_datasets"`
	constrained bool // nothing but rankings could be written
	*rank.Summary
	decodeStats
}

func (r *ranking) report(sum *rank.Summary, done []filePair) *rankReport {
	return &rankReport{
		outcome:     newOutcome(r.teacher.name(), r.teacher.provider(), r.teacher.precision(), r.teacher.place(), done, r.rejected, r.ui.noted),
		Broken:      r.broken,
		constrained: r.flags.modelType != remoteModel && r.flags.decode == constrainedDecoding,
		Summary:     sum,
		decodeStats: r.stats,
	}
}
