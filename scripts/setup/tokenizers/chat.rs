//! Chat templates, by minijinja with the methods of Python's strings, as
//! transformers sets Jinja2 up for them.

use crate::guard::{guarded, Bounds};
use crate::python;
use crate::text::Text;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior};
use serde::Deserialize;
use std::ffi::CString;
use std::sync::mpsc;
use std::time::Duration;

/// What a rendering may take beside its time. The stack is far larger than what may
/// be used, since to drop what is nested takes some too, and cannot fail: about 200
/// bytes a level, of which there are fewer than steps.
const MEMORY: usize = 128 << 20;
const STEPS: u64 = 1_000_000;
const CALLS: usize = 200;
const STACK: usize = 512 << 20;
const STACK_USED: usize = 16 << 20;

/// Renders a template over JSON: {"variables": the template's, "date": strftime_now's},
/// a date being [year, month, day, hour, minute, second, weekday, day of the year].
///
/// It runs in a thread of its own, for the stack. One that is late ends at its next
/// allocation or step past the bound; nobody waits for it.
#[no_mangle]
pub extern "C" fn ortscore_render(source: *const u8, source_len: usize, data: *const u8, data_len: usize, millis: u64) -> Text {
    let time = Duration::from_millis(millis);
    let wait = Bounds { memory: isize::MAX as usize, time: Duration::MAX, stack: 0 };
    Text::from(guarded(wait, || {
        let (source, data) = (copy(source, source_len), copy(data, data_len));
        let (send, receive) = mpsc::channel();
        let bounds = Bounds { memory: MEMORY, time, stack: STACK_USED };
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || _ = send.send(guarded(bounds, || render(&source, &data))))
            .map_err(|error| format!("no thread to render it in: {error}"))?;
        receive.recv_timeout(time + time / 2).unwrap_or_else(|_| Err("it takes too long".to_string()))
    }))
}

fn copy(text: *const u8, len: usize) -> String {
    if len == 0 {
        return String::new(); // and its address may be null
    }
    String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(text, len) }).into_owned()
}

#[derive(Deserialize)]
struct Data {
    variables: Value,
    date: [i32; 8],
}

fn render(source: &str, data: &str) -> Result<String, String> {
    let data: Data = serde_json::from_str(data).map_err(|error| error.to_string())?;
    let date = data.date;
    let mut env = Environment::new();
    env.set_trim_blocks(true);
    env.set_lstrip_blocks(true);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_recursion_limit(CALLS);
    env.set_fuel(Some(STEPS));
    env.set_formatter(|out, _, value| Ok(out.write_str(&python::text(value)?)?));
    env.set_unknown_method_callback(method);
    env.add_filter("tojson", python::to_json);
    env.add_filter("string", |value: &Value| python::text(value));
    env.add_function("raise_exception", |text: String| -> Result<Value, Error> { Err(Error::new(ErrorKind::InvalidOperation, text)) });
    env.add_function("strftime_now", move |format: String| strftime(&date, &format));
    let template = env.template_from_str(source).map_err(message)?;
    template.render(data.variables).map_err(message)
}

/// An error's words: "line 3: no such role".
fn message(error: Error) -> String {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("it takes more than {STEPS} steps"),
        (ErrorKind::InvalidOperation | ErrorKind::SyntaxError, Some(detail)) => detail.to_string(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    match error.line() {
        Some(line) => format!("line {line}: {what}"),
        None => what,
    }
}

/// Methods of Python's values. minijinja-contrib counts an empty text without end.
fn method(state: &State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let (Some(text), "count", [what]) = (value.as_str(), name, args) {
        if what.as_str() == Some("") {
            return Ok(Value::from(text.chars().count() + 1));
        }
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// The C library's strftime, which Python calls too.
fn strftime(date: &[i32; 8], format: &str) -> Result<String, Error> {
    let invalid = |why: &'static str| Error::new(ErrorKind::InvalidOperation, why);
    // The mark tells an empty result from one that has no room.
    let format = CString::new(format!("{format}|")).map_err(|_| invalid("strftime_now: want a format without NUL"))?;
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    time.tm_year = date[0] - 1900;
    time.tm_mon = date[1] - 1;
    (time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec) = (date[2], date[3], date[4], date[5]);
    (time.tm_wday, time.tm_yday, time.tm_isdst) = (date[6], date[7] - 1, -1);
    let mut out = [0u8; 1024];
    let len = unsafe { libc::strftime(out.as_mut_ptr().cast(), out.len(), format.as_ptr(), &time) };
    if len == 0 {
        return Err(invalid("strftime_now: want a date of at most 1,000 bytes"));
    }
    Ok(String::from_utf8_lossy(&out[..len - 1]).into_owned())
}
