//! IPv6 addresses with a zone, as in `fe80::1%eth0` (RFC 4007): which interface a link-local
//! address belongs to.
//!
//! In a URL the zone stands as `[fe80::1%25eth0]` (RFC 6874) or, as curl accepts it, as
//! `[fe80::1%eth0]`. The zone is this host's own: it is never sent.

use std::net::IpAddr;

/// An address as a host is written, in brackets or not, with its zone.
pub fn address(host: &str) -> Option<(IpAddr, Option<&str>)> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.split_once('%') {
        None => bare.parse().ok().map(|ip| (ip, None)),
        Some((ip, zone)) => ip
            .parse()
            .ok()
            .filter(|ip| matches!(ip, IpAddr::V6(_)) && is_zone(zone))
            .map(|ip| (ip, Some(zone))),
    }
}

/// Such an address is one of each interface: without a zone the system does not know which is
/// meant.
pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// What a server is told of a host: never the zone.
pub fn without(host: &str) -> &str {
    match address(host) {
        Some((_, Some(_))) => host
            .trim_start_matches('[')
            .split('%')
            .next()
            .unwrap_or(host),
        Some((_, None)) | None => host,
    }
}

/// The name of an interface has at most 15 bytes; a number stands for its index.
fn is_zone(zone: &str) -> bool {
    (1..=15).contains(&zone.len())
        && zone.bytes().all(|b| {
            b.is_ascii_graphic() && !matches!(b, b'/' | b'%' | b'[' | b']' | b'@' | b'?' | b'#')
        })
}

/// A URL without the zone of its host, and the zone.
pub fn from_url(text: &str) -> Option<(String, &str)> {
    let authority = text.find("://")? + 3;
    let open = authority
        + text[authority..]
            .find(['[', '/', '?', '#'])
            .filter(|at| text[authority + at..].starts_with('['))?;
    let close = open + text[open..].find(']')?;
    let (ip, zone) = text[open + 1..close].split_once('%')?;
    let zone = zone
        .strip_prefix("25")
        .filter(|rest| !rest.is_empty())
        .unwrap_or(zone);
    address(&text[open + 1..open + 1 + ip.len()])?;
    is_zone(zone).then(|| {
        (
            format!("{}{}", &text[..open + 1 + ip.len()], &text[close..]),
            zone,
        )
    })
}

/// A URL with the zone in its host, as RFC 6874 writes it.
pub fn into_url(url: &url::Url, zone: Option<&str>) -> String {
    match (url.host_str(), zone) {
        (Some(host), Some(zone)) => url.as_str().replacen(
            host,
            &format!("{}%25{zone}]", host.trim_end_matches(']')),
            1,
        ),
        _ => url.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_a_zone() {
        let v6: IpAddr = "fe80::1".parse().expect("an address");
        assert_eq!(address("fe80::1%eth0"), Some((v6, Some("eth0"))));
        assert_eq!(address("[fe80::1%2]"), Some((v6, Some("2"))));
        assert_eq!(address("[fe80::1]"), Some((v6, None)));
        assert_eq!(address("192.0.2.1"), Some(([192, 0, 2, 1].into(), None)));
        for text in [
            "fe80::1%",
            "192.0.2.1%eth0",
            "fe80::1%a/b",
            "fe80::1%eth0%eth1",
            "host%eth0",
            "fe80::1%an-interface-too-long",
            "",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
        assert_eq!(
            (
                without("[fe80::1%eth0]"),
                without("fe80::1"),
                without("shop.example")
            ),
            ("fe80::1", "fe80::1", "shop.example")
        );
    }

    #[test]
    fn a_url_has_its_zone_in_either_spelling() {
        for (text, url, zone) in [
            (
                "http://[fe80::1%25eth0]:8080/a%25b?c",
                "http://[fe80::1]:8080/a%25b?c",
                "eth0",
            ),
            ("https://[fe80::1%eth0]/", "https://[fe80::1]/", "eth0"),
            ("http://[fe80::1%25]/", "http://[fe80::1]/", "25"),
            ("http://u@[fe80::1%251]/", "http://u@[fe80::1]/", "1"),
        ] {
            assert_eq!(from_url(text), Some((url.to_owned(), zone)), "{text}");
        }
        for text in [
            "http://[fe80::1]/",
            "http://shop.example/[fe80::1%25eth0]",
            "http://h/?q=[::1%251]",
            "[fe80::1%25eth0]",
            "http://[fe80::1%25eth0",
        ] {
            assert_eq!(from_url(text), None, "{text}");
        }
        let url = url::Url::parse("http://[fe80::1]:8080/").expect("a URL");
        assert_eq!(
            into_url(&url, Some("eth0")),
            "http://[fe80::1%25eth0]:8080/"
        );
        assert_eq!(into_url(&url, None), "http://[fe80::1]:8080/");
    }
}
