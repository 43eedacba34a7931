package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/rank"
)

// ui is the one place that prints. Results go to out; everything else goes to
// err, as "ortscore: ...", lower case and without a full stop.
type ui struct {
	out, err io.Writer
	terminal bool // err is a terminal
	quiet    bool
	streams  bool      // scored rows go to out
	noted    []string  // all notes, for --json
	stopped  sync.Once // a signal has been answered
	failed   error     // the first of print, so that what a full disk swallowed is not passed off as done
}

func newUI(out, err *os.File) *ui {
	return &ui{out: out, err: err, terminal: term.IsTerminal(int(err.Fd()))}
}

// print writes a result to standard output.
func (u *ui) print(text string) {
	if _, err := io.WriteString(u.out, text); u.failed == nil {
		u.failed = err
	}
}

// fail prints an error and what to do about it.
func (u *ui) fail(err error) {
	fmt.Fprintf(u.err, "ortscore: error: %v\n", err)
	if hint := hintOf(err); hint != "" {
		fmt.Fprintf(u.err, "ortscore: hint: %s\n", hint)
	}
}

// notes prints what a person should know though nothing failed. --quiet does not
// silence it: a score that may be wrong is never silent.
func (u *ui) notes(notes []string) {
	u.noted = append(u.noted, notes...)
	for _, n := range notes {
		fmt.Fprintf(u.err, "ortscore: note: %s\n", n)
	}
}

// noteStale says how many rows of an input keep scores that the run has not made.
func (u *ui) noteStale(path string, rows int) {
	if rows > 0 {
		u.notes([]string{fmt.Sprintf("%s: %s with score fields of another kind of run, which stay beside the new ones; --drop-scores removes them", path, count(rows, "row"))})
	}
}

// noteWritten names the outputs of the files before an error, which stay.
func (u *ui) noteWritten(files []filePair) {
	for _, pair := range files {
		u.notes([]string{"wrote " + pair.out + ", before the error"})
	}
}

func (u *ui) section(title string) { u.print(title + "\n") }

func (u *ui) fact(name, format string, args ...any) {
	u.print(fmt.Sprintf("  %-20s %s\n", name, fmt.Sprintf(format, args...)))
}

// summary prints what a run did: as JSON to standard output, or for a person.
func (u *ui) summary(asJSON bool, r *report, stats bool) {
	if asJSON {
		data, _ := json.Marshal(r) // numbers and strings; all numbers are finite
		u.print(string(data) + "\n")
	}
	if u.quiet || asJSON {
		return
	}
	line := u.line
	line("%s, %s scored: %s tokens in %s on %s, %s tokens/s, %.1f%% padding%s", count(r.Rows, "row"), count(r.Passages, "passage"),
		thousands(r.Tokens), seconds(r.Seconds), r.place, thousands(int(r.TokensPerSecond)), 100*share(r.Padding, r.Tokens+r.Padding), weightsText(r.Precision))
	if r.Passages > 0 {
		line("scores from %.4f to %.4f, mean %.4f, spread within a row %.4f", r.Min, r.Max, r.Mean, r.Spread)
	}
	if r.Labelled > 0 {
		line("a positive comes first in %d of %s", r.PosFirst, count(r.Labelled, "row"))
	}
	if r.CutPassages > 0 {
		line("%s cut to fit", count(r.CutPassages, "passage"))
	}
	if r.SpanDiffers > 0 {
		line("%s in which the reference would count other answer tokens (--answer-span reference does as it does)", count(r.SpanDiffers, "row"))
	}
	if r.OneSided > 0 && r.asPosNeg {
		line("%s without pos or without neg, on which FlagEmbedding's fine-tuning fails", count(r.OneSided, "row"))
	}
	u.repeated(r.Repeated)
	if r.Ignored > 0 {
		line("%s with a history, whose pos and neg got no score", count(r.Ignored, "row"))
	}
	if stats {
		u.runStats(&r.runStats)
	}
	u.written(r.Rejected, r.RejectedFiles, r.Outputs)
}

// runStats prints how the model was kept busy, for --stats.
func (u *ui) runStats(s *runStats) {
	chosen := ""
	if s.BatchChosen {
		chosen = ", which this run chose"
	}
	u.line("batches: %s, of at most %s tokens%s, in %s", thousands(s.Batches), thousands(s.BatchTokens), chosen, count(s.Shapes, "shape"))
	if s.Copies > 0 {
		u.line("%s the same as another, which ran for it", count(s.Copies, "sequence"))
	}
	if s.Shared > 0 {
		u.line("%s that sequences begin with in common ran once: %.1f%% saved", count(s.Shared, "token"), 100*share(s.Shared, s.Tokens+s.Shared))
	}
	u.usage(s.usage)
}

// usage prints what a run made of the machine.
func (u *ui) usage(s usage) {
	u.line("copies of the model: %d, idle for %.1f%% of the time; memory: %s MiB at most", s.Models, 100*s.Idle, thousands(int(s.PeakMemory>>20)))
	for _, a := range s.Arenas {
		u.line("arena and weights: %s MiB, %s MiB in use at most; the arena grew %s", thousands(int(a.Held>>20)), thousands(int(a.Peak>>20)), count(int(a.Grown), "time"))
	}
}

// line prints a line for a person.
func (u *ui) line(format string, args ...any) { fmt.Fprintf(u.err, "ortscore: "+format+"\n", args...) }

// lowMassShare is the share of lists on which a teacher that would rather write
// something else is worth a note.
const lowMassShare = 0.1

// rankSummary prints what a run of rank did.
func (u *ui) rankSummary(asJSON bool, r *rankReport, stats bool) {
	if asJSON {
		data, _ := json.Marshal(r)
		u.print(string(data) + "\n")
	}
	if low := share(r.LowMass, r.Lists); low > lowMassShare {
		u.notes([]string{fmt.Sprintf("the teacher gives rankings a probability of %.3f on average, and less than %v in %.0f%% of the lists: it hardly follows the prompt",
			r.Mass, rank.LowMass, 100*low)})
	}
	if u.quiet || asJSON {
		return
	}
	u.line("%s, %s ranked: %s of %s tokens, in %s on %s%s", count(r.Rows, "row"), count(r.Passages, "passage"),
		count(r.Lists, "list"), thousands(r.PromptTokens), seconds(r.Seconds), r.place, weightsText(r.Precision))
	if r.constrained && r.RowSteps > 0 {
		u.line("%s, %s over all rows in place of %s, the tokens of the rankings: %.0f%% saved", count(r.Steps, "step"),
			thousands(r.RowSteps), thousands(r.FullTokens), 100*(1-share(r.RowSteps, r.FullTokens)))
	}
	if r.Labelled > 0 {
		u.line("a positive comes first in %d of %s, the passage that is shown first in %d of %s", r.PosFirst, count(r.Labelled, "row"), r.ShownFirst, count(r.Shown, "ranking"))
	}
	if r.Disagreement > 0 {
		u.line("permutations disagree in %.1f%% of the pairs of passages", 100*r.Disagreement)
	}
	if r.Malformed > 0 {
		p := r.Repairs
		u.line("%d of %s malformed (%.1f%%): missing %d, duplicate %d, out of range %d, wrong form %d, other base %d, revised %d, no ranking %d", r.Malformed, count(r.Lists, "list"),
			100*share(r.Malformed, r.Lists), p.Missing, p.Duplicate, p.OutOfRange, p.WrongForm, p.OtherBase, p.Revised, p.Refusal)
	}
	if r.Truncated > 0 {
		u.line("%d of %s with an answer that was cut off: --max-tokens leaves more room", r.Truncated, count(r.Lists, "list"))
	}
	if r.Failed > 0 {
		u.line("%d of %s without an answer", r.Failed, count(r.Lists, "list"))
	}
	if r.CutPassages > 0 {
		u.line("%s cut to fit", count(r.CutPassages, "passage"))
	}
	if r.OneSided > 0 {
		u.line("%s without pos or without neg, on which FlagEmbedding's fine-tuning fails", count(r.OneSided, "row"))
	}
	u.repeated(r.Repeated)
	if r.EqualScores > 0 {
		u.line("%s without a ranking, with equal scores", count(r.EqualScores, "row"))
	}
	if r.Broken > 0 {
		u.line("%s left out, for the error above", count(r.Broken, "dataset"))
	}
	if stats && r.Models > 0 {
		u.usage(r.usage)
	}
	u.written(r.Rejected, r.RejectedFiles, r.Outputs)
}

// repeated says how many rows hold a passage more than once.
func (u *ui) repeated(rows int) {
	if rows > 0 {
		u.line("%s in which a passage stands more than once, with one score", count(rows, "row"))
	}
}

// written names the files that a run leaves behind.
func (u *ui) written(rejected int, rejectedFiles, outputs []string) {
	if rejected > 0 {
		u.line("%s rejected, see %s", count(rejected, "row"), strings.Join(rejectedFiles, ", "))
	}
	for _, path := range outputs {
		if path != dataset.Stdin {
			u.line("wrote %s", path)
		}
	}
}

// preview prints what --dry-run found out about one file.
func (u *ui) preview(p *preview) {
	u.section(p.pair.in)
	if f := p.first; f != nil {
		mark := func(s string) string { return strings.ReplaceAll(s, "\n", "\n    ") }
		u.fact("first row", "line %d, task %s, %s, of %d to %d tokens, %d cut", f.row, f.task, count(f.passages, "sequence"), f.shortest, f.longest, f.cut)
		u.fact("first text", "%s, of which %s, marked >>> <<<", count(f.tokens, "token"), count(f.answerTokens, "answer token"))
		u.print(fmt.Sprintf("    %s>>>%s<<<%s\n", mark(f.before), mark(f.answer), mark(f.after)))
	}
	if p.count.Rows+p.count.Bad > 0 {
		u.fact("work", "%s, %d bad, %s, %s", count(p.count.Rows, "row"), p.count.Bad, count(p.count.Passages, "passage"), count(p.count.Sequences, "sequence"))
		u.fact("estimate", "%s tokens, %.3g floating point operations", thousands(int(p.tokens)), p.flops)
	}
	u.fact("would write", "%s", p.pair.out)
}

// rankPreview prints what rank --dry-run found out about one file.
func (u *ui) rankPreview(p *rankPreview) {
	u.section(p.pair.in)
	if p.first != nil {
		u.fact("first prompt", "line %d, %s", p.line, count(p.first.N, "passage"))
		u.print("    " + strings.ReplaceAll(p.text, "\n", "\n    ") + "\n")
	}
	if p.count.Rows+p.count.Bad > 0 {
		u.fact("work", "%s, %d bad, %s, %s", count(p.count.Rows, "row"), p.count.Bad, count(p.count.Passages, "passage"), count(p.count.Lists, "list"))
	}
	u.fact("would write", "%s", p.pair.out)
}

// lines writes scored rows to standard output.
func (u *ui) lines() output {
	u.streams = true
	return &stdout{bufio.NewWriter(u.out)}
}

// failInterrupted prints, once, that a signal ended the run.
func (u *ui) failInterrupted() { u.stopped.Do(func() { u.fail(errors.New(u.interrupted())) }) }

// interrupted says what a stopped run leaves behind.
func (u *ui) interrupted() string {
	if u.streams {
		return "interrupted; standard output holds the rows scored before"
	}
	return "interrupted; nothing was written for the file in work"
}

type stdout struct{ w *bufio.Writer }

func (s *stdout) Write(line []byte) error {
	if len(line) >= s.w.Available() {
		_ = s.w.Flush() // so that whole lines are written, wherever the process ends
	}
	_, _ = s.w.Write(line)
	return s.w.WriteByte('\n') // bufio keeps the first error
}
func (s *stdout) Commit() error { return s.w.Flush() }
func (s *stdout) Abort() error  { return s.w.Flush() } // what was scored, in whole lines

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
