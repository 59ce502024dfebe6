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
    let l = &spec.limits;
    let _ = writeln!(
        out,
        "probe.http.limits = {{ body = \"{}\", decoded = \"{}\", header = \"{}\" }}",
        show_size(l.body),
        show_size(l.decoded),
        show_size(l.header)
    );
    print_tls(out, "http", &spec.tls);
    let e = &spec.expect;
    let _ = writeln!(out, "probe.http.expect.status = {}", e.status.shown());
    print_header_rules(out, &e.headers);
    let texts = |pick: fn(&TextRule) -> Option<&str>| {
        e.body
            .iter()
            .filter_map(pick)
            .map(quoted)
            .collect::<Vec<_>>()
    };
    for (key, list) in [
        (
            "contains",
            texts(|r| {
                if let TextRule::Contains(t) = r {
                    Some(t)
                } else {
                    None
                }
            }),
        ),
        (
            "not_contains",
            texts(|r| {
                if let TextRule::NotContains(t) = r {
                    Some(t)
                } else {
                    None
                }
            }),
        ),
        (
            "matches",
            texts(|r| {
                if let TextRule::Matches(p) = r {
                    Some(&p.text)
                } else {
                    None
                }
            }),
        ),
        (
            "not_matches",
            texts(|r| {
                if let TextRule::NotMatches(p) = r {
                    Some(&p.text)
                } else {
                    None
                }
            }),
        ),
    ] {
        if !list.is_empty() {
            let _ = writeln!(out, "probe.http.expect.body.{key} = [{}]", list.join(", "));
        }
    }
    for (key, text) in [
        ("json", e.json.as_ref().map(|c| &c.text)),
        ("final_url", e.final_url.as_ref().map(|p| &p.text)),
        ("version", e.version.as_ref()),
    ] {
        if let Some(text) = text {
            let _ = writeln!(out, "probe.http.expect.{key} = {}", quoted(text));
        }
    }
    print_within(out, "http", e.within);
}

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
