//! `probity status`: the endpoints of a running daemon, as it tells them itself.

use std::time::Duration;

use serde_json::Value;

use super::args::Status;
use super::{is_colored, print_colored};
use crate::config::listen::DEFAULT_LISTEN;
use crate::daemon::exit::Exit;
use crate::daemon::start::read_config;
use crate::daemon::streams::{Reader, say_error};
use crate::net::own_calls::{client, text_of};
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
        let value = match runtime.block_on(ask(&url)) {
            Ok(value) => value,
            Err(why) => {
                say_error(format_args!("probity: no running daemon at {url}: {why}"));
                return Exit::Unavailable;
            }
        };
        if args.watch && is_colored() {
            print_colored(false, &Value::Null, || "\u{1b}[2J\u{1b}[H".into());
        }
        let reader = print_colored(args.json, &value, || table(&value));
        if !args.watch || reader == Reader::Gone {
            return verdict(&value);
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "a person waits here, no task")]
fn pause() {
    std::thread::sleep(Duration::from_secs(2));
}

async fn ask(url: &str) -> Result<Value, String> {
    let response = client()?
        .get(format!("{}/api/v1/endpoints", url.trim_end_matches('/')))
        .send()
        .await
        .map_err(|e| e.without_url().to_string())?;
    if !response.status().is_success() {
        return Err(format!("it answered {}", response.status()));
    }
    let text = text_of(response).await?;
    serde_json::from_str(&text).map_err(|e| e.to_string())
}

fn list(value: &Value) -> &[Value] {
    value["endpoints"].as_array().map_or(&[], Vec::as_slice)
}

fn verdict(value: &Value) -> Exit {
    let any = |state: &str| list(value).iter().any(|e| e["state"] == state);
    match (any("down"), any("unknown")) {
        (true, _) => Exit::Bad,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Fine,
    }
}

fn table(value: &Value) -> String {
    let width = list(value)
        .iter()
        .filter_map(|e| e["name"].as_str())
        .map(|n| n.chars().count())
        .max()
        .unwrap_or(8)
        .clamp(8, 40);
    let mut out = format!(
        "{:<width$} {:<8} {:<20} {:>12}  {}\n",
        "endpoint", "state", "since (UTC)", "last", "result"
    );
    for e in list(value) {
        let text = |v: &Value| escaped(v.as_str().unwrap_or("-"));
        let state = text(&e["state"]);
        let padded = format!("{state:<8}");
        let shown = match (is_colored(), state.as_str()) {
            (false, _) => padded,
            (true, "up") => format!("\u{1b}[32m{padded}\u{1b}[0m"),
            (true, "down") => format!("\u{1b}[31m{padded}\u{1b}[0m"),
            (true, _) => format!("\u{1b}[33m{padded}\u{1b}[0m"),
        };
        let last = &e["last"];
        let took = last["duration_ms"]
            .as_f64()
            .map_or("-".into(), |ms| format!("{ms:.2} ms"));
        let why = if last["cause"].is_null() {
            text(&last["result"])
        } else {
            format!("{}: {}", text(&last["result"]), text(&last["cause"]))
        };
        let since = text(&e["since"]);
        out.push_str(&format!(
            "{:<width$} {shown} {:<20} {took:>12}  {why}\n",
            text(&e["name"]),
            since.get(..19).unwrap_or("-")
        ));
    }
    if value["recorded"] == false {
        out.push_str("not recorded: the history is not writable\n");
    }
    out
}
