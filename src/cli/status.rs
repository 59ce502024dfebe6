//! `probity status`: the endpoints of a running daemon, as it tells them itself.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::args::Status;
use super::{is_colored, print_colored};
use crate::config::listen::DEFAULT_LISTEN;
use crate::daemon::exit::Exit;
use crate::daemon::start::read_config;
use crate::daemon::streams::{OutputReader, say_error};
use crate::net::own_calls::{client, failure, text_of};
use crate::serve::api::{EndpointList, ShownEndpoint};
use crate::words::escaped;

pub fn run(args: &Status) -> Exit {
    let url = args.url.clone().unwrap_or_else(|| {
        let listen = read_config(&args.config.path()).map_or_else(
            |_| DEFAULT_LISTEN.to_owned(),
            |p| p.listen.address.to_string(),
        );
        format!("http://{listen}")
    });
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Exit::Unavailable;
    };
    loop {
        let (value, list) = match runtime.block_on(ask(&url)) {
            Ok(answer) => answer,
            Err(why) => {
                say_error(format_args!("probity: no running daemon at {url}: {why}"));
                return Exit::Unavailable;
            }
        };
        if args.watch && is_colored() {
            print_colored(false, &Value::Null, || "\u{1b}[2J\u{1b}[H".into());
        }
        let reader = print_colored(args.json, &value, || table(&list));
        if !args.watch || reader == OutputReader::Gone {
            return verdict(&list);
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "a person waits here, no task")]
fn pause() {
    std::thread::sleep(Duration::from_secs(2));
}

/// The answer as it came, and what is read of it.
async fn ask(url: &str) -> Result<(Value, EndpointList), String> {
    let response = client()?
        .get(format!("{}/api/v1/endpoints", url.trim_end_matches('/')))
        .send()
        .await
        .map_err(|e| failure(e, Vec::new()))?;
    if !response.status().is_success() {
        return Err(format!("it answered {}", response.status()));
    }
    let text = text_of(response).await?;
    let value: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let list = EndpointList::deserialize(&value).map_err(|e| e.to_string())?;
    Ok((value, list))
}

fn verdict(list: &EndpointList) -> Exit {
    let any = |state: &str| list.endpoints.iter().any(|e| e.state == state);
    match (any("down"), any("unknown")) {
        (true, _) => Exit::Bad,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Fine,
    }
}

fn table(list: &EndpointList) -> String {
    let width = list
        .endpoints
        .iter()
        .map(|e| e.name.chars().count())
        .max()
        .unwrap_or(8)
        .clamp(8, 40);
    let mut out = format!(
        "{:<width$} {:<8} {:<20} {:>12}  {}\n",
        "endpoint", "state", "since (UTC)", "last", "result"
    );
    list.endpoints
        .iter()
        .for_each(|e| out.push_str(&row(e, width)));
    if !list.recorded {
        out.push_str("not recorded: the history is not writable\n");
    }
    out
}

fn row(e: &ShownEndpoint, width: usize) -> String {
    let state = escaped(&e.state);
    let padded = format!("{state:<8}");
    let shown = match (is_colored(), state.as_str()) {
        (false, _) => padded,
        (true, "up") => format!("\u{1b}[32m{padded}\u{1b}[0m"),
        (true, "down") => format!("\u{1b}[31m{padded}\u{1b}[0m"),
        (true, _) => format!("\u{1b}[33m{padded}\u{1b}[0m"),
    };
    let (took, why) = match &e.last {
        None => ("-".to_owned(), "-".to_owned()),
        Some(last) => {
            let why = match &last.cause {
                None => escaped(&last.result),
                Some(cause) => format!("{}: {}", escaped(&last.result), escaped(cause)),
            };
            (format!("{:.2} ms", last.duration_ms), why)
        }
    };
    let since = escaped(&e.since);
    format!(
        "{:<width$} {shown} {:<20} {took:>12}  {why}\n",
        escaped(&e.name),
        since.get(..19).unwrap_or("-")
    )
}
