//! `probity status`: the endpoints of a running daemon, as it tells them itself.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::args::Status;
use super::{is_colored, print_colored, print_json};
use crate::config::listen::DEFAULT_LISTEN;
use crate::config::plan::Proxies;
use crate::daemon::exit::Exit;
use crate::daemon::start::read_config;
use crate::daemon::streams::{OutputReader, say_error};
use crate::net::own_calls::fetch;
use crate::words::escaped;

pub fn run(args: &Status) -> Exit {
    let url = args.url.clone().unwrap_or_else(|| {
        let listen = read_config(&args.config.path()).map_or_else(
            |_| DEFAULT_LISTEN.to_owned(),
            |p| p.listen.address.to_string(),
        );
        format!("http://{listen}")
    });
    loop {
        let (text, list) = match ask(&url) {
            Ok(answer) => answer,
            Err(why) => {
                say_error(format_args!("probity: no running daemon at {url}: {why}"));
                return Exit::Unavailable;
            }
        };
        if args.watch && is_colored() {
            print_colored(false, &Value::Null, || "\u{1b}[2J\u{1b}[H".into());
        }
        let reader = match args.json {
            true => print_json(&on_one_line(&text)),
            false => print_colored(false, &Value::Null, || table(&list)),
        };
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

/// What is shown of the answer. The rest is skipped: the values of a large answer would take many
/// times its size.
#[derive(Deserialize)]
struct ListedEndpoints {
    schema: String,
    recorded: bool,
    endpoints: Vec<ListedEndpoint>,
}

#[derive(Deserialize)]
struct ListedEndpoint {
    name: String,
    state: String,
    since: String,
    #[serde(default)]
    last: Option<ListedProbe>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ListedProbe {
    duration_ms: f64,
    result: String,
    cause: Option<String>,
}

/// The answer as it came, and what is read of it.
fn ask(url: &str) -> Result<(String, ListedEndpoints), String> {
    let url = format!("{}/api/v1/endpoints", url.trim_end_matches('/'));
    let text = fetch(url, Proxies::None)?;
    let list: ListedEndpoints = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    if !list.schema.starts_with("probity-endpoints/") {
        return Err("its answer is not a list of endpoints (`probity-endpoints`)".into());
    }
    Ok((text, list))
}

/// JSON without the blanks and line ends outside its texts.
fn on_one_line(json: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let is_kept = |c: &char| {
        let is_blank = !is_text && c.is_ascii_whitespace();
        is_text ^= *c == '"' && !is_escaped;
        is_escaped = is_text && *c == '\\' && !is_escaped;
        !is_blank
    };
    json.chars().filter(is_kept).collect()
}

fn verdict(list: &ListedEndpoints) -> Exit {
    let any = |state: &str| list.endpoints.iter().any(|e| e.state == state);
    match (any("down"), any("unknown")) {
        (true, _) => Exit::Bad,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Fine,
    }
}

fn table(list: &ListedEndpoints) -> String {
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

fn row(e: &ListedEndpoint, width: usize) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_on_one_line_keeps_its_texts() {
        let text = "{ \"a \\\" b\" :\r\n\t[1, \"\\\\\", \" \"] }\n";
        let line = on_one_line(text);
        assert_eq!(line, "{\"a \\\" b\":[1,\"\\\\\",\" \"]}");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(value(&line), value(text));
    }
}
