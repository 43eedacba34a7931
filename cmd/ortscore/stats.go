package main

import (
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/model/openai"
	"github.com/ortscore/ortscore/nll"
	"github.com/ortscore/ortscore/rank"
)

// runStats counts the model's work over a run.
type runStats struct {
	Sequences int     `json:"sequences"`
	Tokens    int     `json:"tokens"`  // without padding
	Padding   int     `json:"padding"` // tokens
	Batches   int     `json:"batches"`
	Seconds   float64 `json:"seconds"` // scoring, the model's loading left out
}

func (s *runStats) add(b model.BatchStats) {
	s.Sequences += b.Sequences
	s.Tokens += b.Tokens
	s.Padding += b.Padding
	s.Batches++
}

// outcome is what the reports of nll and rank begin with.
type outcome struct {
	Version       string   `json:"version"`
	Model         string   `json:"model"`
	Provider      string   `json:"provider"`
	Precision     string   `json:"precision"` // of the teacher's weights
	Outputs       []string `json:"outputs"`
	RejectedFiles []string `json:"rejected_files"`
}

// newOutcome makes lists of no files empty, and not null.
func newOutcome(model, provider, precision string, done []filePair, rejected []string) outcome {
	o := outcome{Version: version, Model: model, Provider: provider, Precision: precision, Outputs: []string{}, RejectedFiles: append([]string{}, rejected...)}
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
		outcome:  newOutcome(s.teacher.files.Model, string(s.teacher.lm.Info().Provider), s.teacher.stored, s.files, s.rejected),
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

	bar *progress
}

// step counts a forward.
func (s *decodeStats) step(f model.StepStats) {
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
		outcome:     newOutcome(r.teacher.name(), r.teacher.provider(), r.teacher.precision(), done, r.rejected),
		Broken:      r.broken,
		constrained: r.flags.modelType != remoteModel && r.flags.decode == constrainedDecoding,
		Summary:     sum,
		decodeStats: r.stats,
	}
}
