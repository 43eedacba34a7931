package progress

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/stretchr/testify/require"
)

// lineTo writes lines to out.
func lineTo(out *bytes.Buffer) func(string) {
	return func(text string) { fmt.Fprintln(out, text) }
}

// Off a terminal progress is a line now and then, with the rate and the time
// left: half of the work took a minute, so the other half takes another.
func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	p := New(Options{Name: "in.jsonl", Unit: "sequences", Total: 2000, Done: 0, Line: lineTo(&out)})
	p.Add(Step{Units: 100, Work: 400, Tokens: 3000})
	require.Empty(t, out.String(), "not a line for every batch")
	p.start, p.last = time.Now().Add(-time.Minute), time.Now().Add(-lineEvery)
	p.Add(Step{Units: 200, Work: 600, Tokens: 3000})
	require.Regexp(t, `^in.jsonl: 300 of 2,000 sequences, (99|100) tokens/s, 1m0s left\n$`, out.String())
	p.Close()
}

// A run that goes on counts what was done before, and takes neither rate nor time left
// from it: 100 of 1,000 lists took a minute.
func TestProgressGoesOn(t *testing.T) {
	var out bytes.Buffer
	p := New(Options{Name: "in.jsonl", Unit: "lists", Total: 2000, Done: 1000, Line: lineTo(&out)})
	require.Equal(t, "in.jsonl 1,000/2,000 lists, starting [====================                    ]", p.line(79))
	p.start, p.last = time.Now().Add(-time.Minute), time.Now().Add(-lineEvery)
	p.Add(Step{Units: 100, Work: 100, Tokens: 6000})
	require.Regexp(t, `^in.jsonl: 1,100 of 2,000 lists, (99|100) tokens/s, 9m0s left\n$`, out.String())
}

func TestProgressOfUnknownLength(t *testing.T) {
	p := New(Options{Name: "-", Unit: "sequences", Total: 0, Done: 0})
	require.Equal(t, "- 0 sequences, starting", p.line(200))
	p.start = time.Now().Add(-time.Minute)
	p.Add(Step{Units: 1234, Work: 1234, Tokens: 6000})
	require.Regexp(t, `^- 1,234 sequences, (99|100) tokens/s$`, p.line(200))
	require.Equal(t, "- 1,234 sequences", p.line(20))
	require.Equal(t, "1,234 sequences", p.line(16))
}

// What a line of so many columns says: the numbers and their unit, then the name, then
// a bar.
func TestProgressFits(t *testing.T) {
	const long = "/data/teachers/2026-11/llm-embedder-qa.train.jsonl"
	for _, c := range []struct {
		name, unit  string
		total, done int
		width       int
		want        string
	}{
		{"in.jsonl", "lists", 2000, 1000, 200, "in.jsonl 1,100/2,000 lists, 100 tokens/s, 9m0s left [===============================                           ]"},
		{"in.jsonl", "lists", 2000, 1000, 80, "in.jsonl 1,100/2,000 lists, 100 tokens/s, 9m0s left [==============            ]"},
		{"in.jsonl", "lists", 2000, 1000, 40, "in.jsonl 1,100/2,000 lists, 9m0s left"},
		{"in.jsonl", "lists", 2000, 1000, 20, "55%, 9m0s left"},
		{"in.jsonl", "lists", 2000, 1000, 10, "55%"},
		{long, "sequences", 5_000_000, 3_000_000, 200, long + " 3,000,100/5,000,000 sequences, 100 tokens/s, 13d21h left [==================================                        ]"},
		{long, "sequences", 5_000_000, 3_000_000, 80, "/data/teac...rain.jsonl 3,000,100/5,000,000 sequences, 100 tokens/s, 13d21h left"},
		{long, "sequences", 5_000_000, 3_000_000, 40, "60% of 5,000,000 sequences, 13d21h left"},
		{long, "sequences", 5_000_000, 3_000_000, 20, "60%, 13d21h left"},
		{"データ/教師モデルの学習データ.jsonl", "lists", 2000, 1000, 80, "データ/教師モデルの学習データ.jsonl 1,100/2,000 lists, 100 tokens/s, 9m0s left"},
		{"データ/教師モデルの学習データ.jsonl", "lists", 2000, 1000, 60, "データ/....jsonl 1,100/2,000 lists, 100 tokens/s, 9m0s left"},
		{"a\x1b[2Jb\n.jsonl", "lists", 2000, 1000, 80, "a?[2Jb?.jsonl 1,100/2,000 lists, 100 tokens/s, 9m0s left [===========          ]"},
	} {
		p := New(Options{Name: c.name, Unit: c.unit, Total: c.total, Done: c.done})
		p.start = time.Now().Add(-time.Minute)
		p.Add(Step{Units: 100, Work: 100, Tokens: 6030})
		require.Equal(t, c.want, p.line(c.width))
	}
}

// Whatever the name and the numbers, no line is wider than the terminal, and each has
// a number.
func TestProgressIsNeverTooWide(t *testing.T) {
	names := []string{"", "-", "in.jsonl", strings.Repeat("long/", 60) + "in.jsonl", strings.Repeat("訓練", 30) + ".jsonl", strings.Repeat("👩‍👩‍👧", 20), "e\u0301\u0301\u0301.jsonl", "\xff\xfe.jsonl"}
	for _, name := range names {
		for _, total := range []int{0, 1, 9, 1234, 12_345_678, 1_234_567_890} {
			for _, done := range []int{0, total / 3, total} {
				p := New(Options{Name: name, Unit: "sequences", Total: total, Done: done})
				for range 2 {
					for width := 10; width <= 200; width++ {
						line := p.line(width)
						require.LessOrEqual(t, runewidth.StringWidth(line), width, line)
						require.NotContains(t, line, "\n")
						require.Regexp(t, `\d`, line, "%q of %d in %d columns", name, total, width)
						if width >= 40 && total < 1e9 {
							require.Contains(t, line, "sequences", "%d columns", width)
						}
					}
					p.start = time.Now().Add(-2 * time.Hour)
					p.Add(Step{Units: 1, Work: 1 + float64(total)/1000, Tokens: 1e6})
				}
			}
		}
	}
}

// On a terminal the line is gone when the file is done.
func TestProgressBar(t *testing.T) {
	for _, total := range []int{20, 0} {
		var out bytes.Buffer
		p := New(Options{Name: "in.jsonl", Unit: "sequences", Total: total, Done: 0, Terminal: &out})
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { p.Add(Step{Units: 1, Work: 1, Tokens: 30}) })
		}
		all.Wait()
		p.Close()
		require.NotContains(t, out.String(), "\n\n")
		require.Equal(t, 20, p.counted, fmt.Sprint(total))
	}
}
