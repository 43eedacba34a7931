package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/ortscore/ortscore/model"
)

// progress is one line on a terminal, drawn again and again, and elsewhere a line now
// and then. It is safe for concurrent use.
type progress struct {
	ui    *ui
	name  string // of the file
	unit  string // what is counted, in the plural: sequences, lists
	total int    // of these; 0 where it is not known
	bars  *mpb.Progress
	bar   *mpb.Bar // nil elsewhere than on a terminal

	mu      sync.Mutex
	start   time.Time // of this process
	last    time.Time // of the last line
	counted int       // units done, by this process and those before it
	left    float64   // units to do, by their tokens: the longest go first
	work    float64   // units done by this process, likewise
	tokens  int       // of this process
}

// lineEvery is how often progress is written to what is not a terminal.
const lineEvery = 15 * time.Second

// progress begins to show the work on a file of so many units, of which some were done
// by an earlier process. They count as done, but not for the rate.
func (u *ui) progress(name, unit string, total, done int) *progress {
	now := time.Now()
	p := &progress{ui: u, name: printable(name), unit: unit, total: total, start: now, last: now, counted: done, left: float64(total - done)}
	if u.quiet || !u.terminal {
		return p
	}
	p.bars = mpb.New(mpb.WithOutput(u.err), mpb.WithRefreshRate(200*time.Millisecond))
	draw := func(w io.Writer, s decor.Statistics) error {
		_, err := io.WriteString(w, p.line(cmp.Or(s.AvailableWidth, 80)-1)) // some terminals tell no width, and wrap a line that is full
		return err
	}
	p.bar, _ = p.bars.Add(0, mpb.BarFillerFunc(draw), mpb.BarFillerTrim()) // fails only after Wait
	return p
}

// add takes note of work that is done: sequences that have run, or an answer.
func (p *progress) add(b model.BatchStats) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counted += b.Sequences
	p.work += b.Work
	p.tokens += b.Tokens
	if p.bar == nil && !p.ui.quiet && time.Since(p.last) >= lineEvery {
		p.last = time.Now()
		fmt.Fprintf(p.ui.err, "ortscore: %s: %s\n", p.name, p.texts(" of ")[0])
	}
}

// done takes the line off the terminal.
func (p *progress) done() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}

// line is the progress in so many columns of a terminal. The numbers go before the
// name, and that before the bar.
func (p *progress) line(width int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	texts := p.texts("/")
	text := texts[len(texts)-1]
	for _, t := range texts {
		if runewidth.StringWidth(t) <= width {
			text = t
			break
		}
	}
	if name := shortened(p.name, width-runewidth.StringWidth(text)-1); name != "" {
		text = name + " " + text
	}
	if room := min(width-runewidth.StringWidth(text)-1, mostBar); p.total > 0 && room >= leastBar {
		full := (room - 2) * min(p.counted, p.total) / p.total
		text += " [" + strings.Repeat("=", full) + strings.Repeat(" ", room-2-full) + "]"
	}
	return text
}

// The columns of a bar, and the fewest of a name that is shortened.
const (
	leastBar  = 12
	mostBar   = 60
	leastName = 12
)

// texts are the count, the rate and the time left, from the fullest form to the
// shortest. of stands between what is done and the whole.
func (p *progress) texts(of string) []string {
	unit, rate, left := " "+p.unit, ", starting", ""
	if elapsed := time.Since(p.start).Seconds(); p.work > 0 && elapsed > 0 {
		rate = fmt.Sprintf(", %s tokens/s", thousands(int(float64(p.tokens)/elapsed)))
		left = ", " + remaining(elapsed/p.work*max(0, p.left-p.work)) + " left"
	}
	counted := thousands(p.counted)
	if p.total == 0 {
		return []string{counted + unit + rate, counted + unit, counted}
	}
	whole, percent := thousands(p.total), fmt.Sprintf("%d%%", 100*min(p.counted, p.total)/p.total)
	return []string{
		counted + of + whole + unit + rate + left,
		counted + of + whole + unit + left,
		percent + " of " + whole + unit + left,
		counted + of + whole + left,
		percent + left,
		percent,
	}
}

// remaining writes a time that may be days.
func remaining(s float64) string {
	minutes := int(min(s, 1e9) / 60) // 1e9 s are 31 years
	switch {
	case minutes < 60:
		return seconds(s)
	case minutes < 100*60:
		return fmt.Sprintf("%dh%dm", minutes/60, minutes%60)
	}
	return fmt.Sprintf("%dd%dh", minutes/60/24, minutes/60%24)
}

// shortened leaves a name's middle out where it is wider than so many columns, and the
// name where too little of it would be left.
func shortened(name string, width int) string {
	switch {
	case runewidth.StringWidth(name) <= width:
		return name
	case width < leastName:
		return ""
	}
	head := (width - 3) / 2
	return runewidth.Truncate(name, head, "") + runewidth.TruncatePrefix(name, width-head, "...")
}

// printable replaces what would move the cursor or clear a line.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, name)
}
