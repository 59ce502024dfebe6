//! What a command asks of a running daemon: one line over its control socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::args::place::StateArgs;
use super::{local, print};
use crate::daemon::control::SOCKET;
use crate::daemon::control::messages::{
    ConfigReloaded, ControlCommand, ControlRequest, Renamed, RequestRefused,
};
use crate::daemon::exit::Exit;
use crate::daemon::start::{likely_state_directory, read_without_secrets, state_directory};
use crate::daemon::streams::say_error;
use crate::net::config_files::Unread;

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
    match local::directory(place) {
        Ok(directory) => answered(&directory, &request, json, text),
        Err(exit) => exit,
    }
}

/// Asks for a reload. The daemon is found even if the config has faults, as it is the daemon that
/// refuses it, and shows that it did.
pub fn reload(place: &StateArgs, json: bool, text: impl FnOnce(&ConfigReloaded) -> String) -> Exit {
    let config = place.config.path();
    let found = || match read_without_secrets(&config, Unread::All) {
        Ok(plan) => state_directory(&plan, &config),
        Err(_) => likely_state_directory(&config),
    };
    let directory = place.state_dir.clone().unwrap_or_else(found);
    let request = ControlRequest {
        by: None,
        command: ControlCommand::Reload,
    };
    answered(&directory, &request, json, text)
}

fn answered<Answer: DeserializeOwned>(
    directory: &Path,
    request: &ControlRequest,
    json: bool,
    text: impl FnOnce(&Answer) -> String,
) -> Exit {
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

fn exchange(path: &Path, request: &ControlRequest) -> Result<Value, String> {
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
