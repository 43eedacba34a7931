package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/ortscore/ortscore/io/dataset"
	"github.com/ortscore/ortscore/io/durable"
	"github.com/ortscore/ortscore/io/manifest"
	"github.com/ortscore/ortscore/io/progress"
	"github.com/ortscore/ortscore/io/verify"
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

	mu     sync.Mutex
	opened []*durable.Output // of files
}

func newUI(out, err *os.File) *ui {
	return &ui{out: out, err: err, terminal: term.IsTerminal(int(err.Fd()))}
}

// opens takes note of an output.
func (u *ui) opens(out *durable.Output) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.opened = append(u.opened, out)
}

// holds says whether an output holds anything for the next start.
func (u *ui) holds() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.ContainsFunc(u.opened, (*durable.Output).Holds)
}

// abandon lets go of all outputs, where the process ends at once.
func (u *ui) abandon() {
	u.mu.Lock() // for ever
	for _, out := range u.opened {
		out.Abandon()
	}
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
	for _, n := range notes {
		if slices.Contains(u.noted, n) { // a teacher is told of once
			continue
		}
		u.noted = append(u.noted, n)
		fmt.Fprintf(u.err, "ortscore: note: %s\n", n)
	}
}

func (u *ui) section(title string) { u.print(title + "\n") }

func (u *ui) fact(name, format string, args ...any) {
	u.print(fmt.Sprintf("  %-20s %s\n", name, fmt.Sprintf(format, args...)))
}

// json prints a report of numbers, all of which are finite, and strings.
func (u *ui) json(report any) {
	data, _ := json.Marshal(report)
	u.print(string(data) + "\n")
}

// summary prints what a run did: as JSON to standard output, or for a person.
func (u *ui) summary(asJSON bool, r *report, stats bool) {
	if asJSON {
		u.json(r)
	}
	if u.quiet || asJSON || len(r.Outputs) == 0 {
		return
	}
	line := u.line
	line("%s, %s scored: %s tokens in %s on %s, %s tokens/s, %.1f%% padding%s", count(r.Rows, "row"), count(r.Passages, "passage"),
		progress.Thousands(r.Tokens), progress.Seconds(r.Result.Seconds), r.place, progress.Thousands(int(r.TokensPerSecond)), 100*share(r.Padding, r.Tokens+r.Padding), weightsText(r.Precision))
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
	u.line("batches: %s, of at most %s tokens%s, in %s", progress.Thousands(s.Batches), progress.Thousands(s.BatchTokens), chosen, count(s.Shapes, "shape"))
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
	u.line("copies of the model: %d, idle for %.1f%% of the time; memory: %s MiB at most", s.Models, 100*s.Idle, progress.Thousands(int(s.PeakMemory>>20)))
	for _, a := range s.Arenas {
		u.line("arena and weights: %s MiB, %s MiB in use at most; the arena grew %s", progress.Thousands(int(a.Held>>20)), progress.Thousands(int(a.Peak>>20)), count(int(a.Grown), "time"))
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
		u.json(r)
	}
	if low := share(r.LowMass, r.Lists); low > lowMassShare {
		u.notes([]string{fmt.Sprintf("the teacher gives rankings a probability of %.3f on average, and less than %v in %.0f%% of the lists: it hardly follows the prompt",
			r.Mass, rank.LowMass, 100*low)})
	}
	if u.quiet || asJSON || len(r.Outputs) == 0 {
		return
	}
	u.line("%s, %s ranked: %s of %s tokens, in %s on %s%s", count(r.Rows, "row"), count(r.Passages, "passage"),
		count(r.Lists, "list"), progress.Thousands(r.PromptTokens), progress.Seconds(r.Result.Seconds), r.place, weightsText(r.Precision))
	if r.constrained && r.RowSteps > 0 {
		u.line("%s, %s over all rows in place of %s, the tokens of the rankings: %.0f%% saved", count(r.Steps, "step"),
			progress.Thousands(r.RowSteps), progress.Thousands(r.FullTokens), 100*(1-share(r.RowSteps, r.FullTokens)))
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

// merged prints what shards became.
func (u *ui) merged(out string, m *manifest.Manifest) {
	for _, f := range m.Machine {
		if f.Name != "host" && strings.Contains(f.Value, "; ") {
			u.notes([]string{fmt.Sprintf("the shards ran on unlike machines: %s: %s", f.Name, f.Value)})
		}
	}
	u.line("%s, %s, %s merged, which took %s", count(len(m.Shards), "shard"), count(m.Counts.Rows, "row"), count(m.Counts.Passages, "passage"), progress.Seconds(m.Seconds))
	var rejected []string
	if m.Rejected != nil {
		rejected = []string{filepath.Join(filepath.Dir(out), m.Rejected.Name)}
	}
	u.written(m.Counts.Rejected, rejected, []string{out})
}

// verified shows how far a sample is from the scores that were made of it again, of
// which most is allowed.
func (u *ui) verified(d verify.Difference, most float64) error {
	u.section("scored again")
	u.fact("rows", "%s, of which %d differ", progress.Thousands(d.Rows), d.Differ)
	switch {
	case d.Differ == 0:
		u.fact("largest difference", "0")
	case math.IsInf(d.Largest, 1):
		return fmt.Errorf("line %d of the input: want the row that the output has, got another", d.Line)
	default:
		u.fact("largest difference", "%.3g, in line %d of the input", d.Largest, d.Line)
	}
	if d.Largest > most {
		return fmt.Errorf("line %d of the input: want scores within %g of those of the output, got a difference of %.3g", d.Line, most, d.Largest)
	}
	return nil
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
	u.section(p.Input)
	if f := p.First; f != nil {
		for _, about := range f.about {
			u.fact(about[0], "%s", about[1])
		}
		u.print("    " + strings.ReplaceAll(f.Text, "\n", "\n    ") + "\n")
	}
	if p.Done > 0 {
		u.fact("done", "%s, in %s.partial; what follows is of the others", count(p.Done, "row"), p.Output)
	}
	if p.Input != dataset.Stdin {
		u.fact("work", "%s, %d bad, %s, %s", count(p.Rows, "row"), p.Bad, count(p.Passages, "passage"), count(p.Units, p.unit))
	}
	for _, bad := range p.BadRows {
		u.fact("bad row", "%s", bad)
	}
	if more := p.Bad + p.Unfit - len(p.BadRows); more > 0 {
		u.fact("", "and %s more", count(more, "bad row"))
	}
	u.estimate(p)
	u.fact("would write", "%s", p.Output)
}

// estimate prints what --dry-run has found out by a sample.
func (u *ui) estimate(p *preview) {
	if p.Unfit > 0 {
		u.fact("sample", "%d bad of %s that were tokenised", p.Unfit, count(p.Sampled+p.Unfit, "row"))
	}
	if p.Units == 0 {
		return
	}
	text := count(p.Cut, "passage") + " cut"
	if p.Tokens > 0 {
		text = count(p.Tokens, "token") + ", " + text
	}
	if p.FLOPs > 0 {
		text += fmt.Sprintf(", %.3g floating point operations", p.FLOPs)
	}
	u.fact("estimate", "%s", text)
	if t := p.Trial; t != nil && p.Seconds > 0 {
		u.fact("speed", "%.3g rows/s, %s tokens/s, measured in %.2g s", float64(p.Rows)/p.Seconds, progress.Thousands(int(float64(t.Tokens)/t.Seconds)), t.Seconds)
		u.fact("time", "%s, without the model's loading", progress.Remaining(p.Seconds))
	}
}

// progress shows the work on a file.
func (u *ui) progress(name, unit string, total int) *progress.Bar {
	o := progress.Options{Name: name, Unit: unit, Total: total}
	switch {
	case u.quiet:
	case u.terminal:
		o.Terminal = u.err
	default:
		o.Line = func(text string) { u.line("%s", text) }
	}
	return progress.New(o)
}

// failInterrupted prints, once, that a signal ended the run.
func (u *ui) failInterrupted() { u.stopped.Do(func() { u.fail(errors.New(u.interrupted())) }) }

// interrupted says what a stopped run leaves behind.
func (u *ui) interrupted() string {
	if u.streams {
		return "interrupted; standard output holds the rows scored before"
	}
	if u.holds() {
		return "interrupted; what was scored is kept, and the same command goes on from there"
	}
	return "interrupted; nothing was written"
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return progress.Thousands(n) + " " + noun
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
