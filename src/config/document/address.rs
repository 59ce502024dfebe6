//! Addresses of endpoints: URLs, hosts, hosts with a port. What can never be reached as it is
//! written is a fault, with an advice that fits that fault.

use std::net::IpAddr;
use std::sync::Arc;

use url::ParseError;

use super::secret::is_secret_name;
use super::tree::Item;
use super::zone;
use crate::config::document::problem::problem;
use crate::config::plan::probe::HostPort;

/// A URL, and the zone of its host.
pub fn http_url_with_zone(text: &str, item: &Item) -> Option<(url::Url, Option<Arc<str>>)> {
    match zone::from_url(text) {
        Some((text, zone)) => {
            http_url(&text, Some(zone), item).map(|url| (url, Some(Arc::from(zone))))
        }
        None => http_url(text, None, item).map(|url| (url, None)),
    }
}

fn http_url(text: &str, zone: Option<&str>, item: &Item) -> Option<url::Url> {
    let parsed = match url::Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            item.fault(
                problem!("invalid URL `{}`: {error}", without_secrets(text)),
                advice_of_url(error),
            );
            return None;
        }
    };
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        let advice = "Start it with http:// or https://. Other protocols have kinds of their own, \
            such as probe.tcp and probe.dns.";
        item.fault(
            problem!("`{}` is not an http or https URL", without_secrets(text)),
            advice,
        );
        return None;
    }
    let host = match parsed.host() {
        Some(url::Host::Ipv6(address)) => {
            zone.map_or_else(|| address.to_string(), |zone| format!("{address}%{zone}"))
        }
        Some(host) => host.to_string(),
        None => String::new(),
    };
    if let Some((why, advice)) = wrong_host(&host) {
        item.fault(
            problem!("the host of `{}` {why}", without_secrets(text)),
            advice,
        );
        return None;
    }
    if parsed.port() == Some(0) {
        item.fault(
            problem!("`{}` has the port 0", without_secrets(text)),
            "Write the port that the server listens on.",
        );
        return None;
    }
    if let Some((name, _)) = parsed
        .query_pairs()
        .find(|(name, value)| is_secret_name(name) && !value.is_empty())
    {
        let advice = format!(
            "Write probe.http.query = {{ {name} = {{ file = \"...\" }} }} (or env, or credential), \
                and remove it from the URL."
        );
        item.fault(
            problem!("the URL holds a value of `{name}`, which is a secret by its name"),
            advice,
        );
        return None;
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        item.fault(
            "the URL holds a user name or a password",
            "Write probe.http.auth.basic = { username = \"...\", password = { file = \"...\" } }.",
        );
        return None;
    }
    Some(parsed)
}

fn advice_of_url(error: ParseError) -> &'static str {
    match error {
        ParseError::InvalidPort => {
            "Write a port from 1 to 65535 after the host, as \
                in \"https://shop.example:8443/health\", or leave it out."
        }
        ParseError::InvalidIpv4Address => {
            "An IPv4 address is four numbers from 0 to 255, as in \"http://192.0.2.1/\"."
        }
        ParseError::InvalidIpv6Address => {
            "An IPv6 address is written in brackets, as in \"http://[2001:db8::1]/\" \
                or \"http://[fe80::1%25eth0]/\"."
        }
        ParseError::InvalidDomainCharacter | ParseError::IdnaError => {
            "Correct the host name: letters, digits, hyphens and underscores, with dots between \
                them."
        }
        ParseError::EmptyHost => {
            "Write the host behind the two slashes, as in \"https://shop.example/health\"."
        }
        _ => "Write it in full: \"https://shop.example/health\".",
    }
}

pub fn host_port(text: &str, item: &Item, default_port: Option<u16>) -> Option<HostPort> {
    let with_default = default_port.map(|port| match zone::address(text) {
        Some((IpAddr::V6(_), _)) if !text.starts_with('[') => format!("[{text}]:{port}"),
        _ => format!("{text}:{port}"),
    });
    let parsed =
        HostPort::parse(text).or_else(|| with_default.as_deref().and_then(HostPort::parse));
    let Some(parsed) = parsed else {
        item.fault(
            problem!("`{}` is not a host with a port", without_secrets(text)),
            advice_of_host_port(text),
        );
        return None;
    };
    let parsed = HostPort {
        host: Arc::from(&*in_ascii(&parsed.host)),
        ..parsed
    };
    if let Some((why, advice)) = wrong_host(&parsed.host) {
        item.fault(
            problem!("the host of `{}` {why}", without_secrets(text)),
            advice,
        );
        return None;
    }
    Some(parsed)
}

fn advice_of_host_port(text: &str) -> &'static str {
    let bare = text.trim_start_matches('[');
    let port = text.rsplit_once(':').map(|(_, port)| port);
    match port {
        _ if text.contains("://") => {
            "Write host:port without a scheme and a path, as in \"db.example:5432\". A URL \
                belongs to probe.http."
        }
        _ if text.contains(['/', '@', ' ']) => {
            "Write host:port and nothing else, as in \"db.example:5432\"."
        }
        _ if zone::address(bare).is_some_and(|(ip, _)| ip.is_ipv4()) || port.is_none() => {
            "Add the port: write host:port, as in \"db.example:5432\"."
        }
        _ if text.matches(':').count() > 1 => {
            "Write an IPv6 address in brackets before the port, as in \"[2001:db8::1]:5432\"."
        }
        Some(_) if text.starts_with(':') => {
            "Write host:port, with the host before the port, as in \"db.example:5432\"."
        }
        Some(_) | None => "Write host:port with a port from 1 to 65535, as in \"db.example:5432\".",
    }
}

/// A host without a port.
pub fn host(text: &str, item: &Item) -> Option<Arc<str>> {
    let plain = text.trim_start_matches('[').trim_end_matches(']');
    if plain.is_empty()
        || plain.contains(['/', ' '])
        || plain.contains(':') && zone::address(plain).is_none()
    {
        let advice = match plain {
            "" => "Write a host name or an IP address.",
            _ if plain.contains("://") => {
                "Write the host alone, without a scheme and a path, as in \"shop.example\"."
            }
            _ if plain.matches(':').count() == 1 => {
                "Write the host alone, without a port: an echo has none."
            }
            _ => {
                "Write a host name or an IP address without a port, as in \"shop.example\" \
                    or \"2001:db8::1\"."
            }
        };
        item.fault(
            problem!("`{}` is not a valid host", without_secrets(text)),
            advice,
        );
        return None;
    }
    let host = in_ascii(plain);
    if let Some((why, advice)) = wrong_host(&host) {
        item.fault(
            problem!("the host `{}` {why}", without_secrets(text)),
            advice,
        );
        return None;
    }
    Some(Arc::from(&*host))
}

/// What no resolver could ask for, for which a server would be called down; and what to do.
fn wrong_host(host: &str) -> Option<(&'static str, &'static str)> {
    if let Some((address, zone)) = zone::address(host) {
        if zone.is_none() && zone::is_link_local(address) {
            return Some((
                "is a link-local address without its zone",
                "Write the network interface behind the address, as in \"fe80::1%eth0\"; in a \
                    URL \"[fe80::1%25eth0]\".",
            ));
        }
        let is_nowhere = address.to_canonical().is_unspecified();
        return is_nowhere.then_some((
            "is the unspecified address, which the kernel leads to this host itself",
            "Write the address of the host to probe; 127.0.0.1 or ::1 if this host is meant.",
        ));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.len() > 253 {
        return Some((
            "is longer than 253 bytes",
            "No name in DNS is that long: correct it, or write the IP address.",
        ));
    }
    name.split('.').find_map(|label| match label {
        "" => Some((
            "has an empty label: two dots in a row, or one at its start",
            "Remove the dot: a host name has one between two labels.",
        )),
        label if label.len() > 63 => Some((
            "has a label longer than 63 bytes",
            "No label in DNS is that long: look for a \
                dot that is missing between two labels.",
        )),
        label
            if !label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') =>
        {
            Some((
                "has a character that is not allowed in a host name",
                "Write a host name of letters, \
                digits, hyphens, underscores and dots, or an IP address.",
            ))
        }
        // What the resolver cannot write into a question would be our own failure at every probe.
        label if hickory_proto::rr::Name::from_ascii(label).is_err() => Some((
            "has a label that no name server can be asked for, such as one that starts with a \
                hyphen",
            "Correct the name: no label of a host name starts with a hyphen.",
        )),
        _ => None,
    })
}

/// An internationalized name as resolvers ask for it (punycode, RFC 5891); as it stands where it
/// cannot be one.
pub(in crate::config) fn in_ascii(host: &str) -> std::borrow::Cow<'_, str> {
    if host.is_ascii() {
        return host.into();
    }
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) => name.into(),
        _ => host.into(),
    }
}

/// An address as it may be printed: without user, password and query, each of which may be secret.
pub(in crate::config) fn without_secrets(text: &str) -> String {
    let (address, query) = text
        .split_once('?')
        .map_or((text, ""), |(address, _)| (address, "?<secret>"));
    let shown = match address.rsplit_once('@') {
        Some((before, host)) => format!(
            "{}<secret>@{host}",
            before
                .split_once("//")
                .map_or(String::new(), |(scheme, _)| format!("{scheme}//"))
        ),
        None => address.to_owned(),
    };
    format!("{}{query}", shown.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_cannot_be_read_has_the_advice_of_its_fault() {
        for (text, advice) in [
            ("shop.example/health", "in full"),
            ("/health", "in full"),
            ("http://shop.example:99999/", "65535"),
            ("http://192.0.2.300/", "from 0 to 255"),
            ("http://[2001:db8::g]/", "in brackets"),
            ("http://shop example/", "host name"),
            ("http://", "behind the two slashes"),
        ] {
            let error = url::Url::parse(text).expect_err(text);
            assert!(
                advice_of_url(error).contains(advice),
                "{text}: {error}: {}",
                advice_of_url(error)
            );
        }
    }

    #[test]
    fn a_host_without_a_port_has_the_advice_of_its_fault() {
        for (text, advice) in [
            ("db.example", "Add the port"),
            ("192.0.2.1", "Add the port"),
            ("db.example:0", "from 1 to 65535"),
            ("db.example:70000", "from 1 to 65535"),
            ("db.example:", "from 1 to 65535"),
            ("db.example:postgres", "from 1 to 65535"),
            (":5432", "the host before the port"),
            ("2001:db8::1:5432", "in brackets"),
            ("http://db.example:80", "without a scheme"),
            ("u@h:1", "nothing else"),
            ("db.example:80/health", "nothing else"),
        ] {
            assert!(HostPort::parse(text).is_none() || text == "u@h:1", "{text}");
            assert!(
                advice_of_host_port(text).contains(advice),
                "{text}: {}",
                advice_of_host_port(text)
            );
        }
    }

    #[test]
    fn a_host_that_can_never_be_reached_has_the_advice_of_its_fault() {
        let (long_label, long_name) = ("a".repeat(64), "a.".repeat(130));
        for (host, why, advice) in [
            ("-a.test", "hyphen", "starts with a hyphen"),
            ("0.0.0.0", "unspecified", "the host to probe"),
            ("::", "unspecified", "::1"),
            ("fe80::1", "zone", "%eth0"),
            ("a..b", "two dots", "Remove the dot"),
            (&*long_label, "63 bytes", "dot that is missing"),
            (&*long_name, "253 bytes", "IP address"),
            ("a,b", "a character", "letters, digits"),
        ] {
            let (found, told) = wrong_host(host).expect(host);
            assert!(
                found.contains(why) && told.contains(advice),
                "{host}: {found}: {told}"
            );
        }
        assert!(
            [
                "shop.example",
                "shop.example.",
                "_dmarc.shop.example",
                "192.0.2.1",
                "fe80::1%eth0",
                "2001:db8::1"
            ]
            .iter()
            .all(|h| wrong_host(h).is_none())
        );
    }
}
