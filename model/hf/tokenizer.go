package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/daulet/tokenizers"

	"github.com/ortscore/ortscore/io/regular"
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
	// Special are the ids of the special tokens, by their text.
	Special map[string]int32
}

// maxTokenizer is the most bytes of a tokenizer.json: those of 256,000 tokens are
// about 35 MB.
const maxTokenizer = 128 << 20

// LoadTokenizer reads a tokenizer.json.
func LoadTokenizer(path string) (*Tokenizer, error) {
	return loadTokenizer(path, tokenizers.WithEncodeSpecialTokens())
}

func loadTokenizer(path string, opts ...tokenizers.TokenizerOption) (*Tokenizer, error) {
	data, err := regular.Read(path, maxTokenizer)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{}
	if data, err = t.prepare(data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if t.tok, err = tokenizers.FromBytes(data, opts...); err != nil {
		return nil, fmt.Errorf("%s: want a tokenizer.json, got %w", path, err)
	}
	if err := t.findSpecial(); err != nil {
		_ = t.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// prepare takes truncation and padding out of a tokenizer.json and learns its
// vocabulary's size and its special tokens. Many published files carry a
// truncation to a few hundred tokens, left over from training: it would cut the
// answer off without a word.
func (t *Tokenizer) prepare(data []byte) (clean []byte, err error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("want a tokenizer.json, got broken JSON: %w", err)
	}
	if file["model"] == nil {
		return nil, errors.New("want a tokenizer.json with a model, got none")
	}
	delete(file, "truncation")
	delete(file, "padding")
	if t.Size, err = vocabSize(file["model"]); err != nil {
		return nil, err
	}
	if err := t.readAdded(file["added_tokens"]); err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	return json.Marshal(file)
}

// vocabSize returns one more than the largest id in the vocabulary: ids may have
// holes, so counting the tokens is not enough.
func vocabSize(file json.RawMessage) (int, error) {
	var m struct{ Vocab json.RawMessage }
	if err := json.Unmarshal(file, &m); err != nil {
		return 0, fmt.Errorf("model: %w", err)
	}
	if len(m.Vocab) == 0 {
		return 0, errors.New("model.vocab: want a vocabulary, got none")
	}
	if bytes.HasPrefix(bytes.TrimSpace(m.Vocab), []byte("[")) { // Unigram: [[token, score], ...]
		var list []json.RawMessage
		if err := json.Unmarshal(m.Vocab, &list); err != nil {
			return 0, fmt.Errorf("model.vocab: %w", err)
		}
		return len(list), nil
	}
	var ids map[string]int
	if err := json.Unmarshal(m.Vocab, &ids); err != nil {
		return 0, fmt.Errorf("model.vocab: %w", err)
	}
	size := 0
	for _, id := range ids {
		size = max(size, id+1)
	}
	return size, nil
}

// readAdded reads the tokens beside the vocabulary, some of them special.
func (t *Tokenizer) readAdded(file json.RawMessage) error {
	t.Special = map[string]int32{}
	if file == nil {
		return nil
	}
	var added []struct {
		ID      int
		Content string
		Special bool
	}
	if err := json.Unmarshal(file, &added); err != nil {
		return err
	}
	for _, a := range added {
		t.Size = max(t.Size, a.ID+1)
		if a.Special && a.Content != "" {
			t.Special[a.Content] = int32(a.ID)
		}
	}
	return nil
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
