//! A udp probe as config.

use std::fmt::Write;

use super::spec::{Octets, SentPart, Udp};
use crate::config::document::secret::MASK;
use crate::config::plan::probe::HostPort;
use crate::config::print::probe::{print_within, quoted};

pub fn print(out: &mut String, address: &HostPort, spec: &Udp) {
    let _ = writeln!(out, "probe.udp.address = \"{address}\"");
    let parts = spec.send.iter().map(|part| match part {
        SentPart::Plain(octets) => written(octets),
        SentPart::Secret(_) => quoted(MASK),
    });
    let parts: Vec<String> = parts.collect();
    let _ = match parts.as_slice() {
        [] => writeln!(out, "probe.udp.send = \"\""),
        [one] => writeln!(out, "probe.udp.send = {one}"),
        _ => writeln!(out, "probe.udp.send = [{}]", parts.join(", ")),
    };
    let expect = &spec.expect;
    let contains = expect.contains.iter().map(|text| quoted(text));
    let matches = expect.matches.iter().map(|p| quoted(&p.text));
    print_list(out, "contains", contains.collect());
    print_list(out, "matches", matches.collect());
    if let Some(equals) = &expect.equals {
        let _ = writeln!(out, "probe.udp.expect.equals = {}", written(equals));
    }
    print_within(out, "udp", expect.within);
}

fn print_list(out: &mut String, key: &str, list: Vec<String>) {
    if !list.is_empty() {
        let _ = writeln!(out, "probe.udp.expect.{key} = [{}]", list.join(", "));
    }
}

/// As a text where it is one, else in hexadecimal.
fn written(Octets(bytes): &Octets) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => quoted(text),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{{ hex = \"{digits}\" }}")
        }
    }
}
