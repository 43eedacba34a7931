//! The tokenizer's calls, guarded. The first two stand for those of lib.rs, which
//! the set-up renames to inner_from_bytes and inner_encode.

use crate::guard::{fail, failure, guarded, Bounds};
use crate::text::Text;
use crate::{inner_encode, inner_from_bytes, tokenizers_buffer, tokenizers_encode_options, tokenizers_options, UnifiedTokenizer};
use std::ffi::{CStr, CString};
use std::ptr::null_mut;
use std::time::Duration;

/// The largest vocabularies take a few hundred MB, and a text far less.
const BOUNDS: Bounds = Bounds { memory: 1 << 30, time: Duration::from_secs(60), stack: 0 };

#[no_mangle]
pub extern "C" fn tokenizers_from_bytes(bytes: *const u8, len: u32, options: &tokenizers_options, error: *mut *mut libc::c_char) -> *mut libc::c_void {
    match guarded(BOUNDS, || Ok(inner_from_bytes(bytes, len, options, error))) {
        Ok(tokenizer) => tokenizer,
        Err(why) => {
            let why = CString::new(why.replace('\0', " ")).unwrap_or_default();
            unsafe { *error = why.into_raw() };
            null_mut()
        }
    }
}

/// What it returns where it fails is no more than that; ortscore_failure tells why.
#[no_mangle]
pub extern "C" fn tokenizers_encode(tokenizer: *mut libc::c_void, text: *const libc::c_char, options: &tokenizers_encode_options) -> tokenizers_buffer {
    let result = guarded(BOUNDS, || {
        let tokens = inner_encode(tokenizer, text, options);
        if tokens.ids.is_null() {
            return Err(failure().unwrap_or_else(|| reason(tokenizer, text)));
        }
        Ok(tokens)
    });
    result.unwrap_or_else(|why| {
        fail(why);
        tokenizers_buffer { ids: null_mut(), type_ids: null_mut(), special_tokens_mask: null_mut(), attention_mask: null_mut(), tokens: null_mut(), offsets: null_mut(), len: 0 }
    })
}

/// lib.rs drops the tokenizer's error: asked once more for the same text, it gives it again.
fn reason(tokenizer: *mut libc::c_void, text: *const libc::c_char) -> String {
    let (tokenizer, text) = unsafe { (&*tokenizer.cast::<UnifiedTokenizer>(), CStr::from_ptr(text)) };
    match tokenizer.encode(&text.to_string_lossy(), true) {
        Ok(_) => "no reason given".to_string(),
        Err(error) => error.to_string(),
    }
}

/// Why this thread's last tokenizers_encode failed.
#[no_mangle]
pub extern "C" fn ortscore_failure() -> Text {
    Text::from(Err(failure().unwrap_or_default()))
}

/// The text of ids, which may hold NUL, special tokens included.
#[no_mangle]
pub extern "C" fn ortscore_decode(tokenizer: *mut libc::c_void, ids: *const u32, len: usize) -> Text {
    Text::from(guarded(BOUNDS, || {
        let tokenizer = unsafe { &*tokenizer.cast::<UnifiedTokenizer>() };
        let ids = unsafe { std::slice::from_raw_parts(ids, len) };
        tokenizer.decode(ids, false).map_err(|error| error.to_string())
    }))
}

/// Whether memory is bounded: a build without the feature ends where it runs out.
#[no_mangle]
pub extern "C" fn ortscore_bounded() -> bool {
    cfg!(feature = "bounded")
}
