//! A text on its way to Go.

use std::ptr::{null_mut, slice_from_raw_parts_mut};

/// A text with its length, since it may hold NUL; or an error's message.
#[repr(C)]
pub struct Text {
    data: *mut u8,
    len: usize,
    failed: bool,
}

impl From<Result<String, String>> for Text {
    fn from(result: Result<String, String>) -> Text {
        let failed = result.is_err();
        let bytes = result.unwrap_or_else(|why| why).into_bytes().into_boxed_slice();
        let len = bytes.len();
        Text { data: Box::into_raw(bytes).cast(), len, failed }
    }
}

#[no_mangle]
pub extern "C" fn ortscore_free(text: Text) {
    if text.data != null_mut() {
        drop(unsafe { Box::from_raw(slice_from_raw_parts_mut(text.data, text.len)) });
    }
}
