//! The names under which other hosts know this one, as far as its own files tell them: asked once,
//! when the listener starts.
//!
//! No name server is asked: an answer of one could be forged, and a start would wait for it.

use std::net::IpAddr;
use std::path::Path;

use super::bounded;
use super::config_files::Files;
use super::networks::{Network, network_of};
use super::resolver_files::{Paths, parse_hosts, parse_resolv_conf};
use crate::config::ConfigInputs;

/// The host's name, its names in the hosts file, and the name with each search domain; in lower
/// case, without a dot at the end.
pub fn own_names() -> Vec<String> {
    let paths = Paths::default();
    let read = |path: &Path| bounded::of_this_host(path).unwrap_or_default();
    names(
        &Files.host_name(),
        &read(&paths.hosts),
        &read(&paths.resolv_conf),
    )
}

/// Whether a name is this host's own, or one that its hosts file leads to loopback alone.
pub fn is_named_so(name: &str) -> bool {
    let hosts = bounded::of_this_host(&Paths::default().hosts).unwrap_or_default();
    own_names().iter().any(|own| own.eq_ignore_ascii_case(name)) || leads_to_loopback(&hosts, name)
}

fn leads_to_loopback(hosts: &[u8], name: &str) -> bool {
    let is_it = |known: &str| known.trim_end_matches('.').eq_ignore_ascii_case(name);
    let found = parse_hosts(hosts);
    let mut addresses = found
        .iter()
        .filter(|(known, _)| is_it(known))
        .flat_map(|(_, a)| a);
    let is_loopback = |address: &IpAddr| network_of(*address) == Network::Loopback;
    addresses.next().is_some_and(is_loopback) && addresses.all(is_loopback)
}

fn names(host: &str, hosts: &[u8], resolv_conf: &[u8]) -> Vec<String> {
    let host = host.to_ascii_lowercase();
    let (short, domain) = host.split_once('.').unwrap_or((&host, ""));
    let mut names = vec![host.clone()];
    if domain.is_empty() {
        let prefix = format!("{short}.");
        names.extend(
            parse_hosts(hosts)
                .into_keys()
                .map(|name| name.trim_end_matches('.').to_ascii_lowercase())
                .filter(|name| name.starts_with(&prefix)),
        );
        let search = parse_resolv_conf(resolv_conf, |_| None).search;
        names.extend(search.iter().map(|domain| {
            format!(
                "{prefix}{}",
                domain
                    .to_string()
                    .trim_end_matches('.')
                    .to_ascii_lowercase()
            )
        }));
    } else {
        names.push(short.to_owned());
    }
    names.retain(|name| name != "localhost" && !name.ends_with('.'));
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_hosts_file_leads_to_loopback_is_this_hosts() {
        let hosts =
            b"127.0.0.1 localhost\n127.0.1.1 Prober.corp.example prober\n::1 ip6-localhost\n\
            10.0.0.1 both\n127.0.0.1 both\n10.0.0.2 db\n";
        let is = |name| leads_to_loopback(hosts, name);
        assert!(is("prober") && is("PROBER.corp.example") && is("ip6-localhost"));
        assert!(!is("both") && !is("db") && !is("elsewhere") && !is(""));
    }

    #[test]
    fn the_names_are_those_that_this_hosts_files_tell() {
        let hosts = b"127.0.0.1 localhost ads.example\n127.0.1.1 Prober.corp.example prober\n";
        assert_eq!(
            names("prober", hosts, b"search lan. b.example\n"),
            [
                "prober",
                "prober.b.example",
                "prober.corp.example",
                "prober.lan"
            ]
        );
        assert_eq!(
            names("Prober.corp.example", b"", b"search lan\n"),
            ["prober", "prober.corp.example"]
        );
        assert_eq!(names("localhost", b"", b""), [] as [&str; 0]);
    }
}
