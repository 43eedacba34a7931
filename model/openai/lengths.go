package openai

import (
	"fmt"
	"sync"
)

// lengths finds out whether the endpoint cuts prompts without a word: the tokens
// that it counts then stay the same, at the most that it takes, while prompts
// grow. Ollama does so with what is longer than its num_ctx.
type lengths struct {
	mu sync.Mutex

	seen   int // prompts of which the tokens are known
	most   int // the most tokens of a prompt
	at     int // prompts of that many
	least  int // the bytes of the shortest of these
	long   int // and of the longest
	others int // the bytes of the longest prompt of fewer tokens
	told   bool
}

// add counts a prompt, and returns a warning where it shows that prompts are cut;
// "" else, and after the first.
func (l *lengths) add(bytes, tokens int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if tokens == 0 {
		return ""
	}
	l.seen++
	switch {
	case tokens > l.most:
		l.others = max(l.others, l.long)
		l.most, l.at, l.least, l.long = tokens, 1, bytes, bytes
	case tokens < l.most:
		l.others = max(l.others, bytes)
	default:
		l.at++
		l.least, l.long = min(l.least, bytes), max(l.long, bytes)
	}
	if l.told || !l.cut() {
		return ""
	}
	l.told = true
	return fmt.Sprintf("the endpoint counts %d tokens in a prompt of %d bytes and in one of %d: it seems to cut what is longer than its context, and ranks passages that it has not read; "+
		"give it a longer context (num_ctx of Ollama, -c of llama.cpp), or cut passages evenly with --max-length", l.most, l.least, l.long)
}

// leastGrowth is by how many bytes prompts differ that are compared at all.
const leastGrowth = 64

// cut says whether the prompts of most tokens are too unlike to have that many by
// chance. It takes texts in several languages, whose tokens have unlike lengths,
// for what they are: few of them have as many tokens as the longest.
func (l *lengths) cut() bool {
	if l.long-l.least < leastGrowth {
		return false
	}
	grown := float64(l.long) / float64(max(l.least, l.others, 1))
	switch {
	case l.at == 2:
		return grown >= 2
	case l.at >= 3 && grown >= 1.25:
		return true
	}
	spread := float64(l.long) / float64(max(l.least, 1))
	return l.at >= 10 && 20*l.at >= l.seen && spread >= 1.25 || l.at >= 20 && 2*l.at >= l.seen && spread >= 1.05
}
