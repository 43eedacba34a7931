package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/daulet/tokenizers"

	"github.com/ortscore/ortscore/io/regular"
	"github.com/ortscore/ortscore/model"
)

// Tokenizer is a tokenizer.json. It implements model.Tokenizer and is safe for
// use by several goroutines.
type Tokenizer struct {
	tok      *tokenizers.Tokenizer
	vocab    map[string]int32 // the model's tokens and the added ones
	unknown  int32            // the token that stands for unknown characters; -1 where there is none
	special  map[int32]string // the special tokens, by their ids
	controls bool             // special tokens that stand in a text are control tokens
	bytes    *byteTokens      // nil where spans are exact as they come

	// Size is one more than the largest token id, special tokens included.
	Size int
	// Before are the tokens that Encode puts before a text: those of tokenizer.json,
	// unless Settings.PutBOS has decided otherwise. After are those that
	// tokenizer.json puts behind one, such as EOS; Encode leaves them out.
	Before, After []int32
	// Special are the ids of the special tokens, by their text.
	Special map[string]int32
	// Notes say what of tokenizer.json is not done.
	Notes []string
}

// maxTokenizer is the most bytes of a tokenizer.json: those of 256,000 tokens are
// about 35 MB.
const maxTokenizer = 128 << 20

// LoadTokenizer reads a tokenizer.json.
func LoadTokenizer(path string) (*Tokenizer, error) {
	return loadTokenizer(path, false)
}

// loadTokenizer reads a tokenizer.json. With controls, special tokens that stand
// in a text are control tokens.
func loadTokenizer(path string, controls bool) (*Tokenizer, error) {
	data, err := regular.Read(path, maxTokenizer)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{controls: controls}
	if err := t.read(data); err != nil {
		_ = t.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func (t *Tokenizer) read(data []byte) error {
	file, err := t.prepare(data)
	if err != nil {
		return err
	}
	if data, err = json.Marshal(file); err != nil {
		return err
	}
	if t.tok, err = tokenizers.FromBytes(data, t.options()...); err != nil {
		return fmt.Errorf("want a tokenizer.json, got %w", err)
	}
	if err := t.findBytes(file); err != nil {
		return err
	}
	return t.findSpecial()
}

func (t *Tokenizer) options() []tokenizers.TokenizerOption {
	if t.controls {
		return nil
	}
	return []tokenizers.TokenizerOption{tokenizers.WithEncodeSpecialTokens()}
}

// prepare takes out of a tokenizer.json what is left over from training, and
// learns its vocabulary and its special tokens. Many published files carry a
// truncation to a few hundred tokens, which would cut the answer off without a
// word, or a dropout, which makes the tokens of every run others.
func (t *Tokenizer) prepare(data []byte) (map[string]json.RawMessage, error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("want a tokenizer.json, got broken JSON: %w", err)
	}
	if file["model"] == nil {
		return nil, errors.New("want a tokenizer.json with a model, got none")
	}
	delete(file, "truncation")
	delete(file, "padding")
	var err error
	if file["model"], err = t.withoutDropout(file["model"]); err != nil {
		return nil, err
	}
	if err := t.readVocab(file["model"]); err != nil {
		return nil, err
	}
	if err := t.readAdded(file["added_tokens"]); err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	return file, nil
}

// withoutDropout takes the dropout out of a BPE model: the share of its merges
// that are left out by chance. No other model has any randomness.
func (t *Tokenizer) withoutDropout(file json.RawMessage) (json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(file, &m); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	var dropout *float64
	if m["dropout"] != nil {
		if err := json.Unmarshal(m["dropout"], &dropout); err != nil {
			return nil, fmt.Errorf("model.dropout: %w", err)
		}
	}
	if dropout == nil {
		return file, nil
	}
	if *dropout != 0 {
		t.Notes = append(t.Notes, fmt.Sprintf("tokenizer.json has a dropout of %v, by which every run would have other tokens: it is left over from training, and off here", *dropout))
	}
	delete(m, "dropout")
	return json.Marshal(m)
}

// readVocab reads the model's vocabulary. Ids may have holes, so counting the
// tokens is not enough for its size.
func (t *Tokenizer) readVocab(file json.RawMessage) error {
	var m struct {
		Vocab        json.RawMessage `json:"vocab"`
		UnknownID    *int32          `json:"unk_id"`
		UnknownToken *string         `json:"unk_token"`
	}
	if err := json.Unmarshal(file, &m); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if len(m.Vocab) == 0 {
		return errors.New("model.vocab: want a vocabulary, got none")
	}
	if err := t.readTokens(m.Vocab); err != nil {
		return fmt.Errorf("model.vocab: %w", err)
	}
	for _, id := range t.vocab {
		t.Size = max(t.Size, int(id)+1)
	}
	t.unknown = -1
	if m.UnknownID != nil {
		t.unknown = *m.UnknownID
	} else if m.UnknownToken != nil {
		if id, ok := t.vocab[*m.UnknownToken]; ok {
			t.unknown = id
		}
	}
	return nil
}

// readTokens reads {token: id, ...} or, of a Unigram, [[token, score], ...].
func (t *Tokenizer) readTokens(vocab json.RawMessage) error {
	t.vocab = map[string]int32{}
	if !bytes.HasPrefix(bytes.TrimSpace(vocab), []byte("[")) {
		return json.Unmarshal(vocab, &t.vocab)
	}
	var list []pieceToken
	if err := json.Unmarshal(vocab, &list); err != nil {
		return err
	}
	t.Size = len(list) // a token may stand in it twice
	for id, token := range list {
		t.vocab[string(token)] = int32(id)
	}
	return nil
}

// pieceToken is the token of a Unigram's [token, score].
type pieceToken string

func (p *pieceToken) UnmarshalJSON(data []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) == 0 {
		return errors.New("want a token with its score, got an empty list")
	}
	return json.Unmarshal(pair[0], (*string)(p))
}

// readAdded reads the tokens beside the vocabulary, some of them special.
func (t *Tokenizer) readAdded(file json.RawMessage) error {
	t.Special, t.special = map[string]int32{}, map[int32]string{}
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
		t.vocab[a.Content] = int32(a.ID)
		if a.Special && a.Content != "" {
			t.Special[a.Content], t.special[int32(a.ID)] = int32(a.ID), a.Content
		}
	}
	return nil
}

// findSpecial learns from one encoding what the tokenizer puts round a text.
func (t *Tokenizer) findSpecial() error {
	enc, err := raw(t.tok, "a", true)
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
	enc, err := t.encode(text)
	if err == nil && !t.controls {
		enc, err = t.withoutControls(text, false, enc)
	}
	if err != nil {
		return model.Encoding{}, err
	}
	if special && len(t.Before) > 0 {
		enc.IDs = append(slices.Clone(t.Before), enc.IDs...)
		enc.Offsets = append(make([]model.Span, len(t.Before)), enc.Offsets...)
	}
	return enc, nil
}

// HasToken reports whether a text is one token of the vocabulary.
func (t *Tokenizer) HasToken(text string) bool {
	_, ok := t.vocab[text]
	return ok
}

// HasSpecial reports whether a special token stands in a text.
func (t *Tokenizer) HasSpecial(text string) bool {
	for special := range t.Special {
		if strings.Contains(text, special) {
			return true
		}
	}
	return false
}

// encode tokenises a text alone, with the exact span of every token.
func (t *Tokenizer) encode(text string) (model.Encoding, error) {
	enc, err := raw(t.tok, text, false)
	if err != nil {
		return model.Encoding{}, err
	}
	out := model.Encoding{IDs: toInt32(enc.IDs), Offsets: spans(enc)}
	if t.bytes != nil {
		err = t.bytes.spread(text, out)
	}
	return out, err
}

func spans(enc tokenizers.Encoding) []model.Span {
	out := make([]model.Span, len(enc.Offsets))
	for i, o := range enc.Offsets {
		out[i] = model.Span{From: int(o[0]), To: int(o[1])}
	}
	return out
}

// raw is what the library makes of a text.
func raw(tok *tokenizers.Tokenizer, text string, special bool) (tokenizers.Encoding, error) {
	// The binding hands the text over as a C string, which ends at a NUL.
	if i := strings.IndexByte(text, 0); i >= 0 {
		return tokenizers.Encoding{}, fmt.Errorf("want text without NUL, got one at byte %d", i)
	}
	enc, err := encodeNative(tok, text, special)
	if err != nil {
		return enc, fmt.Errorf("tokenize: %w", err)
	}
	if len(enc.Offsets) != len(enc.IDs) || len(enc.SpecialTokensMask) != len(enc.IDs) {
		return enc, errors.New("tokenize: the tokenizer gave no offsets")
	}
	return enc, nil
}

// Decode returns the text of token ids, special tokens included. It may hold NUL.
func (t *Tokenizer) Decode(ids []int32) (string, error) {
	u := make([]uint32, len(ids))
	for i, id := range ids {
		u[i] = uint32(id)
	}
	text, err := decodeNative(t.tok, u)
	if err != nil {
		return "", fmt.Errorf("decode: %w", err)
	}
	return text, nil
}

// Close releases the tokenizer.
func (t *Tokenizer) Close() error {
	var errs []error
	if t.bytes != nil {
		errs = append(errs, t.bytes.ruler.Close())
	}
	if t.tok != nil {
		errs = append(errs, t.tok.Close())
	}
	return errors.Join(errs...)
}

func toInt32(ids []uint32) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
