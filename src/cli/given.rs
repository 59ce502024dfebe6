//! What a command line gives: files and lengths, or why they are none.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::config::document::value::{parse_duration, show_duration};
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;
use crate::words::Ms;

/// Larger files are no export of ours: a million events have about 300 MB.
const FILE_LIMIT: u64 = 1 << 30;
/// The longest length that a flag takes, for intervals, timeouts and steps alike.
pub const LONGEST: Ms = 366 * 86_400_000;

/// The text of a file.
pub fn text(path: &Path) -> Result<String, String> {
    let told = |why: String| format!("{}: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|e| told(format!("cannot be read: {e}")))?;
    let mut bytes = Vec::new();
    let size = file.metadata().map_err(|e| told(e.to_string()))?.len();
    if size > FILE_LIMIT {
        return Err(told(format!(
            "the file has {size} bytes; the limit is {FILE_LIMIT}"
        )));
    }
    file.take(FILE_LIMIT)
        .read_to_end(&mut bytes)
        .map_err(|e| told(format!("cannot be read: {e}")))?;
    if bytes.is_empty() {
        return Err(told("it is empty".into()));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| told("it is not valid UTF-8; save it as UTF-8".into()))?;
    match text.find('\0') {
        Some(at) => Err(told(format!("not a text file: zero byte at offset {at}"))),
        None => Ok(text),
    }
}

/// The JSON in a file.
pub fn json(path: &Path) -> Result<Value, String> {
    let text = text(path)?;
    serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|e| format!("{}: invalid JSON: {e}", path.display()))
}

/// A length within bounds; the refusal names the flag.
pub fn duration(flag: &str, text: &str, least: Ms) -> Result<Ms, Exit> {
    parse_duration(text)
        .filter(|ms| (least..=LONGEST).contains(ms))
        .ok_or_else(|| {
            let (least, most) = (show_duration(least), show_duration(LONGEST));
            out_of_range(
                flag,
                text,
                format_args!("a length from {least} to {most}, such as 30s"),
            )
        })
}

/// Says what a flag takes in place of what it was given.
pub fn out_of_range(
    flag: &str,
    found: impl std::fmt::Display,
    takes: impl std::fmt::Display,
) -> Exit {
    say_error(format_args!(
        "probity: invalid --{flag} `{found}`. Allowed: {takes}"
    ));
    Exit::Usage
}

/// How many of so many must agree.
pub fn quorum(wanted: Option<usize>, present: usize, what: &str) -> Result<Option<usize>, Exit> {
    match wanted {
        Some(n) if !(1..=present).contains(&n) => Err(out_of_range(
            "quorum",
            n,
            format_args!(
                "a number from 1 to {present}, as there are {present} {what}: with more, nothing \
                    would ever be down"
            ),
        )),
        wanted => Ok(wanted),
    }
}
