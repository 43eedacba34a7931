package main

import (
	"github.com/ortscore/ortscore/model"
	"github.com/ortscore/ortscore/nll"
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

// report is what --json writes.
type report struct {
	Version         string   `json:"version"`
	Model           string   `json:"model"`
	Provider        string   `json:"provider"`
	Outputs         []string `json:"outputs"`
	RejectedFiles   []string `json:"rejected_files"`
	TokensPerSecond float64  `json:"tokens_per_second"`
	asPosNeg        bool     // pos_scores and neg_scores were written
	*nll.Summary
	runStats
}

func (s *scoring) report(sum *nll.Summary, stats *runStats) *report {
	r := &report{
		Version:       version,
		Model:         s.teacher.files.Model,
		Provider:      string(s.teacher.lm.Info().Provider),
		Summary:       sum,
		runStats:      *stats,
		asPosNeg:      s.flags.fields != nll.TeacherFields,
		Outputs:       []string{},
		RejectedFiles: []string{},
	}
	if stats.Seconds > 0 {
		r.TokensPerSecond = float64(stats.Tokens) / stats.Seconds
	}
	for _, p := range s.files {
		r.Outputs = append(r.Outputs, p.out)
	}
	r.RejectedFiles = append(r.RejectedFiles, s.rejected...)
	return r
}
