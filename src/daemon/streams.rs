//! Standard output and standard error, whose readers may leave.
//!
//! A reader that has seen enough (head, less) is no failure and changes no exit code. Output that
//! is lost for another reason, such as a full disk, ends the command: half an export must not look
//! whole.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use super::exit::Exit;
use crate::words::escaped_lines;

/// Whether anybody still reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputReader {
    There,
    Gone,
}

/// Writes to standard output.
pub fn say(bytes: &[u8]) -> OutputReader {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// What became of output; ends the process when it is lost.
pub fn written(result: io::Result<()>) -> OutputReader {
    match result {
        Ok(()) => OutputReader::There,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => OutputReader::Gone,
        Err(error) => {
            say_error(format_args!(
                "probity: the output cannot be written: {error}"
            ));
            std::process::exit(Exit::Output.code().into());
        }
    }
}

/// Whether people want no colour, by the convention of no-color.org.
pub fn wants_no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// A line on standard error, without what a terminal would obey; `eprintln!` would panic when
/// nobody reads it.
pub fn say_error(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{}", escaped_lines(&line.to_string()));
}
