//! Builds the checked specs of each probe kind from their layered tables.

use toml::de::DeValue;

use super::tls::{tls, tls_expect};
use crate::config::dns_question;
use crate::config::document::common::is_secret_name;
use crate::config::document::expression::expression;
use crate::config::document::secret::mask::Mask;
use crate::config::document::secret::{MaybeSecret, Secret, maybe_secret, secret};
use crate::config::document::source::Surroundings;
use crate::config::document::tree::{Item, Layers};
use crate::config::document::value::whole;
use crate::config::plan::probe::*;
use crate::words::Ms;

const WITHIN_LEAST: Ms = 1;
const WITHIN_MOST: Ms = 300_000;

/// Everything about an http probe but its URL.
pub fn http(layers: &Layers, surroundings: &dyn Surroundings) -> Http {
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
        request_headers(layers, surroundings),
        secret_query(layers, surroundings),
        auth(layers, surroundings),
    );
    let body = layers
        .item("body")
        .and_then(|i| maybe_secret(&i, surroundings))
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
            Some(true) => Reading::Strict,
            Some(false) | None => Reading::Lenient,
        },
        limits: built_limits,
        tls: tls(&layers.layers("tls"), tls_expect, surroundings),
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
            format!("`{}` is not a valid HTTP method", item.path),
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

fn request_headers(layers: &Layers, surroundings: &dyn Surroundings) -> Vec<(String, MaybeSecret)> {
    let mut headers: Vec<(String, MaybeSecret)> = Vec::new();
    for section in layers.items("headers").iter().filter_map(Item::section) {
        for (name, span, item) in section.entries() {
            if headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                continue;
            }
            if !is_header_name(name) {
                section.source.fault(
                    &span,
                    format!("invalid header name `{name}`"),
                    "Use letters, digits and hyphens.",
                );
                continue;
            }
            if matches!(
                name.to_ascii_lowercase().as_str(),
                "content-length" | "transfer-encoding" | "connection"
            ) {
                section.source.fault(
                    &span,
                    format!("the header `{name}` is set by the prober itself"),
                    "Leave it out.",
                );
                continue;
            }
            if is_secret_name(name) && !matches!(item.value, DeValue::Table(_)) {
                let _ = secret(&item, surroundings);
                continue;
            }
            if let Some(value) = maybe_secret(&item, surroundings) {
                if value
                    .reveal()
                    .bytes()
                    .any(|b| b < 0x20 && b != b'\t' || b == 0x7f)
                {
                    item.fault(
                        format!("the value of header `{name}` has control characters"),
                        "Use printable characters.",
                    );
                    continue;
                }
                if name.eq_ignore_ascii_case("host") && !is_authority(value.reveal()) {
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

pub(in crate::config) fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Query parameters whose values are secrets, and so cannot stand in the URL.
fn secret_query(layers: &Layers, surroundings: &dyn Surroundings) -> Vec<(String, Secret)> {
    let Some(section) = layers.item("query").and_then(|i| i.section()) else {
        return Vec::new();
    };
    section
        .entries()
        .filter_map(|(name, _, item)| {
            secret(&item, surroundings).map(|value| (name.to_owned(), value))
        })
        .collect()
}

fn auth(layers: &Layers, surroundings: &dyn Surroundings) -> Option<Auth> {
    let item = layers.item("auth")?;
    let section = item.section()?;
    let basic = section.section("basic");
    let token = section.item("bearer");
    let bearer = token
        .as_ref()
        .and_then(|i| secret(i, surroundings))
        .filter(|s| is_sendable(token.as_ref(), s.reveal()));
    section.end();
    if basic.is_some() == token.is_some() {
        item.fault(
            format!("`{}` names no single way to authenticate", item.path),
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
    let password = basic
        .item("password")
        .and_then(|i| secret(&i, surroundings));
    basic.end();
    if !basic.table.contains_key("password") {
        basic.source.fault(
            &basic.span,
            format!("`{}` has no password", basic.path),
            "Add password = { file = \"...\" }.",
        );
    }
    password.map(|password| Auth::Basic { username, password })
}

/// Values of a header must not end it.
pub(in crate::config) fn is_sendable(item: Option<&Item>, value: &str) -> bool {
    let is_fine = !value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f);
    if let (Some(item), false) = (item, is_fine) {
        item.fault(
            format!("the secret `{}` has control characters", item.path),
            "Its source must hold one line of printable characters.",
        );
    }
    if let (Some(item), true) = (item, value.is_empty()) {
        item.fault(
            format!("the secret `{}` is empty", item.path),
            "Its source must hold one line of printable characters.",
        );
    }
    is_fine && !value.is_empty()
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

fn within(layers: &Layers) -> Option<Ms> {
    layers
        .item("within")
        .and_then(|i| i.duration(WITHIN_LEAST, WITHIN_MOST))
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
            None => one.fault(format!("`{}` is not a valid status code", one.path), ADVICE),
        }
    }
    if item.list().is_empty() {
        item.fault(
            format!("`{}` is empty: no status could ever be right", item.path),
            ADVICE,
        );
    }
    StatusSet(ranges)
}

/// Codes that no final answer has: an expectation of them would say something else than it does.
fn never_final(item: &Item, (from, to): (u16, u16), redirects: u32) {
    if from < 200 {
        item.fault(
            format!(
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
            format!(
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
                format!("invalid header name `{name}`"),
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
                        format!("`{}` states no expectation of the header", item.path),
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
            format!("`{}` does not say what to expect of the body", item.path),
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
        rules.extend(told(&one).map(TextRule::Contains));
    }
    for one in layers.item("not_contains").iter().flat_map(Item::list) {
        rules.extend(told(&one).map(TextRule::NotContains));
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
fn told(item: &Item) -> Option<String> {
    let text = item.text()?;
    if text.is_empty() {
        item.fault(
            format!(
                "`{}` is empty, and an empty text is in every body",
                item.path
            ),
            "Write what the body holds.",
        );
    }
    Some(text)
}

pub fn pattern(item: &Item) -> Option<Pattern> {
    let text = item.text()?;
    match compiled(&text) {
        Ok((regex, size_kib)) => Some(Pattern {
            text,
            regex,
            size_kib,
        }),
        Err(error) => {
            let last = error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .to_owned();
            item.fault(
                format!("invalid regular expression in `{}`: {last}", item.path),
                "Use the syntax of the Rust regex crate; it has no look-around and no \
                    back-references.",
            );
            None
        }
    }
}

/// The smallest of the sizes that a pattern fits into, in KiB. A compiler that runs into its limit
/// ends there, so the tries before the last cost a third of it.
fn compiled(text: &str) -> Result<(regex::bytes::Regex, u32), regex::Error> {
    const SIZES_KIB: [u32; 5] = [4, 16, 64, 256, 1024];
    let within = |kib: u32| {
        regex::bytes::RegexBuilder::new(text)
            .size_limit((kib as usize) << 10)
            .build()
    };
    let mut last = within(SIZES_KIB[0]).map(|regex| (regex, SIZES_KIB[0]));
    for kib in &SIZES_KIB[1..] {
        if !matches!(last, Err(regex::Error::CompiledTooBig(_))) {
            break;
        }
        last = within(*kib).map(|regex| (regex, *kib));
    }
    last
}

pub fn tcp(layers: &Layers, surroundings: &dyn Surroundings) -> Tcp {
    let mut dialogue = Vec::new();
    for step in layers.item("dialogue").iter().flat_map(Item::list) {
        let Some(section) = step.section() else {
            continue;
        };
        let send = section
            .item("send")
            .and_then(|i| maybe_secret(&i, surroundings))
            .map(Sent);
        let expect = section.item("expect").and_then(|i| pattern(&i));
        section.end();
        match (send, expect) {
            (Some(text), None) => dialogue.push(DialogueStep::Send(text)),
            (None, Some(pattern)) => dialogue.push(DialogueStep::Expect(pattern)),
            (Some(_), Some(_)) => step.fault(
                "a step of a dialogue does one thing",
                "Write { expect = \"...\" } and { send = \"...\" } one after the other.",
            ),
            (None, None) if section.table.is_empty() => step.fault(
                "this step of the dialogue does nothing",
                "Write { expect = \"...\" } or { send = \"...\" }.",
            ),
            (None, None) => {}
        }
    }
    let secrets = dialogue.iter().filter_map(|step| match step {
        DialogueStep::Send(Sent(MaybeSecret::Secret(secret))) => Some(secret.clone()),
        DialogueStep::Send(Sent(MaybeSecret::Plain(_))) | DialogueStep::Expect(_) => None,
    });
    Tcp {
        mask: Mask::of(secrets.collect()),
        dialogue,
        within: expect_within(layers),
    }
}

fn expect_within(layers: &Layers) -> Option<Ms> {
    let expect = layers.layers("expect");
    let found = within(&expect);
    expect.end();
    found
}

pub fn tls_probe(layers: &Layers, surroundings: &dyn Surroundings) -> TlsProbe {
    let expect = layers.layers("expect");
    let tls_expect = tls_expect(&expect.layers("tls"));
    let within = within(&expect);
    expect.end();
    TlsProbe {
        tls: tls(&layers.layers("tls"), tls_expect, surroundings),
        within,
    }
}

pub fn icmp(layers: &Layers) -> Icmp {
    Icmp {
        size: layers
            .item("size")
            .and_then(|i| i.integer(8, 1400))
            .unwrap_or(56) as u16,
        within: expect_within(layers),
    }
}

pub fn dns(layers: &Layers) -> Dns {
    let expect = layers.layers("expect");
    let patterns = |key| {
        expect
            .item(key)
            .iter()
            .flat_map(Item::list)
            .filter_map(|i| pattern(&i))
            .collect()
    };
    let built = DnsExpect {
        rcodes: expect
            .item("rcode")
            .iter()
            .flat_map(Item::list)
            .filter_map(|i| rcode(&i))
            .collect(),
        any: patterns("any"),
        all: patterns("all"),
        none: patterns("none"),
        chain: patterns("chain"),
        at_least: expect.item("at_least").and_then(|i| i.integer(0, 1000)),
        authoritative: expect.item("authoritative").and_then(|i| i.flag()),
        within: within(&expect),
    };
    expect.end();
    let record = layers
        .item("type")
        .and_then(|i| record_type(&i))
        .unwrap_or(dns_question::A);
    let (query, name) = layers
        .item("query")
        .and_then(|i| query_name(&i, record))
        .unwrap_or_else(|| (".".into(), vec![0]));
    Dns {
        query,
        name,
        record,
        transport: layers
            .item("transport")
            .and_then(|i| i.word(&Transport::WORDS))
            .unwrap_or(Transport::Udp),
        recursion: match layers.item("recursion").and_then(|i| i.flag()) {
            Some(false) => Recursion::NotDesired,
            Some(true) | None => Recursion::Desired,
        },
        expect: built,
    }
}

/// The name to ask for, as it is written and as it is sent. Where PTR is asked for, an address
/// stands for its name.
fn query_name(item: &Item, record: u16) -> Option<(String, Vec<u8>)> {
    let text = item.text()?;
    let reversed = text
        .parse()
        .ok()
        .filter(|_| record == dns_question::PTR)
        .map(dns_question::reversed);
    match dns_question::name_to_wire(reversed.as_deref().unwrap_or(&text)) {
        Ok(name) => Some((text, name)),
        Err(why) => {
            let advice = "Write it as in \"shop.example\"; for type = \"PTR\" an address, as \
                in \"192.0.2.1\", is accepted, too.";
            item.fault(
                format!("invalid domain name `{}`: {why}", text.escape_debug()),
                advice,
            );
            None
        }
    }
}

fn record_type(item: &Item) -> Option<u16> {
    let text = item.text()?;
    let number = dns_question::type_number(&text);
    if number.is_none() {
        item.fault(
            format!(
                "`{}` = \"{}\" is not a valid record type",
                item.path,
                text.escape_debug()
            ),
            "Write it in capitals: \"A\", \"AAAA\", \"MX\", \"SOA\", \"TXT\", or by its \
                number: \"TYPE65280\".",
        );
    }
    number
}

fn rcode(item: &Item) -> Option<String> {
    const KNOWN: [&str; 11] = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET",
        "NXRRSET", "NOTAUTH", "NOTZONE",
    ];
    let words: Vec<(&'static str, &'static str)> = KNOWN.iter().map(|w| (*w, *w)).collect();
    item.word(&words).map(str::to_owned)
}
