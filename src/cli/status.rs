//! `probity status`: the endpoints of a running daemon, as it tells them itself.

mod chosen;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::args::status::Status;
use super::{is_colored, print_colored};
use crate::config::document::source::show_faults;
use crate::config::listen::DEFAULT_LISTEN;
use crate::config::plan::Proxies;
use crate::daemon::exit::Exit;
use crate::daemon::start::{likely_listen_address, read_without_secrets};
use crate::daemon::streams::{OutputReader, say, say_error};
use crate::net::config_files::Unread;
use crate::net::own_calls::{answer_to, fetch};
use crate::serve::api::{EndpointList, ShownEndpoint};
use crate::words::{escaped, escaped_lines};

pub fn run(args: &Status) -> Exit {
    let asked = match AskedDaemon::of(args) {
        Ok(asked) => asked,
        Err(exit) => return exit,
    };
    if args.ready {
        return readiness(&asked);
    }
    let mut was_shown = false;
    loop {
        let shown = match ask(args, &asked.url) {
            Ok(answer) => show(args, answer),
            Err(why) => {
                say_error(format_args!(
                    "probity: no running daemon at {} ({}): {why}",
                    asked.url, asked.why
                ));
                // One that is watched may come back.
                if was_shown {
                    Ok(None)
                } else {
                    Err(Exit::Unavailable)
                }
            }
        };
        match shown {
            Ok(Some((OutputReader::Gone, exit))) => return exit,
            Ok(Some((OutputReader::There, exit))) if !args.watch => return exit,
            Ok(_) => was_shown = true,
            Err(exit) => return exit,
        }
        pause();
    }
}

/// Which daemon is asked, and why that one.
struct AskedDaemon {
    url: String,
    why: String,
}

impl AskedDaemon {
    fn of(args: &Status) -> Result<Self, Exit> {
        if let Some(url) = &args.url {
            let (url, why) = (url.clone(), "the address of --url".to_owned());
            return Ok(Self { url, why });
        }
        let path = args.config.path();
        if args.config.is_missing() {
            return Ok(Self {
                url: format!("http://{DEFAULT_LISTEN}"),
                why: format!("the default, as there is no config at {}", path.display()),
            });
        }
        match read_without_secrets(&path, Unread::All) {
            Ok(plan) => Ok(Self {
                url: format!("http://{}", reached(plan.listen.address)),
                why: format!("the [listen] address of {}", path.display()),
            }),
            Err(faults) => {
                // The daemon that runs has not taken this config, but listens where it says.
                if let Some(address) = likely_listen_address(&path) {
                    let path = path.display();
                    return Ok(Self {
                        url: format!("http://{}", reached(address)),
                        why: format!("the listen address in {path}, which has faults"),
                    });
                }
                say_error(show_faults(&faults));
                say_error(
                    "probity: the config does not say where the daemon listens; name it with \
                        --url",
                );
                Err(Exit::Config)
            }
        }
    }
}

type Answer = (Value, EndpointList, BTreeMap<String, String>);

fn show(args: &Status, answer: Answer) -> Result<Option<(OutputReader, Exit)>, Exit> {
    let (mut value, mut list, months) = answer;
    chosen::choose(args, &mut value, &mut list)?;
    if args.watch && !args.json && std::io::stdout().is_terminal() {
        say(b"\x1b[2J\x1b[H");
    }
    let reader = print_colored(args.json, &value, || table(&list, &months));
    Ok(Some((reader, verdict(&list))))
}

#[expect(clippy::disallowed_methods, reason = "a person waits here, no task")]
fn pause() {
    std::thread::sleep(Duration::from_secs(2));
}

/// Where a daemon is reached from its own host.
fn reached(mut listens: SocketAddr) -> SocketAddr {
    match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listens.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listens.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    listens
}

/// What `/-/ready` says.
fn readiness(asked: &AskedDaemon) -> Exit {
    let url = format!("{}/-/ready", asked.url.trim_end_matches('/'));
    match answer_to(url, Proxies::None) {
        Ok(answer) if answer.status.is_success() => {
            say(escaped_lines(&answer.text).as_bytes());
            Exit::Fine
        }
        Ok(answer) => {
            say_error(format_args!("probity: {}", escaped(answer.text.trim_end())));
            Exit::Unavailable
        }
        Err(why) => {
            say_error(format_args!(
                "probity: no running daemon at {} ({}): {why}",
                asked.url, asked.why
            ));
            Exit::Unavailable
        }
    }
}

/// What is read of the answer, the availability of components this month, and the answer as it
/// came, if it is to be shown as that: the values of a large one take many times its size.
fn ask(args: &Status, url: &str) -> Result<Answer, String> {
    let text = asked(url, "endpoints")?;
    let list: EndpointList = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let value = match args.json {
        true => serde_json::from_str(&text).map_err(|e| e.to_string())?,
        false => Value::Null,
    };
    // It is an addition: a daemon that is busy with it still has its states.
    let months = asked(url, "components").map(|text| months(&text));
    Ok((value, list, months.unwrap_or_default()))
}

fn asked(url: &str, what: &str) -> Result<String, String> {
    let url = format!("{}/api/v1/{what}", url.trim_end_matches('/'));
    fetch(url, Proxies::None)
}

/// What is read of `/api/v1/components`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ComponentMonths {
    components: Vec<ComponentMonth>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ComponentMonth {
    component: String,
    which: String,
    availability_percent: Option<String>,
}

/// The availability of each component in the present month, cut to two decimals.
fn months(text: &str) -> BTreeMap<String, String> {
    let list: ComponentMonths = serde_json::from_str(text).unwrap_or_default();
    let present = list.components.into_iter().filter(|c| c.which == "current");
    present
        .filter_map(|c| {
            let text = c.availability_percent?;
            let end = text.find('.').map_or(text.len(), |dot| dot + 3);
            let cut = text.get(..end).unwrap_or(&text);
            Some((c.component, format!("{cut} %")))
        })
        .collect()
}

fn verdict(list: &EndpointList) -> Exit {
    let any = |state: &str| list.endpoints.iter().any(|e| e.state == state);
    match (any("down"), any("unknown")) {
        (true, _) => Exit::Bad,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Fine,
    }
}

fn table(list: &EndpointList, months: &BTreeMap<String, String>) -> String {
    let width = list
        .endpoints
        .iter()
        .map(|e| e.name.chars().count())
        .max()
        .unwrap_or(8)
        .clamp(8, 40);
    let mut out = format!(
        "{:<width$} {:<8} {:<20} {:>9} {:>12}  {}\n",
        "endpoint", "state", "since (UTC)", "month", "last", "result"
    );
    if list.endpoints.is_empty() {
        out = "no endpoint matches\n".to_owned();
    }
    for e in &list.endpoints {
        let month = months.get(&e.component).map_or("-", String::as_str);
        out.push_str(&row(e, month, width));
    }
    if !list.recorded {
        out.push_str("not recorded: the history is not writable\n");
    }
    if let Some(why) = &list.reload_refused {
        out.push_str(&format!(
            "the last reload was refused, the config before is in force: {}\n",
            escaped(why)
        ));
    }
    if let Some(since) = &list.config_changed_since {
        out.push_str(&format!(
            "the config on disk differs from the one in force, which was read at {}: run `probity \
                reload`\n",
            escaped(since)
        ));
    }
    out
}

fn row(e: &ShownEndpoint, month: &str, width: usize) -> String {
    let state = escaped(&e.state);
    let padded = format!("{state:<8}");
    let shown = match (is_colored(), state.as_str()) {
        (false, _) => padded,
        (true, "up") => format!("\u{1b}[32m{padded}\u{1b}[0m"),
        (true, "down") => format!("\u{1b}[31m{padded}\u{1b}[0m"),
        (true, _) => format!("\u{1b}[33m{padded}\u{1b}[0m"),
    };
    let took = e.last.as_ref();
    let took = took.map_or("-".to_owned(), |last| format!("{:.2} ms", last.duration_ms));
    let since = escaped(&e.since);
    format!(
        "{:<width$} {shown} {:<20} {:>9} {took:>12}  {}\n",
        escaped(&e.name),
        since.get(..19).unwrap_or("-"),
        escaped(month),
        result(e)
    )
}

/// The last result, why the state is unknown, and whether a window is in force.
fn result(e: &ShownEndpoint) -> String {
    let last = e.last.as_ref().map(|last| match &last.cause {
        None => escaped(&last.result),
        Some(cause) => format!("{}: {}", escaped(&last.result), escaped(cause)),
    });
    let mut parts = vec![last.unwrap_or_else(|| "-".to_owned())];
    if let Some(reason) = &e.reason {
        parts.push(format!("unknown because of {}", escaped(reason)));
    }
    if e.maintenance {
        parts.push("in maintenance".to_owned());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_daemon_that_listens_everywhere_is_reached_on_loopback() {
        for (listens, at) in [
            ("0.0.0.0:9847", "127.0.0.1:9847"),
            ("[::]:9847", "[::1]:9847"),
            ("10.0.0.5:1", "10.0.0.5:1"),
        ] {
            let listens = listens.parse().expect("an address");
            assert_eq!(reached(listens).to_string(), at);
        }
    }

    #[test]
    fn a_month_is_the_present_one_and_never_rounded_up() {
        let of = |which: &str, component: &str, percent: Value| {
            json!({
                "which": which, "component": component, "availability_percent": percent,
            })
        };
        let value = json!({"components": [
            of("current", "shop", json!("99.9999999999")),
            of("previous", "shop", json!("12.0000000000")),
            of("current", "new", Value::Null),
        ]});
        let months = months(&value.to_string());
        assert_eq!(months.get("shop").map(String::as_str), Some("99.99 %"));
        assert_eq!(months.len(), 1);
    }

    #[test]
    fn a_row_says_why_it_is_unknown_and_that_a_window_is_in_force() {
        let e = ShownEndpoint {
            reason: Some("late".to_owned()),
            maintenance: true,
            ..ShownEndpoint::default()
        };
        assert_eq!(result(&e), "-, unknown because of late, in maintenance");
    }
}
