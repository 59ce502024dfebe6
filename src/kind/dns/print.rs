//! A dns probe as config.

use std::fmt::Write;

use super::spec::Dns;
use crate::config::dns_question::type_word;
use crate::config::plan::probe::{HostPort, Recursion, Transport};
use crate::config::print::probe::{print_within, quoted};

pub fn print(out: &mut String, server: &HostPort, spec: &Dns) {
    let transport = Transport::WORDS
        .iter()
        .find(|(_, t)| *t == spec.transport)
        .map_or("udp", |(w, _)| w);
    let _ = writeln!(
        out,
        "probe.dns.server = \"{server}\"\nprobe.dns.query = {}\nprobe.dns.type = \"{}\"",
        quoted(&spec.query),
        type_word(spec.record)
    );
    let _ = writeln!(
        out,
        "probe.dns.transport = \"{transport}\"\nprobe.dns.recursion = {}",
        spec.recursion == Recursion::Desired
    );
    let e = &spec.expect;
    if !e.rcodes.is_empty() {
        let _ = writeln!(
            out,
            "probe.dns.expect.rcode = [{}]",
            e.rcodes
                .iter()
                .map(|r| quoted(r))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    for (key, list) in [
        ("any", &e.any),
        ("all", &e.all),
        ("none", &e.none),
        ("chain", &e.chain),
    ] {
        if !list.is_empty() {
            let _ = writeln!(
                out,
                "probe.dns.expect.{key} = [{}]",
                list.iter()
                    .map(|p| quoted(&p.text))
                    .collect::<Vec<_>>()
                    .join(", ")
            );
        }
    }
    match e.at_least {
        Some(least) => {
            let _ = writeln!(out, "probe.dns.expect.at_least = {least}");
        }
        None => {
            let _ = writeln!(
                out,
                "# probe.dns.expect.at_least is 1 where the rcode is NOERROR"
            );
        }
    }
    if let Some(authoritative) = e.authoritative {
        let _ = writeln!(out, "probe.dns.expect.authoritative = {authoritative}");
    }
    print_within(out, "dns", e.within);
}
