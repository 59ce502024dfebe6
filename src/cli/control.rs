//! What a command asks of a running daemon: one line over its control socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::args::place::StateArgs;
use super::{local, print};
use crate::daemon::control::SOCKET;
use crate::daemon::control::messages::{ControlCommand, ControlRequest, Renamed, RequestRefused};
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;

/// Pruning looks at all that goes.
const PATIENCE: Duration = Duration::from_secs(610);

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 16 << 20;

/// Asks, and prints the answer; the text for people is made of it. `by`: what the user calls
/// themselves.
pub fn ask<Answer: DeserializeOwned>(
    place: &StateArgs,
    (command, by): (ControlCommand, Option<&String>),
    json: bool,
    text: impl FnOnce(&Answer) -> String,
) -> Exit {
    let request = ControlRequest {
        by: by.cloned(),
        command,
    };
    let directory = match local::directory(place) {
        Ok(directory) => directory,
        Err(exit) => return exit,
    };
    let path = directory.join(SOCKET);
    let answer = match exchange(&path, &request) {
        Ok(answer) => answer,
        Err(why) => {
            say_error(format_args!(
                "probity: no running daemon at {}: {why}. Only a running daemon can do this; \
                    start it, or name its state directory with --state-dir",
                path.display()
            ));
            return Exit::Unavailable;
        }
    };
    if let Ok(refused) = RequestRefused::deserialize(&answer) {
        say_error(format_args!("probity: refused: {}", refused.error));
        return Exit::Bad;
    }
    if json {
        print(true, &answer, String::new);
        return Exit::Fine;
    }
    match Answer::deserialize(&answer) {
        Ok(read) => {
            print(false, &answer, || text(&read));
        }
        // A daemon of another version: what was asked is done.
        Err(_) => {
            print(false, &answer, || format!("{answer}\n"));
        }
    }
    Exit::Fine
}

/// A line for each component that the request named by an earlier name.
pub fn renamed_lines(renamed: &Renamed) -> String {
    renamed
        .iter()
        .map(|(before, now)| format!("  the component {before} is called {now} now\n"))
        .collect()
}

fn exchange(path: &std::path::Path, request: &ControlRequest) -> Result<Value, String> {
    let line = serde_json::to_string(request).map_err(|e| e.to_string())?;
    let mut stream = UnixStream::connect(path).map_err(|e| e.to_string())?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(|e| e.to_string())?;
    stream
        .write_all(format!("{line}\n").as_bytes())
        .map_err(|e| e.to_string())?;
    let mut line = String::new();
    BufReader::new(stream)
        .take(ANSWER_LIMIT)
        .read_line(&mut line)
        .map_err(|e| e.to_string())?;
    serde_json::from_str(&line).map_err(|_| "it gave no answer".to_owned())
}
