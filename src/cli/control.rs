//! What a command asks of a running daemon: one line over its control socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use super::args::Place;
use super::{local, print};
use crate::daemon::control::SOCKET;
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;

/// Pruning looks at all that goes.
const PATIENCE: Duration = Duration::from_secs(610);

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: u64 = 16 << 20;

/// Asks, and prints the answer; the text for people is made of it.
pub fn ask(
    place: &Place,
    request: &Value,
    json: bool,
    text: impl FnOnce(&Value) -> String,
) -> Exit {
    let directory = match local::directory(place) {
        Ok(directory) => directory,
        Err(exit) => return exit,
    };
    let path = directory.join(SOCKET);
    let answer = match exchange(&path, request) {
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
    if let Some(why) = answer["error"].as_str() {
        say_error(format_args!("probity: refused: {why}"));
        return Exit::Bad;
    }
    print(json, &answer, || text(&answer));
    Exit::Fine
}

/// A line for each component that the request named by an earlier name.
pub fn renamed(answer: &Value) -> String {
    let renamed = answer["renamed"].as_object().into_iter().flatten();
    renamed
        .map(|(before, now)| {
            format!(
                "  the component {before} is called {} now\n",
                now.as_str().unwrap_or("-")
            )
        })
        .collect()
}

fn exchange(path: &std::path::Path, request: &Value) -> Result<Value, String> {
    let mut stream = UnixStream::connect(path).map_err(|e| e.to_string())?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(|e| e.to_string())?;
    stream
        .write_all(format!("{request}\n").as_bytes())
        .map_err(|e| e.to_string())?;
    let mut line = String::new();
    BufReader::new(stream)
        .take(ANSWER_LIMIT)
        .read_line(&mut line)
        .map_err(|e| e.to_string())?;
    serde_json::from_str(&line).map_err(|_| "it gave no answer".to_owned())
}
