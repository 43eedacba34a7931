package hf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/daulet/tokenizers"

	"github.com/ortscore/ortscore/model"
)

// byteTokens are the tokens by which a Unigram writes unknown characters, one a
// byte. The library takes neighbouring unknown characters for one and gives each
// of their bytes the span of all of them, so that the answer's first character
// could not be told from the one before it.
type byteTokens struct {
	of map[int32]byte // the byte that a token stands for
	// ruler writes every character of a text as bytes, each with the span of its own
	// character. Its normalizer and pre-tokenizer are the tokenizer's, so that it also
	// measures what they lengthen, shorten or put in.
	ruler *tokenizers.Tokenizer
}

// findBytes makes t.bytes, where the tokenizer wants it.
func (t *Tokenizer) findBytes(file map[string]json.RawMessage) error {
	var m struct {
		Fallback bool            `json:"byte_fallback"`
		Unigram  json.RawMessage `json:"vocab"`
	}
	if err := json.Unmarshal(file["model"], &m); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if !m.Fallback || !bytes.HasPrefix(bytes.TrimSpace(m.Unigram), []byte("[")) {
		return nil // a BPE gives each byte the span of its own character
	}
	b, vocab := &byteTokens{of: map[int32]byte{}}, map[string]int{}
	for i := range 256 {
		name := fmt.Sprintf("<0x%02X>", i)
		vocab[name] = i
		if id, ok := t.vocab[name]; ok {
			b.of[id] = byte(i)
		}
	}
	ruler := map[string]any{
		"version": "1.0", "added_tokens": file["added_tokens"],
		"normalizer": file["normalizer"], "pre_tokenizer": file["pre_tokenizer"],
		"model": map[string]any{"type": "BPE", "byte_fallback": true, "vocab": vocab, "merges": []string{}},
	}
	data, err := json.Marshal(ruler)
	if err != nil {
		return err
	}
	if b.ruler, err = tokenizers.FromBytes(data, t.options()...); err != nil {
		return fmt.Errorf("want a tokenizer.json, got %w", err)
	}
	t.bytes = b
	return nil
}

// spread gives each byte token the span of its own character.
func (b *byteTokens) spread(text string, enc model.Encoding) error {
	var measured *measured
	for i := 0; i < len(enc.IDs); {
		run := b.run(enc, i)
		if utf8.RuneCount(run) > 1 {
			if measured == nil {
				var err error
				if measured, err = b.measure(text); err != nil {
					return err
				}
			}
			copy(enc.Offsets[i:], measured.find(run, enc.Offsets[i]))
		}
		i += max(1, len(run))
	}
	return nil
}

// run returns the bytes of the tokens from i on that share a span.
func (b *byteTokens) run(enc model.Encoding, i int) (run []byte) {
	for k := i; k < len(enc.IDs) && enc.Offsets[k] == enc.Offsets[i]; k++ {
		value, ok := b.of[enc.IDs[k]]
		if !ok {
			break
		}
		run = append(run, value)
	}
	return run
}

// measured is a text by the ruler.
type measured struct {
	bytes   []byte // as normalized; one that UTF-8 does not have for each added token
	offsets []model.Span
	at      int // where the last find ended: runs are looked for in order
}

func (b *byteTokens) measure(text string) (*measured, error) {
	enc, err := raw(b.ruler, text, false)
	if err != nil {
		return nil, err
	}
	m := &measured{offsets: spans(enc)}
	for _, id := range enc.IDs {
		if id > 0xFF {
			id = 0xFF
		}
		m.bytes = append(m.bytes, byte(id))
	}
	return m, nil
}

// find returns the spans of the bytes of a run, which lies in span; nil where it
// is not found.
func (m *measured) find(run []byte, span model.Span) []model.Span {
	for m.at < len(m.offsets) && m.offsets[m.at].From < span.From {
		m.at++
	}
	end := m.at
	for end < len(m.offsets) && m.offsets[end].To <= span.To {
		end++
	}
	at := bytes.Index(m.bytes[m.at:end], run)
	if at < 0 {
		return nil
	}
	from := m.at + at
	m.at = from + len(run)
	return m.offsets[from:m.at]
}
