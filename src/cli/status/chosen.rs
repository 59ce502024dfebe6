//! Which endpoints `probity status` shows, and in which order.

use serde_json::Value;

use super::super::args::status::{Status, StatusOrder};
use super::super::given;
use crate::daemon::exit::Exit;
use crate::daemon::streams::say_error;
use crate::serve::api::{EndpointList, ShownEndpoint};

/// Leaves what the options choose, in their order, in both forms of the answer.
pub fn choose(args: &Status, value: &mut Value, list: &mut EndpointList) -> Result<(), Exit> {
    let labels: Vec<(&str, &str)> = args
        .label
        .iter()
        .map(|text| {
            let allowed = "KEY=VALUE, such as team=shop";
            text.split_once('=')
                .ok_or_else(|| given::out_of_range("label", text, allowed))
        })
        .collect::<Result<_, _>>()?;
    let all = std::mem::take(&mut list.endpoints);
    if let Some(name) = args
        .names
        .iter()
        .find(|name| !all.iter().any(|e| is_like(name, &e.name)))
    {
        say_error(format_args!("probity: no endpoint matches `{name}`"));
        return Err(Exit::Usage);
    }
    // Only with --json are there values.
    let rows = match value.get_mut("endpoints").map(Value::take) {
        Some(Value::Array(rows)) => rows,
        _ => vec![Value::Null; all.len()],
    };
    let mut chosen: Vec<(ShownEndpoint, Value)> = all
        .into_iter()
        .zip(rows)
        .filter(|(e, _)| is_chosen(args, &labels, e))
        .collect();
    if let Some(order) = args.sort {
        sort(&mut chosen, order);
    }
    let (endpoints, rows): (Vec<_>, Vec<_>) = chosen.into_iter().unzip();
    list.endpoints = endpoints;
    if let Some(place) = value.get_mut("endpoints") {
        *place = Value::Array(rows);
    }
    Ok(())
}

fn is_chosen(args: &Status, labels: &[(&str, &str)], e: &ShownEndpoint) -> bool {
    let is_named = args.names.is_empty() || args.names.iter().any(|name| is_like(name, &e.name));
    let in_state = args.state.is_empty() || args.state.iter().any(|s| s.as_str() == e.state);
    let has_label = |(key, value): &(&str, &str)| e.labels.get(*key).is_some_and(|v| v == value);
    is_named && in_state && labels.iter().all(has_label)
}

fn sort(chosen: &mut [(ShownEndpoint, Value)], order: StatusOrder) {
    let urgency = |e: &ShownEndpoint| match e.state.as_str() {
        "down" => 0,
        "unknown" => 1,
        _ => 2,
    };
    let latency = |e: &ShownEndpoint| e.last.as_ref().map_or(-1.0, |last| last.duration_ms);
    chosen.sort_by(|(a, _), (b, _)| match order {
        StatusOrder::Name => a.name.cmp(&b.name),
        StatusOrder::State => urgency(a).cmp(&urgency(b)),
        StatusOrder::Since => b.since.cmp(&a.since),
        StatusOrder::Latency => latency(b).total_cmp(&latency(a)),
    });
}

/// Whether a name is like a pattern, in which `*` is any text and `?` one character. In time
/// proportional to both lengths.
fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` is, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, n) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("shop", "shop", true),
            ("shop", "shop2", false),
            ("shop*", "shop", true),
            ("shop?", "shop", false),
            ("shop?", "shopä", true),
            ("*-eu*", "web-eu-1", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("*", "", true),
            ("", "x", false),
            ("[ab]", "a", false),
        ] {
            assert_eq!(is_like(pattern, name), expected, "{pattern} {name}");
        }
    }
}
