//! Reads the table of an http probe.

use toml::de::DeValue;

use super::spec::*;
use crate::config::build::probe::{is_header_name, is_sendable, is_set_by_prober, pattern, within};
use crate::config::build::tls::{tls, tls_expect};
use crate::config::document::expression::expression;
use crate::config::document::problem::problem;
use crate::config::document::secret::mask::Mask;
use crate::config::document::secret::{MaybeSecret, Secret, is_secret_name, maybe_secret, secret};
use crate::config::document::source::ConfigInputs;
use crate::config::document::tree::{Item, Layers};
use crate::config::document::value::whole;
use crate::config::plan::probe::{DEFAULT_DECODED_LIMIT, Limits, Sent, Strictness};

/// Headers that follow from the body and the connection.
const OWN_HEADERS: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

/// Everything about an http probe but its URL.
pub fn spec(layers: &Layers, inputs: &dyn ConfigInputs) -> Http {
    let (redirects, cross_origin) = redirects(layers);
    let limits = layers.layers("limits");
    let built_limits = Limits {
        body: limits
            .item("body")
            .and_then(|i| i.size(1, 1 << 30))
            .unwrap_or(DEFAULT_BODY_LIMIT),
        decoded: limits
            .item("decoded")
            .and_then(|i| i.size(1, 1 << 30))
            .unwrap_or(DEFAULT_DECODED_LIMIT),
        header: limits
            .item("header")
            .and_then(|i| i.size(1024, 16 << 20))
            .unwrap_or(DEFAULT_HEADER_LIMIT),
    };
    limits.end();
    let expect = layers.layers("expect");
    let tls_expect = tls_expect(&expect.layers("tls"));
    let (headers, query, auth) = (
        request_headers(layers, inputs),
        secret_query(layers, inputs),
        auth(layers, inputs),
    );
    let body = layers
        .item("body")
        .and_then(|i| maybe_secret(&i, inputs))
        .map(Sent);
    let mask = mask(&headers, &query, auth.as_ref(), body.as_ref());
    Http {
        method: layers
            .item("method")
            .and_then(|i| method(&i))
            .unwrap_or_else(|| "GET".into()),
        headers,
        query,
        body,
        auth,
        mask,
        version: layers
            .item("version")
            .and_then(|i| i.word(&HttpVersion::WORDS))
            .unwrap_or(HttpVersion::Auto),
        redirects,
        cross_origin,
        compression: match layers.item("compression").and_then(|i| i.flag()) {
            Some(true) => Compression::Ask,
            Some(false) | None => Compression::Plain,
        },
        reading: match layers.item("strict").and_then(|i| i.flag()) {
            Some(true) => Strictness::Strict,
            Some(false) | None => Strictness::Lenient,
        },
        limits: built_limits,
        tls: tls(&layers.layers("tls"), tls_expect, inputs),
        expect: http_expect(&expect, redirects.max),
    }
}

/// Everything that a spec keeps secret.
fn mask(
    headers: &[(String, MaybeSecret)],
    query: &[(String, Secret)],
    auth: Option<&Auth>,
    body: Option<&Sent>,
) -> Mask {
    let mut secrets: Vec<Secret> = query.iter().map(|(_, value)| value.clone()).collect();
    match auth {
        Some(Auth::Basic { password, .. }) => secrets.push(password.clone()),
        Some(Auth::Bearer(token)) => secrets.push(token.clone()),
        None => {}
    }
    for value in headers
        .iter()
        .map(|(_, value)| value)
        .chain(body.map(|Sent(value)| value))
    {
        match value {
            MaybeSecret::Secret(secret) => secrets.push(secret.clone()),
            MaybeSecret::Plain(_) => {}
        }
    }
    Mask::of(secrets)
}

fn method(item: &Item) -> Option<String> {
    let text = item.text()?;
    let is_token = !text.is_empty()
        && text.len() <= 20
        && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    if !is_token {
        item.fault(
            problem!("`{}` is not a valid HTTP method", item.path),
            "Write it in capitals: \"GET\", \"HEAD\", \"POST\".",
        );
        return None;
    }
    Some(text)
}

fn redirects(layers: &Layers) -> (Redirects, CrossOrigin) {
    let at_most = |max: u64| {
        (
            Redirects {
                max: max as u32,
                to: RedirectsTo::SameNetwork,
            },
            CrossOrigin::Follow,
        )
    };
    let usual = u64::from(DEFAULT_REDIRECTS);
    let Some(item) = layers.item("redirects") else {
        return at_most(usual);
    };
    if !matches!(item.value, DeValue::Table(_)) {
        return at_most(item.integer(0, 50).unwrap_or(0));
    }
    let Some(section) = item.section() else {
        return at_most(usual);
    };
    let max = section
        .item("max")
        .and_then(|i| i.integer(0, 50))
        .unwrap_or(usual);
    let cross = section
        .item("cross_origin")
        .and_then(|i| i.flag())
        .unwrap_or(true);
    let to = section
        .item("to")
        .and_then(|i| i.word(&RedirectsTo::WORDS))
        .unwrap_or(RedirectsTo::SameNetwork);
    section.end();
    (
        Redirects {
            max: max as u32,
            to,
        },
        if cross {
            CrossOrigin::Follow
        } else {
            CrossOrigin::Refuse
        },
    )
}

fn request_headers(layers: &Layers, inputs: &dyn ConfigInputs) -> Vec<(String, MaybeSecret)> {
    let mut headers: Vec<(String, MaybeSecret)> = Vec::new();
    for section in layers.items("headers").iter().filter_map(Item::section) {
        for (name, span, item) in section.entries() {
            if headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                continue;
            }
            if !is_header_name(name) {
                section.source.fault(
                    &span,
                    problem!("invalid header name `{name}`"),
                    "Use letters, digits and hyphens.",
                );
                continue;
            }
            if is_set_by_prober(name, &OWN_HEADERS, section.source, &span) {
                continue;
            }
            if is_secret_name(name) && !matches!(item.value, DeValue::Table(_)) {
                let _ = secret(&item, inputs);
                continue;
            }
            if let Some(value) = maybe_secret(&item, inputs) {
                if value
                    .reveal()
                    .bytes()
                    .any(|b| b < 0x20 && b != b'\t' || b == 0x7f)
                {
                    item.fault(
                        problem!("the value of header `{name}` has control characters"),
                        "Use printable characters.",
                    );
                    continue;
                }
                let is_host = name.eq_ignore_ascii_case("host") && !value.is_unread();
                if is_host && !is_authority(value.reveal()) {
                    item.fault(
                        "the value of the header `Host` is not a valid authority",
                        "Give a host name or an address, with a port if need be, such \
                            as \"shop.example:8443\" or \"[::1]\". Names beyond ASCII are written \
                            as xn--.",
                    );
                    continue;
                }
                headers.push((name.to_owned(), value));
            }
        }
    }
    headers
}

/// `host` or `host:port` (RFC 3986 section 3.2), without user information.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(None) => return false,
        Some(Some((address, rest))) if address.parse::<std::net::Ipv6Addr>().is_ok() => (
            "address",
            rest.strip_prefix(':').or((!rest.is_empty()).then_some("")),
        ),
        Some(Some(_)) => return false,
        None => text
            .split_once(':')
            .map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_name = !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&b));
    is_name
        && port.is_none_or(|port| {
            port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit())
        })
}

/// Query parameters whose values are secrets, and so cannot stand in the URL.
fn secret_query(layers: &Layers, inputs: &dyn ConfigInputs) -> Vec<(String, Secret)> {
    let Some(section) = layers.item("query").and_then(|i| i.section()) else {
        return Vec::new();
    };
    section
        .entries()
        .filter_map(|(name, _, item)| secret(&item, inputs).map(|value| (name.to_owned(), value)))
        .collect()
}

fn auth(layers: &Layers, inputs: &dyn ConfigInputs) -> Option<Auth> {
    let item = layers.item("auth")?;
    let section = item.section()?;
    let basic = section.section("basic");
    let token = section.item("bearer");
    let bearer = token
        .as_ref()
        .and_then(|i| secret(i, inputs))
        .filter(|s| is_sendable(token.as_ref(), s.reveal()));
    section.end();
    if basic.is_some() == token.is_some() {
        item.fault(
            problem!("`{}` names no single way to authenticate", item.path),
            "Write basic = { username = ..., password = ... } or bearer = ..., each secret from \
                its source.",
        );
        return None;
    }
    let Some(basic) = basic else {
        return bearer.map(Auth::Bearer);
    };
    let username = basic
        .item("username")
        .and_then(|i| i.text())
        .unwrap_or_default();
    let password = basic.item("password").and_then(|i| secret(&i, inputs));
    basic.end();
    if !basic.table.contains_key("password") {
        basic.source.fault(
            &basic.span,
            problem!("`{}` has no password", basic.path),
            "Add password = { file = \"...\" }.",
        );
    }
    password.map(|password| Auth::Basic { username, password })
}

fn http_expect(layers: &Layers, redirects: u32) -> HttpExpect {
    let expect = HttpExpect {
        status: layers
            .item("status")
            .map(|i| statuses(&i, redirects))
            .unwrap_or_default(),
        headers: header_rules(layers),
        body: layers
            .items("body")
            .first()
            .map(body_rules)
            .unwrap_or_default(),
        json: layers.item("json").and_then(|i| expression(&i)),
        final_url: layers.item("final_url").and_then(|i| pattern(&i)),
        version: layers
            .item("version")
            .and_then(|i| i.word(&[("1.0", "1.0"), ("1.1", "1.1"), ("2", "2")]))
            .map(str::to_owned),
        within: within(layers),
    };
    layers.end();
    expect
}

/// Answers that lead elsewhere, and so are no final ones while redirects are followed.
const FOLLOWED: [u16; 5] = [301, 302, 303, 307, 308];

fn statuses(item: &Item, redirects: u32) -> StatusSet {
    const ADVICE: &str = "Write 200, \"2xx\", \"200-204\", or a list of them.";
    let mut ranges = Vec::new();
    for one in item.list() {
        let range = match one.value {
            DeValue::Integer(n) => whole(n).and_then(|n| u16::try_from(n).ok()).map(|s| (s, s)),
            DeValue::String(text) => match text.strip_suffix("xx") {
                Some(class) => class
                    .parse::<u16>()
                    .ok()
                    .filter(|c| *c < 10)
                    .map(|c| (c * 100, c * 100 + 99)),
                None => match text.split_once('-') {
                    Some((from, to)) => from.parse().ok().zip(to.parse().ok()),
                    None => text.parse::<u16>().ok().map(|s| (s, s)),
                },
            },
            _ => None,
        };
        match range.filter(|(from, to)| from <= to && (100..600).contains(from) && *to < 600) {
            Some(range) => {
                never_final(&one, range, redirects);
                ranges.push(range);
            }
            None => one.fault(
                problem!("`{}` is not a valid status code", one.path),
                ADVICE,
            ),
        }
    }
    if item.list().is_empty() {
        item.fault(
            problem!("`{}` is empty: no status could ever be right", item.path),
            ADVICE,
        );
    }
    StatusSet(ranges)
}

/// Codes that no final answer has: an expectation of them would say something else than it does.
fn never_final(item: &Item, (from, to): (u16, u16), redirects: u32) {
    if from < 200 {
        item.fault(
            problem!(
                "`{}` expects an interim answer (1xx): the probe waits for the final one and \
                asks for no other protocol",
                item.path
            ),
            "Expect the final status: 200, \"2xx\", \"200-299\". An http probe makes no websocket \
                handshake.",
        );
    }
    if let Some(code) = FOLLOWED
        .iter()
        .find(|c| redirects > 0 && (from..=to).contains(*c))
    {
        item.fault(
            problem!(
                "`{}` expects {code}, but redirects are followed: only the final status counts",
                item.path
            ),
            "Set probe.http.redirects = 0 to expect a redirect itself, or expect the status at \
                its end: \"2xx\".",
        );
    }
}

fn header_rules(layers: &Layers) -> Vec<HeaderRule> {
    let Some(section) = layers.item("headers").and_then(|i| i.section()) else {
        return Vec::new();
    };
    let mut rules = Vec::new();
    for (name, span, item) in section.entries() {
        if !is_header_name(name) {
            section.source.fault(
                &span,
                problem!("invalid header name `{name}`"),
                "Use letters, digits and hyphens.",
            );
            continue;
        }
        let name = name.to_ascii_lowercase();
        match item.value {
            DeValue::Boolean(true) => rules.push(HeaderRule {
                name,
                rule: HeaderTest::Present,
            }),
            DeValue::Boolean(false) => rules.push(HeaderRule {
                name,
                rule: HeaderTest::Absent,
            }),
            DeValue::String(text) => rules.push(HeaderRule {
                name,
                rule: HeaderTest::Equals(text.clone().into_owned()),
            }),
            DeValue::Table(_) => {
                let Some(table) = item.section() else {
                    continue;
                };
                let equals = table
                    .item("equals")
                    .and_then(|i| i.text())
                    .map(HeaderTest::Equals);
                let matches = table
                    .item("matches")
                    .and_then(|i| pattern(&i))
                    .map(HeaderTest::Matches);
                let not = table
                    .item("not_matches")
                    .and_then(|i| pattern(&i))
                    .map(HeaderTest::NotMatches);
                table.end();
                if table.table.is_empty() {
                    item.fault(
                        problem!("`{}` states no expectation of the header", item.path),
                        "Write a text, true, false, or { matches = \"...\" }.",
                    );
                }
                rules.extend(
                    [equals, matches, not]
                        .into_iter()
                        .flatten()
                        .map(|rule| HeaderRule {
                            name: name.clone(),
                            rule,
                        }),
                );
            }
            _ => {
                item.wrong_type("a text, true (present), false (absent), or { matches = \"...\" }")
            }
        }
    }
    rules
}

fn body_rules(item: &Item) -> Vec<TextRule> {
    if matches!(item.value, DeValue::String(_)) {
        item.fault(
            problem!("`{}` does not say what to expect of the body", item.path),
            "Write body.contains = \"...\", or not_contains, matches, not_matches.",
        );
        return Vec::new();
    }
    item.section()
        .map(|section| text_rules(&Layers(vec![section])))
        .unwrap_or_default()
}

fn text_rules(layers: &Layers) -> Vec<TextRule> {
    let mut rules = Vec::new();
    for one in layers.item("contains").iter().flat_map(Item::list) {
        rules.extend(searched_text(&one).map(TextRule::Contains));
    }
    for one in layers.item("not_contains").iter().flat_map(Item::list) {
        rules.extend(searched_text(&one).map(TextRule::NotContains));
    }
    for one in layers.item("matches").iter().flat_map(Item::list) {
        rules.extend(pattern(&one).map(TextRule::Matches));
    }
    for one in layers.item("not_matches").iter().flat_map(Item::list) {
        rules.extend(pattern(&one).map(TextRule::NotMatches));
    }
    layers.end();
    rules
}

/// A text to look for: an empty one is in every body.
fn searched_text(item: &Item) -> Option<String> {
    let text = item.text()?;
    if text.is_empty() {
        item.fault(
            problem!(
                "`{}` is empty, and an empty text is in every body",
                item.path
            ),
            "Write what the body holds.",
        );
    }
    Some(text)
}
