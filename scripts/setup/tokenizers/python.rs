//! Values as Python writes them.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};
use std::fmt::Write;

/// Containers in containers.
const DEPTH: usize = 200;

/// str(value); nothing for what is undefined.
pub fn text(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            let mut out = String::new();
            repr(&mut out, value, DEPTH)?;
            Ok(out)
        }
        _ => Ok(value.to_string()),
    }
}

fn invalid(why: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

fn too_deep() -> Error {
    invalid(format!("want containers at most {DEPTH} deep in one another"))
}

fn repr(out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
    let deeper = depth.checked_sub(1).ok_or_else(too_deep)?;
    match value.kind() {
        ValueKind::String => quote(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (i, item) in value.try_iter()?.enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                repr(out, &item, deeper)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (i, key) in value.try_iter()?.enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                repr(out, &key, deeper)?;
                out.push_str(": ");
                repr(out, &value.get_item(&key)?, deeper)?;
            }
            out.push('}');
        }
        ValueKind::Undefined => out.push_str("Undefined"),
        _ => _ = write!(out, "{value}"),
    }
    Ok(())
}

/// Python's repr of a text: in single quotes unless only these stand in it.
fn quote(out: &mut String, text: &str) {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(mark);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == mark => out.extend(['\\', c]),
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{ad}' => _ = write!(out, "\\x{:02x}", c as u32),
            c => out.push(c),
        }
    }
    out.push(mark);
}

/// transformers' tojson: json.dumps(value, ensure_ascii=False, indent, separators, sort_keys).
pub fn to_json(value: &Value, indent: Option<usize>, options: Kwargs) -> Result<String, Error> {
    let ascii: Option<bool> = options.get("ensure_ascii")?;
    let separators: Option<Value> = options.get("separators")?;
    let named: Option<usize> = options.get("indent")?;
    let sorted: Option<bool> = options.get("sort_keys")?;
    options.assert_all_used()?;
    let indent = indent.or(named);
    let mut json = Json { out: String::new(), indent, between: ", ".to_string(), colon: ": ".to_string(), ascii: ascii.unwrap_or(false), sorted: sorted.unwrap_or(false) };
    if indent.is_some() {
        json.between = ",".to_string();
    }
    if let Some(pair) = separators.filter(|s| !s.is_none()) {
        json.between = pair.get_item_by_index(0)?.to_string();
        json.colon = pair.get_item_by_index(1)?.to_string();
    }
    json.value(value, 0)?;
    Ok(json.out)
}

struct Json {
    out: String,
    indent: Option<usize>,
    between: String, // items
    colon: String,   // and what comes after it
    ascii: bool,
    sorted: bool,
}

impl Json {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(too_deep());
        }
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.out.push_str(&value.to_string()),
            ValueKind::String => self.text(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth)?,
            ValueKind::Map => self.map(value, depth)?,
            kind => return Err(invalid(format!("tojson: want what JSON can hold, got {kind}"))),
        }
        Ok(())
    }

    fn list(&mut self, list: &Value, depth: usize) -> Result<(), Error> {
        self.out.push('[');
        let mut empty = true;
        for item in list.try_iter()? {
            self.next(&mut empty, depth + 1);
            self.value(&item, depth + 1)?;
        }
        self.end(']', empty, depth);
        Ok(())
    }

    fn map(&mut self, map: &Value, depth: usize) -> Result<(), Error> {
        let mut keys: Vec<Value> = map.try_iter()?.collect();
        if self.sorted {
            keys.sort();
        }
        self.out.push('{');
        let mut empty = true;
        for key in keys {
            self.next(&mut empty, depth + 1);
            match key.kind() {
                ValueKind::String => self.text(key.as_str().unwrap_or_default()),
                ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                    self.out.push('"');
                    self.value(&key, depth + 1)?;
                    self.out.push('"');
                }
                kind => return Err(invalid(format!("tojson: want a key that JSON can hold, got {kind}"))),
            }
            self.out.push_str(&self.colon);
            self.value(&map.get_item(&key)?, depth + 1)?;
        }
        self.end('}', empty, depth);
        Ok(())
    }

    fn next(&mut self, first: &mut bool, depth: usize) {
        if !*first {
            self.out.push_str(&self.between);
        }
        *first = false;
        self.line(depth);
    }

    fn end(&mut self, bracket: char, empty: bool, depth: usize) {
        if !empty {
            self.line(depth);
        }
        self.out.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(width) = self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', width.saturating_mul(depth)));
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\x08' => self.out.push_str("\\b"),
                '\x0c' => self.out.push_str("\\f"),
                c if c < ' ' || self.ascii && c > '~' => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}
