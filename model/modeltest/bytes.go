package modeltest

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ortscore/ortscore/model"
)

// BytesVocab is the vocabulary of Bytes.
const BytesVocab = 257

// BOS is the token that Bytes puts before a text.
const BOS = 256

// Bytes is a tokenizer with one token a byte, whose id is the byte. As in the
// tokenizers of real models, every byte of a character has the offsets of the
// whole character.
type Bytes struct {
	NoBOS bool // special puts nothing before the text
	Err   string
}

// Encode implements model.Tokenizer. It fails where the text holds Err.
func (b Bytes) Encode(text string, special bool) (model.Encoding, error) {
	if b.Err != "" && strings.Contains(text, b.Err) {
		return model.Encoding{}, fmt.Errorf("want text without %q, got it", b.Err)
	}
	var enc model.Encoding
	if special && !b.NoBOS {
		enc.IDs, enc.Offsets = append(enc.IDs, BOS), append(enc.Offsets, model.Span{})
	}
	for at := 0; at < len(text); {
		_, size := utf8.DecodeRuneInString(text[at:])
		for i := range size {
			enc.IDs = append(enc.IDs, int32(text[at+i]))
			enc.Offsets = append(enc.Offsets, model.Span{From: at, To: at + size})
		}
		at += size
	}
	return enc, nil
}

// Text returns the text of token ids, BOS as "<s>".
func (Bytes) Text(ids []int32) string {
	var out []byte
	for _, id := range ids {
		if id == BOS {
			out = append(out, "<s>"...)
			continue
		}
		out = append(out, byte(id))
	}
	return string(out)
}
