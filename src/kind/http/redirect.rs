//! Redirects: whether an answer is one, where it leads, what the next request is, and the cookies
//! that were set on the way.

use std::borrow::Cow;

use cookie_store::{CookieStore, RawCookie};
use hickory_proto::rr::Name;
use url::{Host, Url};

use super::spec::CrossOrigin;
use crate::net::http_response::Response;
use crate::net::probe_error::ProbeError;
use crate::net::public_suffix::public_suffix;
use crate::words::Cause;

/// A redirect may not lead to a longer URL than this.
const URL_LIMIT: usize = 8192;
/// Characters of a label of a domain name (RFC 1035 section 2.3.4).
const LABEL: usize = 63;
/// Characters of a Location that are shown.
const SHOWN: usize = 200;
/// Cookies of one probe, and the length of each (RFC 6265 section 6.1).
const COOKIE_LIMIT: usize = 50;
const COOKIE_LENGTH: usize = 4096;

/// Where a response redirects to, if it does. An empty Location leads nowhere, as for browsers and
/// curl.
pub fn redirect_of(response: &Response) -> Option<Vec<u8>> {
    let moved = matches!(response.status, 301 | 302 | 303 | 307 | 308);
    response
        .values("location")
        .next()
        .filter(|location| moved && !location.is_empty())
        .map(<[u8]>::to_vec)
}

/// The method after a redirect (RFC 9110 section 15.4): only POST becomes GET at 301 and 302, and
/// whatever is not HEAD at 303.
pub fn next_method(status: u16, method: &str) -> &str {
    match (status, method) {
        (301 | 302, "POST") => "GET",
        (303, "HEAD") => "HEAD",
        (303, _) => "GET",
        _ => method,
    }
}

/// The URL that a Location leads to from here, if it may be followed.
pub fn followed(from: &Url, location: &[u8], cross_origin: CrossOrigin) -> Result<Url, ProbeError> {
    let refused = |why: String| ProbeError::down(Cause::RedirectPolicy, why);
    let too_long = || refused(format!("the Location is longer than {URL_LIMIT} bytes"));
    if location.len() > URL_LIMIT {
        return Err(too_long());
    }
    let text = text_of(location);
    if text.len() > URL_LIMIT {
        return Err(too_long());
    }
    let no_name = |name: &str| {
        refused(format!(
            "the Location leads to a host whose name is not a valid domain name: \"{}\"",
            shown(name)
        ))
    };
    // Before it is read: the work for a label is the square of its length.
    let as_read = text.replace('\t', "");
    let as_read = as_read.trim_matches(|c: char| c <= ' ');
    let is_web = |scheme: &str| {
        ["http", "https"]
            .iter()
            .any(|s| scheme.eq_ignore_ascii_case(s))
    };
    if let Some((scheme, _)) = scheme_of(as_read).filter(|(scheme, _)| !is_web(scheme)) {
        let scheme = shown(&scheme.to_ascii_lowercase());
        return Err(refused(format!("the Location leads to {scheme}:")));
    }
    if let Some(host) = host_of(as_read, from).filter(|host| !has_short_labels(host)) {
        return Err(no_name(host));
    }
    let to = from.join(&text).map_err(|e| {
        refused(format!(
            "the Location \"{}\" is not a URL: {e}",
            shown(&text)
        ))
    })?;
    // Escapes make it longer, and so does each one that is relative to the one before.
    if to.as_str().len() > URL_LIMIT {
        return Err(refused(format!(
            "the Location leads to a URL of more than {URL_LIMIT} bytes"
        )));
    }
    if !matches!(to.scheme(), "http" | "https") || to.host_str().is_none() {
        return Err(refused(format!("the Location leads to {}:", to.scheme())));
    }
    if let Some(Host::Domain(name)) = to.host()
        && Name::from_ascii(name).is_err()
    {
        return Err(no_name(name));
    }
    if cross_origin == CrossOrigin::Refuse && to.origin() != from.origin() {
        return Err(refused(format!(
            "the Location leads to another origin: {}",
            to.origin().ascii_serialization()
        )));
    }
    Ok(to)
}

/// The scheme of a Location, if it has one, and what follows it.
fn scheme_of(text: &str) -> Option<(&str, &str)> {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    text.split_once(':').filter(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(is_of_scheme)
    })
}

/// What will be read as the host of a Location to http or https, if it names one.
fn host_of<'l>(text: &'l str, from: &Url) -> Option<&'l str> {
    let slashes = ['/', '\\'];
    let scheme = scheme_of(text);
    let rest = scheme.map_or(text, |(_, rest)| rest);
    let leads = rest.len() - rest.trim_start_matches(slashes).len();
    let is_relative = match scheme {
        Some((scheme, _)) => leads < 2 && scheme.eq_ignore_ascii_case(from.scheme()),
        None => leads < 2,
    };
    let authority = rest[leads..].split(['/', '\\', '?', '#']).next()?;
    let host = authority.rsplit('@').next().filter(|_| !is_relative)?;
    let port = host.rsplit_once(':');
    let port = port.filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    Some(port.map_or(host, |(host, _)| host))
}

/// Whether each label of a host has at most 63 characters, after escapes are undone. IDNA takes
/// three other signs for dots.
fn has_short_labels(host: &str) -> bool {
    let characters = |label: &str| {
        let (mut bytes, mut count) = (label.bytes(), 0);
        while let Some(mut byte) = bytes.next() {
            if byte == b'%' {
                let digits = [bytes.next(), bytes.next()].map(|digit| digit.unwrap_or_default());
                let digits = std::str::from_utf8(&digits).ok();
                byte = digits
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                    .unwrap_or(byte);
            }
            // What goes on within a character of UTF-8 counts with its beginning.
            count += usize::from(byte & 0xC0 != 0x80);
        }
        count
    };
    host.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'])
        .all(|label| characters(label) <= LABEL)
}

/// What a peer wrote, cut: the words of a fault need no more of it.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Bytes beyond UTF-8 are those of a path in another charset, and go back as they came.
fn text_of(location: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(location) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => location
            .iter()
            .map(|b| {
                if b.is_ascii() {
                    char::from(*b).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect::<String>()
            .into(),
    }
}

/// Cookies that were set by redirects of one probe.
#[derive(Default)]
pub struct Cookies(Option<CookieStore>);

impl Cookies {
    /// Keeps what a redirect sets. Nothing is kept for a public suffix: it would go to strangers.
    pub fn keep(&mut self, response: &Response, from: &Url) {
        for value in response.values("set-cookie").take(COOKIE_LIMIT) {
            let Some(text) = std::str::from_utf8(value)
                .ok()
                .filter(|t| t.len() <= COOKIE_LENGTH && !t.bytes().any(|b| b.is_ascii_control()))
            else {
                continue;
            };
            let Ok(mut cookie) = RawCookie::parse(text) else {
                continue;
            };
            if cookie.domain().is_some_and(|name| !fits_a_name(name)) {
                continue;
            }
            if let Some(domain) = suffix_of(&cookie) {
                // A host that is one itself may set cookies for itself alone (RFC 6265 section 5.3,
                // step 5).
                if from.host_str() != Some(domain.as_str()) {
                    continue;
                }
                cookie.unset_domain();
            }
            let store = self.0.get_or_insert_default();
            if store.iter_any().count() < COOKIE_LIMIT {
                let _ = store.insert_raw(&cookie, from);
            }
        }
    }

    /// The value of the Cookie header for a URL.
    pub fn of(&self, url: &Url) -> Option<String> {
        let pairs: Vec<String> = self
            .0
            .as_ref()?
            .get_request_values(url)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

/// Whether it is no longer than names of hosts are (RFC 1035, 2.3.4): what is longer takes long to
/// convert, and is the domain of none.
fn fits_a_name(domain: &str) -> bool {
    domain.len() <= 255 && domain.split('.').all(|label| label.len() <= 63)
}

/// The domain that a cookie is for, where it is a public suffix.
fn suffix_of(cookie: &RawCookie<'_>) -> Option<String> {
    let domain = cookie
        .domain()?
        .trim_start_matches('.')
        .to_ascii_lowercase();
    (public_suffix(&domain) == Some(domain.as_str())).then_some(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cookies: &[&str], from: &str) -> Cookies {
        let headers = cookies
            .iter()
            .map(|c| ("set-cookie".to_owned(), c.as_bytes().to_vec()))
            .collect();
        let mut store = Cookies::default();
        store.keep(
            &Response {
                headers,
                ..Response::default()
            },
            &Url::parse(from).expect("a URL"),
        );
        store
    }

    fn sent(store: &Cookies, to: &str) -> Option<String> {
        store.of(&Url::parse(to).expect("a URL"))
    }

    #[test]
    fn a_host_with_a_long_label_is_refused_before_it_is_read() {
        let from = Url::parse("https://shop.example/a").expect("a URL");
        let host = |text: &str| host_of(text, &from).map(str::to_owned);
        for (text, expected) in [
            ("https://b.example:8443/x", Some("b.example")),
            ("HTTP:\\\\me:1@b.example?x", Some("b.example")),
            ("http:b.example/x", Some("b.example")),
            ("//b.example#x", Some("b.example")),
            ("https:/x//y", None),
            ("https:x", None),
            ("/x//y", None),
            ("x/y?u=http://b.example", None),
            ("?u=http://b.example", None),
            ("1:b.example", None),
            ("//[::1]:80/", Some("[::1]")),
            ("", None),
        ] {
            assert_eq!(host(text).as_deref(), expected, "{text}");
        }
        let to = |label: &str| {
            let location = format!("//{label}.example/x");
            followed(&from, location.as_bytes(), CrossOrigin::Follow).map(|to| to.to_string())
        };
        assert!(to(&"a".repeat(63)).is_ok() && to(&"a".repeat(64)).is_err());
        assert!(to(&"%C3%BC".repeat(20)).is_ok() && to("b\u{fc}cher").is_ok());
        for letter in ["\u{4e00}", "%E4%B8%80"] {
            let refused = to(&letter.repeat(64)).expect_err("too long");
            assert!(
                format!("{refused:?}").contains("not a valid domain name"),
                "{refused:?}"
            );
        }
        assert!(!has_short_labels(&format!("%61{}", "\u{fc}".repeat(63))));
        for begin in ["/", "x/", "1:", ":"] {
            let path = format!("{begin}{}/x", "a".repeat(500));
            let to = followed(&from, path.as_bytes(), CrossOrigin::Follow);
            assert!(to.is_ok(), "{begin}: {to:?}");
        }
        let file = format!("file://{}@x/", "\u{4e00}".repeat(64));
        let refused = followed(&from, file.as_bytes(), CrossOrigin::Follow).expect_err("a file");
        assert!(
            format!("{refused:?}").contains("leads to file:"),
            "{refused:?}"
        );
    }

    #[test]
    fn cookies_go_where_their_domain_path_and_scheme_say() {
        let store = set(
            &[
                "a=1; Path=/",
                "b=2; Domain=shop.example; Path=/",
                "c=3; Secure; Path=/",
                "d=4; Path=/login",
            ],
            "https://www.shop.example/x",
        );
        assert_eq!(
            sent(&store, "https://www.shop.example/").as_deref(),
            Some("a=1; c=3; b=2")
        );
        assert_eq!(
            sent(&store, "http://www.shop.example/").as_deref(),
            Some("a=1; b=2")
        );
        assert_eq!(
            sent(&store, "http://api.shop.example/").as_deref(),
            Some("b=2")
        );
        assert_eq!(sent(&store, "http://other.example/"), None);
        assert!(sent(&store, "https://www.shop.example/login/").is_some_and(|c| c.contains("d=4")));
    }

    #[test]
    fn no_cookie_is_kept_for_a_public_suffix_another_host_or_the_past() {
        for (cookie, from) in [
            ("a=1; Domain=co.uk", "http://shop.co.uk/"),
            ("a=1; Domain=.github.io", "http://shop.github.io/"),
            ("a=1; Domain=com", "http://shop.com/"),
            ("a=1; Domain=other.example", "http://shop.example/"),
            ("a=1; Max-Age=0", "http://shop.example/"),
            (
                "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                "http://shop.example/",
            ),
            ("a=1\u{1}b", "http://shop.example/"),
            ("", "http://shop.example/"),
        ] {
            assert_eq!(sent(&set(&[cookie], from), from), None, "{cookie}");
        }
        let own = set(&["a=1; Domain=github.io"], "http://github.io/");
        assert_eq!(sent(&own, "http://github.io/").as_deref(), Some("a=1"));
        assert_eq!(sent(&own, "http://shop.github.io/"), None);
    }

    #[test]
    fn a_domain_that_no_host_can_have_is_left_unread() {
        assert!(fits_a_name("") && fits_a_name(".shop.example"));
        assert!(fits_a_name(&"a".repeat(63)) && !fits_a_name(&"a".repeat(64)));
        assert!(fits_a_name(&"a.".repeat(127)) && !fits_a_name(&"a.".repeat(128)));
    }

    #[test]
    fn what_is_set_again_or_taken_back_counts_as_it_was_last() {
        let mut store = set(&["a=1; Path=/", "b=2; Path=/"], "http://127.0.0.1:1/");
        let headers = vec![
            ("set-cookie".into(), b"a=3; Path=/".to_vec()),
            ("set-cookie".into(), b"b=; Path=/; Max-Age=0".to_vec()),
        ];
        store.keep(
            &Response {
                headers,
                ..Response::default()
            },
            &Url::parse("http://127.0.0.1:2/").expect("a URL"),
        );
        assert_eq!(sent(&store, "http://127.0.0.1:3/").as_deref(), Some("a=3"));
    }

    #[test]
    fn methods_change_as_rfc_9110_says() {
        for (status, method, next) in [
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (301, "PUT", "PUT"),
            (302, "HEAD", "HEAD"),
            (303, "POST", "GET"),
            (303, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (307, "POST", "POST"),
            (308, "PATCH", "PATCH"),
        ] {
            assert_eq!(next_method(status, method), next, "{status} {method}");
        }
    }

    #[test]
    fn a_location_beyond_utf_8_keeps_its_bytes() {
        let from = Url::parse("http://shop.example/a/").expect("a URL");
        let to =
            |location: &[u8]| followed(&from, location, CrossOrigin::Follow).map(|u| u.to_string());
        assert_eq!(to(b"caf\xe9"), Ok("http://shop.example/a/caf%E9".into()));
        assert_eq!(
            to("caf\u{e9} x".as_bytes()),
            Ok("http://shop.example/a/caf%C3%A9%20x".into())
        );
    }
}
