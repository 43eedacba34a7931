package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/daulet/tokenizers"

	"github.com/ortscore/ortscore/model"
)

// Tokenizer is a tokenizer.json. It implements model.Tokenizer and is safe for
// use by several goroutines.
type Tokenizer struct {
	tok *tokenizers.Tokenizer

	// Size is one more than the largest token id, special tokens included.
	Size int
	// Before and After are the special tokens that tokenizer.json itself puts
	// round a text, such as BOS and EOS. Encode keeps Before and drops After.
	Before, After []int32
}

// LoadTokenizer reads a tokenizer.json.
func LoadTokenizer(path string) (*Tokenizer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	data, size, err := prepare(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	tok, err := tokenizers.FromBytes(data, tokenizers.WithEncodeSpecialTokens())
	if err != nil {
		return nil, fmt.Errorf("%s: want a tokenizer.json, got %w", path, err)
	}
	t := &Tokenizer{tok: tok, Size: size}
	if err := t.findSpecial(); err != nil {
		_ = t.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// prepare takes truncation and padding out of a tokenizer.json and finds the
// vocabulary's size. Many published files carry a truncation to a few hundred
// tokens, left over from training: it would cut the answer off without a word.
func prepare(data []byte) (clean []byte, size int, err error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, 0, fmt.Errorf("want a tokenizer.json, got broken JSON: %w", err)
	}
	if file["model"] == nil {
		return nil, 0, errors.New("want a tokenizer.json with a model, got none")
	}
	delete(file, "truncation")
	delete(file, "padding")
	if size, err = vocabSize(file); err != nil {
		return nil, 0, err
	}
	clean, err = json.Marshal(file)
	return clean, size, err
}

// vocabSize returns one more than the largest id in the vocabulary and among
// the added tokens: ids may have holes, so counting the tokens is not enough.
func vocabSize(file map[string]json.RawMessage) (int, error) {
	var m struct{ Vocab json.RawMessage }
	if err := json.Unmarshal(file["model"], &m); err != nil {
		return 0, fmt.Errorf("model: %w", err)
	}
	if len(m.Vocab) == 0 {
		return 0, errors.New("model.vocab: want a vocabulary, got none")
	}
	size := 0
	if bytes.HasPrefix(bytes.TrimSpace(m.Vocab), []byte("[")) { // Unigram: [[token, score], ...]
		var list []json.RawMessage
		if err := json.Unmarshal(m.Vocab, &list); err != nil {
			return 0, fmt.Errorf("model.vocab: %w", err)
		}
		size = len(list)
	} else {
		var ids map[string]int
		if err := json.Unmarshal(m.Vocab, &ids); err != nil {
			return 0, fmt.Errorf("model.vocab: %w", err)
		}
		for _, id := range ids {
			size = max(size, id+1)
		}
	}
	var added []struct{ ID int }
	if raw := file["added_tokens"]; raw != nil {
		if err := json.Unmarshal(raw, &added); err != nil {
			return 0, fmt.Errorf("added_tokens: %w", err)
		}
	}
	for _, a := range added {
		size = max(size, a.ID+1)
	}
	return size, nil
}

// findSpecial learns from one encoding what the tokenizer puts round a text.
func (t *Tokenizer) findSpecial() error {
	enc, err := t.encode("a", true)
	if err != nil {
		return err
	}
	mask, ids := enc.SpecialTokensMask, toInt32(enc.IDs)
	from, to := 0, len(ids)
	for from < to && mask[from] == 1 {
		from++
	}
	for to > from && mask[to-1] == 1 {
		to--
	}
	t.Before, t.After = ids[:from], ids[to:]
	return nil
}

// Encode implements model.Tokenizer. The reference keeps BOS and removes a
// trailing EOS (FlagEmbedding, research/llm_embedder/run_lm_score.py); so does
// this, for whatever tokens stand there.
func (t *Tokenizer) Encode(text string, special bool) (model.Encoding, error) {
	enc, err := t.encode(text, special)
	if err != nil {
		return model.Encoding{}, err
	}
	n := len(enc.IDs)
	if special {
		n -= len(t.After)
	}
	out := model.Encoding{IDs: toInt32(enc.IDs[:n]), Offsets: make([]model.Span, n)}
	for i := range out.Offsets {
		out.Offsets[i] = model.Span{From: int(enc.Offsets[i][0]), To: int(enc.Offsets[i][1])}
	}
	return out, nil
}

func (t *Tokenizer) encode(text string, special bool) (tokenizers.Encoding, error) {
	// The binding hands the text over as a C string, which ends at a NUL.
	if i := strings.IndexByte(text, 0); i >= 0 {
		return tokenizers.Encoding{}, fmt.Errorf("want text without NUL, got one at byte %d", i)
	}
	enc, err := t.tok.EncodeWithOptionsErr(text, special,
		tokenizers.WithReturnOffsets(), tokenizers.WithReturnSpecialTokensMask())
	if err != nil {
		return enc, fmt.Errorf("tokenize: %w", err)
	}
	if len(enc.Offsets) != len(enc.IDs) || len(enc.SpecialTokensMask) != len(enc.IDs) {
		return enc, errors.New("tokenize: the tokenizer gave no offsets")
	}
	return enc, nil
}

// Decode returns the text of token ids, special tokens included.
func (t *Tokenizer) Decode(ids []int32) (string, error) {
	u := make([]uint32, len(ids))
	for i, id := range ids {
		u[i] = uint32(id)
	}
	text, err := t.tok.DecodeErr(u, false)
	if err != nil {
		return "", fmt.Errorf("decode: %w", err)
	}
	return text, nil
}

// Close releases the tokenizer.
func (t *Tokenizer) Close() error { return t.tok.Close() }

func toInt32(ids []uint32) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
