package rank

import (
	"fmt"
	"slices"
	"sort"

	"github.com/ortscore/ortscore/model"
)

// Fitter makes prompts that fit the context.
type Fitter struct {
	Template  *Template
	First     int // the first identifier
	MaxPrompt int // tokens of a prompt, special tokens included

	// Frame returns the tokens of a prompt as the model will see it, its chat
	// template and special tokens included. It may be called by several goroutines.
	Frame func(prompt string) ([]int32, error)

	// Protect makes a row's text safe to stand in a prompt for Frame, where that makes
	// control tokens of the special tokens of the template; nil where it makes none.
	Protect func(data string) string
}

// Prompt is a filled template.
type Prompt struct {
	Text   string
	Tokens []int32 // of Frame
	Cut    []int   // passages that are not shown whole
}

// Fit fills the template with the passages in shown, one at least, in that order.
// While the prompt is longer than MaxPrompt, all passages are held to one common
// number of tokens, so that the longest give way first, and nothing else does.
// Errors are *dataset.Error.
//
// What a passage adds to a prompt is not quite what it has alone, so that number
// is estimated, tried and put right; as Frame is dear, no more than a few times.
func (f *Fitter) Fit(p *Prepared, shown []int) (Prompt, error) {
	lens := make([]int, len(shown))
	for k, i := range shown {
		lens[k] = p.lens[i]
	}
	longest := slices.Max(lens)
	prompt, err := f.fill(p, shown, longest)
	total := len(prompt.Tokens)
	if err != nil || total <= f.MaxPrompt {
		return prompt, err
	}
	const enough = 8          // by then the estimates do not help, and any limit that fits will do
	fits, over := -1, longest // the highest limit known to fit, the lowest known not to
	limit, fitting := longest, Prompt{}
	for tries := 1; fits < over-1; tries++ {
		limit = evenLimit(lens, shownTokens(lens, limit)+f.MaxPrompt-total)
		if fits >= 0 && (limit <= fits || tries > enough) {
			break
		}
		if tries > enough {
			limit = over / 2
		}
		limit = min(max(limit, fits+1), over-1)
		if prompt, err = f.fill(p, shown, limit); err != nil {
			return Prompt{}, err
		}
		if total = len(prompt.Tokens); total <= f.MaxPrompt {
			fits, fitting = limit, prompt
		} else {
			over = limit
		}
	}
	if fits < 0 {
		return Prompt{}, p.row.Errorf("query", "want a prompt of at most %d tokens, got %d with all passages empty", f.MaxPrompt, total)
	}
	return fitting, nil
}

// checkQuery refuses a query that alone has more tokens than a prompt may have,
// without tokenising all of it.
func (f *Fitter) checkQuery(tok model.Tokenizer, p *Prepared) error {
	if f.MaxPrompt >= len(p.query) {
		return nil
	}
	long, err := model.ExceedsAlone(tok, p.query, f.MaxPrompt)
	if long {
		err = fmt.Errorf("want a prompt of at most %d tokens, got more in a query of %d bytes", f.MaxPrompt, len(p.query))
	}
	if err != nil {
		return p.row.Errorf("query", "%v", err)
	}
	return nil
}

// fill makes the prompt with passages of at most limit tokens, which is no more
// than the longest of them has.
func (f *Fitter) fill(p *Prepared, shown []int, limit int) (out Prompt, err error) {
	texts := make([]string, len(shown))
	for k, i := range shown {
		texts[k] = p.cut(i, limit)
		if limit < len(p.encodings[i].IDs) {
			out.Cut = append(out.Cut, i)
		}
	}
	out.Text = f.Template.Fill(p.query, texts, f.First)
	framed := out.Text
	if f.Protect != nil {
		for k := range texts {
			texts[k] = f.Protect(texts[k])
		}
		framed = f.Template.Fill(f.Protect(p.query), texts, f.First)
	}
	if out.Tokens, err = f.Frame(framed); err != nil {
		return Prompt{}, p.row.Errorf("", "%v", err)
	}
	return out, nil
}

// shownTokens returns how many tokens are left when none has more than limit.
func shownTokens(lens []int, limit int) int {
	total := 0
	for _, n := range lens {
		total += min(n, limit)
	}
	return total
}

// evenLimit returns the highest limit that leaves at most so many tokens, 0 where
// none does, and the longest passage's where all do.
func evenLimit(lens []int, tokens int) int {
	return sort.Search(slices.Max(lens), func(limit int) bool { return shownTokens(lens, limit+1) > tokens })
}
