package hf

/*
#cgo linux LDFLAGS: -ltokenizers -ldl -lm -lstdc++
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A text with its length, or an error's; scripts/setup/tokenizers/text.rs.
struct ortscore_text {
	char *data;
	size_t len;
	bool failed;
};

struct ortscore_text ortscore_decode(void *tokenizer, const uint32_t *ids, size_t len);
struct ortscore_text ortscore_failure(void);
struct ortscore_text ortscore_render(const char *source, size_t source_len, const char *data, size_t data_len, uint64_t millis);
void ortscore_free(struct ortscore_text text);
bool ortscore_bounded(void);
*/
import "C"

import (
	"errors"
	"runtime"
	"time"
	"unsafe"

	"github.com/daulet/tokenizers"
)

// Whatever a tokenizer.json, a chat template or a text holds, the calls here and
// tokenizers.FromBytes give an error and do not end the process: see
// scripts/setup/tokenizers.

// encodeNative is the library's encoding of a text without NUL.
func encodeNative(t *tokenizers.Tokenizer, text string, special bool) (tokenizers.Encoding, error) {
	runtime.LockOSThread() // the reason of a failure is kept for the thread
	defer runtime.UnlockOSThread()
	enc, err := t.EncodeWithOptionsErr(text, special,
		tokenizers.WithReturnOffsets(), tokenizers.WithReturnSpecialTokensMask())
	if errors.Is(err, tokenizers.ErrTokenizerClosed) || len(enc.IDs) > 0 {
		return enc, err
	}
	// For an empty text the binding does not tell a failure from no tokens.
	if _, why := goText(C.ortscore_failure()); why.Error() != "" {
		return enc, why
	}
	return enc, err
}

// decodeNative returns the text of token ids, which may hold NUL: the binding's own
// ends there.
func decodeNative(t *tokenizers.Tokenizer, ids []uint32) (string, error) {
	tokenizer := handle(t)
	if tokenizer == nil {
		return "", tokenizers.ErrTokenizerClosed
	}
	if len(ids) == 0 {
		return "", nil
	}
	return goText(C.ortscore_decode(tokenizer, (*C.uint32_t)(unsafe.Pointer(&ids[0])), C.size_t(len(ids))))
}

// handle is the one field of the binding's tokenizer. TestBindingLayout fails where
// it is no longer that.
func handle(t *tokenizers.Tokenizer) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(t))
}

// RenderTemplate renders a chat template over data in JSON, for at most limit.
// It is a chat.Engine.
func RenderTemplate(source string, data []byte, limit time.Duration) (string, error) {
	return goText(C.ortscore_render(
		(*C.char)(unsafe.Pointer(unsafe.StringData(source))), C.size_t(len(source)),
		(*C.char)(unsafe.Pointer(unsafe.SliceData(data))), C.size_t(len(data)),
		C.uint64_t(limit.Milliseconds())))
}

// goText takes a text over.
func goText(text C.struct_ortscore_text) (string, error) {
	defer C.ortscore_free(text)
	s := C.GoStringN(text.data, C.int(text.len))
	if text.failed {
		return "", errors.New(s)
	}
	return s, nil
}

// memoryIsBounded reports whether the library was built with a bound on memory.
func memoryIsBounded() bool { return bool(C.ortscore_bounded()) }
