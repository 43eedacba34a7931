// Package progress shows how far the work on a file is: in one line on a terminal, and
// elsewhere in a line now and then.
package progress

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
)

// Options are those of New.
type Options struct {
	Name        string // of the file
	Unit        string // what is counted, in the plural: sequences, lists
	Total, Done int    // of these, and those that an earlier process did; 0 where it is not known

	Terminal io.Writer         // nil for none
	Line     func(text string) // writes a line elsewhere; nil for none
}

// Step is work that is done.
type Step struct {
	Units  int
	Work   float64 // in units, by their tokens: the longest go first
	Tokens int
}

// Bar shows the progress of a file. It is safe for concurrent use.
type Bar struct {
	opts Options
	bars *mpb.Progress
	bar  *mpb.Bar // nil elsewhere than on a terminal

	mu      sync.Mutex
	start   time.Time // of this process
	last    time.Time // of the last line
	counted int       // units done, by this process and those before it
	left    float64   // units to do, by their tokens
	work    float64   // units done by this process, likewise
	tokens  int       // of this process
}

// lineEvery is how often progress is written to what is not a terminal.
const lineEvery = 15 * time.Second

// New begins to show the work on a file. Units that were done before count as done, but
// not for the rate.
func New(o Options) *Bar {
	now := time.Now()
	o.Name = printable(o.Name)
	p := &Bar{opts: o, start: now, last: now, counted: o.Done, left: float64(o.Total - o.Done)}
	if o.Terminal == nil {
		return p
	}
	p.bars = mpb.New(mpb.WithOutput(o.Terminal), mpb.WithRefreshRate(200*time.Millisecond))
	draw := func(w io.Writer, s decor.Statistics) error {
		_, err := io.WriteString(w, p.line(cmp.Or(s.AvailableWidth, 80)-1)) // some terminals tell no width, and wrap a line that is full
		return err
	}
	p.bar, _ = p.bars.Add(0, mpb.BarFillerFunc(draw), mpb.BarFillerTrim()) // fails only after Wait
	return p
}

// Add takes note of work that is done.
func (p *Bar) Add(s Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counted += s.Units
	p.work += s.Work
	p.tokens += s.Tokens
	if p.opts.Line != nil && time.Since(p.last) >= lineEvery {
		p.last = time.Now()
		p.opts.Line(p.opts.Name + ": " + p.texts(" of ")[0])
	}
}

// Close takes the line off the terminal.
func (p *Bar) Close() {
	if p.bar != nil {
		p.bar.Abort(true)
		p.bars.Wait()
	}
}

// line is the progress in so many columns of a terminal. The numbers go before the
// name, and that before the bar.
func (p *Bar) line(width int) string {
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
	if name := shortened(p.opts.Name, width-runewidth.StringWidth(text)-1); name != "" {
		text = name + " " + text
	}
	if room := min(width-runewidth.StringWidth(text)-1, mostBar); p.opts.Total > 0 && room >= leastBar {
		full := (room - 2) * min(p.counted, p.opts.Total) / p.opts.Total
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
func (p *Bar) texts(of string) []string {
	unit, rate, left := " "+p.opts.Unit, ", starting", ""
	if elapsed := time.Since(p.start).Seconds(); p.work > 0 && elapsed > 0 {
		rate = fmt.Sprintf(", %s tokens/s", Thousands(int(float64(p.tokens)/elapsed)))
		left = ", " + Remaining(elapsed/p.work*max(0, p.left-p.work)) + " left"
	}
	counted := Thousands(p.counted)
	if p.opts.Total == 0 {
		return []string{counted + unit + rate, counted + unit, counted}
	}
	whole, percent := Thousands(p.opts.Total), fmt.Sprintf("%d%%", 100*min(p.counted, p.opts.Total)/p.opts.Total)
	return []string{
		counted + of + whole + unit + rate + left,
		counted + of + whole + unit + left,
		percent + " of " + whole + unit + left,
		counted + of + whole + left,
		percent + left,
		percent,
	}
}

// Remaining writes a time that may be days.
func Remaining(s float64) string {
	minutes := int(min(s, 1e9) / 60) // 1e9 s are 31 years
	switch {
	case minutes < 60:
		return Seconds(s)
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

// Thousands writes 1234567 as 1,234,567.
func Thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Seconds writes a time of so many seconds.
func Seconds(s float64) string {
	d := time.Duration(s * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
