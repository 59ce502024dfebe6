//! What several kinds of probe print alike.

use std::fmt::Write;

use crate::config::document::value::show_duration;
use crate::config::plan::probe::{Expiring, Tls, TlsVersion, Verify};

pub fn print_tls(out: &mut String, kind: &str, tls: &Tls) {
    let version = TlsVersion::WORDS
        .iter()
        .find(|(_, v)| *v == tls.min_version)
        .map_or("1.2", |(w, _)| w);
    let _ = writeln!(
        out,
        "probe.{kind}.tls.verify = {}\nprobe.{kind}.tls.min_version = \"{version}\"",
        tls.verify == Verify::Full
    );
    let expiring = match tls.expiring_within {
        Expiring::Length(ms) => show_duration(ms),
        Expiring::Share(percent) => format!("{percent}%"),
    };
    let _ = writeln!(out, "probe.{kind}.tls.expiring_within = \"{expiring}\"");
    let list = |words: Vec<&str>| words.into_iter().map(quoted).collect::<Vec<_>>().join(", ");
    let _ = writeln!(
        out,
        "probe.{kind}.tls.groups = [{}]",
        list(tls.groups.0.iter().map(|g| g.as_str()).collect())
    );
    for (key, words) in [
        ("version", &tls.expect.versions),
        ("cipher", &tls.expect.ciphers),
        ("group", &tls.expect.groups),
    ] {
        if !words.is_empty() {
            let _ = writeln!(
                out,
                "probe.{kind}.expect.tls.{key} = [{}]",
                list(words.iter().map(String::as_str).collect())
            );
        }
    }
    if let Some(file) = &tls.ca {
        let count = file.pem.matches("-----BEGIN CERTIFICATE-----").count();
        let _ = writeln!(
            out,
            "# probe.{kind}.tls.ca_file {} holds {count} certificates",
            file.path.display()
        );
    }
    if tls.client.is_some() {
        let _ = writeln!(
            out,
            "# probe.{kind}.tls.client_certificate and probe.{kind}.tls.client_key are set"
        );
    }
    if let Some(name) = &tls.server_name {
        let _ = writeln!(out, "probe.{kind}.tls.server_name = {}", quoted(name));
    }
}

pub fn print_within(out: &mut String, kind: &str, within: Option<u64>) {
    if let Some(ms) = within {
        let _ = writeln!(
            out,
            "probe.{kind}.expect.within = \"{}\"",
            show_duration(ms)
        );
    }
}

/// A TOML basic string.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
