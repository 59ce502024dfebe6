//! An http probe as config.

use std::fmt::Write;

use super::spec::*;
use crate::config::document::secret::MASK;
use crate::config::document::value::show_size;
use crate::config::plan::probe::Strictness;
use crate::config::print::probe::{print_tls, print_within, quoted};

pub fn print(out: &mut String, url: &str, spec: &Http) {
    let _ = writeln!(
        out,
        "probe.http.url = {}\nprobe.http.method = \"{}\"",
        quoted(url),
        spec.method
    );
    print_manners(out, spec);
    print_request(out, spec);
    let limits = &spec.limits;
    let _ = writeln!(
        out,
        "probe.http.limits = {{ body = \"{}\", decoded = \"{}\", header = \"{}\" }}",
        show_size(limits.body),
        show_size(limits.decoded),
        show_size(limits.header)
    );
    print_tls(out, "http", &spec.tls);
    print_expect(out, &spec.expect);
}

/// How the server is spoken to, and how its answer is read.
fn print_manners(out: &mut String, spec: &Http) {
    let version = HttpVersion::WORDS
        .iter()
        .find(|(_, v)| *v == spec.version)
        .map_or("auto", |(w, _)| w);
    let _ = writeln!(out, "probe.http.version = \"{version}\"");
    let _ = writeln!(
        out,
        "probe.http.redirects = {{ max = {}, cross_origin = {}, to = \"{}\" }}",
        spec.redirects.max,
        spec.cross_origin == CrossOrigin::Follow,
        spec.redirects.to.as_str()
    );
    let _ = writeln!(
        out,
        "probe.http.compression = {}\nprobe.http.strict = {}",
        spec.compression == Compression::Ask,
        spec.reading == Strictness::Strict
    );
}

/// What goes into the request, without its secrets.
fn print_request(out: &mut String, spec: &Http) {
    for (name, value) in &spec.headers {
        let _ = writeln!(
            out,
            "probe.http.headers.{} = {}",
            quoted(name),
            quoted(value.shown())
        );
    }
    for (name, _) in &spec.query {
        let _ = writeln!(out, "probe.http.query.{} = \"{MASK}\"", quoted(name));
    }
    match &spec.auth {
        Some(Auth::Basic { username, .. }) => {
            let _ = writeln!(
                out,
                "probe.http.auth.basic = {{ username = {}, password = \"{MASK}\" }}",
                quoted(username)
            );
        }
        Some(Auth::Bearer(_)) => {
            let _ = writeln!(out, "probe.http.auth.bearer = \"{MASK}\"");
        }
        None => {}
    }
    if let Some(body) = &spec.body {
        let _ = writeln!(out, "probe.http.body = {}", quoted(body.0.shown()));
    }
}

fn print_expect(out: &mut String, expect: &HttpExpect) {
    let _ = writeln!(out, "probe.http.expect.status = {}", expect.status.shown());
    print_header_rules(out, &expect.headers);
    for (key, text_of) in TEXT_RULES {
        let texts: Vec<String> = expect.body.iter().filter_map(text_of).map(quoted).collect();
        if !texts.is_empty() {
            let _ = writeln!(out, "probe.http.expect.body.{key} = [{}]", texts.join(", "));
        }
    }
    for (key, text) in [
        ("json", expect.json.as_ref().map(|c| &c.text)),
        ("final_url", expect.final_url.as_ref().map(|p| &p.text)),
        ("version", expect.version.as_ref()),
    ] {
        if let Some(text) = text {
            let _ = writeln!(out, "probe.http.expect.{key} = {}", quoted(text));
        }
    }
    print_within(out, "http", expect.within);
}

/// The text of a rule, where it is one of a kind.
type TextOf = fn(&TextRule) -> Option<&str>;

/// The key of each kind of rule about the body, in the order in which they are printed.
const TEXT_RULES: [(&str, TextOf); 4] = [
    ("contains", |rule| match rule {
        TextRule::Contains(text) => Some(text),
        _ => None,
    }),
    ("not_contains", |rule| match rule {
        TextRule::NotContains(text) => Some(text),
        _ => None,
    }),
    ("matches", |rule| match rule {
        TextRule::Matches(pattern) => Some(&pattern.text),
        _ => None,
    }),
    ("not_matches", |rule| match rule {
        TextRule::NotMatches(pattern) => Some(&pattern.text),
        _ => None,
    }),
];

/// One line for each header, as a header may have several rules.
fn print_header_rules(out: &mut String, rules: &[HeaderRule]) {
    let mut names: Vec<&str> = rules.iter().map(|r| r.name.as_str()).collect();
    names.dedup();
    for name in names {
        let own: Vec<&HeaderTest> = rules
            .iter()
            .filter(|r| r.name == name)
            .map(|r| &r.rule)
            .collect();
        let tested: Vec<String> = own
            .iter()
            .filter_map(|rule| match rule {
                HeaderTest::Present | HeaderTest::Absent => None,
                HeaderTest::Equals(text) => Some(format!("equals = {}", quoted(text))),
                HeaderTest::Matches(p) => Some(format!("matches = {}", quoted(&p.text))),
                HeaderTest::NotMatches(p) => Some(format!("not_matches = {}", quoted(&p.text))),
            })
            .collect();
        let value = match own.as_slice() {
            [HeaderTest::Present] => "true".to_owned(),
            [HeaderTest::Absent] => "false".to_owned(),
            _ => format!("{{ {} }}", tested.join(", ")),
        };
        let _ = writeln!(out, "probe.http.expect.headers.{} = {value}", quoted(name));
    }
}
