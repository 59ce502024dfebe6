//! What an http probe sends and expects, as checked types.

use crate::config::document::secret::mask::Mask;
use crate::config::document::secret::{MaybeSecret, Secret};
use crate::config::plan::probe::{Cel, Limits, Pattern, Sent, Strictness, Tls};
use crate::words::Ms;

/// What a probe calls itself, unless the config names another.
pub const USER_AGENT: &str = concat!("Probity/", env!("CARGO_PKG_VERSION"));

/// Default of `limits.body`: bytes read of a body.
pub const DEFAULT_BODY_LIMIT: u64 = 1 << 20;

/// Default of `limits.header`: bytes of a response head.
pub const DEFAULT_HEADER_LIMIT: u64 = 64 << 10;

/// Default of `redirects`.
pub const DEFAULT_REDIRECTS: u32 = 10;

#[derive(Debug, Clone)]
pub struct Http {
    pub method: String,
    pub headers: Vec<(String, MaybeSecret)>,
    /// Appended to the URL's query when it is sent.
    pub query: Vec<(String, Secret)>,
    pub body: Option<Sent>,
    pub auth: Option<Auth>,
    /// Hides what is secret in `headers`, `query` and `auth` in texts that come back.
    pub mask: Mask,
    pub version: HttpVersion,
    pub redirects: Redirects,
    pub cross_origin: CrossOrigin,
    /// Ask for gzip, deflate, br and zstd.
    pub compression: Compression,
    pub reading: Strictness,
    pub limits: Limits,
    pub tls: Tls,
    pub expect: HttpExpect,
}

impl Http {
    pub fn has_secrets(&self) -> bool {
        let is_secret = |value: &MaybeSecret| matches!(value, MaybeSecret::Secret(_));
        let has_sent = self.headers.iter().any(|(_, value)| is_secret(value))
            || self
                .body
                .as_ref()
                .is_some_and(|Sent(value)| is_secret(value));
        has_sent || !self.query.is_empty() || self.auth.is_some() || self.tls.client.is_some()
    }
}

#[derive(Debug, Clone)]
pub enum Auth {
    Basic { username: String, password: Secret },
    Bearer(Secret),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/2 where ALPN offers it, else HTTP/1.1.
    Auto,
    Http11,
    Http2,
}

impl HttpVersion {
    pub const WORDS: [(&'static str, HttpVersion); 3] = [
        ("auto", HttpVersion::Auto),
        ("1.1", HttpVersion::Http11),
        ("2", HttpVersion::Http2),
    ];
}

/// Whether HTTP/2 forbids a header: what concerns the connection (RFC 9113 section 8.2.2).
pub fn is_of_connection(name: &str, value: &str) -> bool {
    [
        "connection",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
        "upgrade",
    ]
    .iter()
    .any(|n| name.eq_ignore_ascii_case(n))
        || name.eq_ignore_ascii_case("te") && value != "trailers"
}

/// How many redirects are followed, and whither.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Redirects {
    /// 0 takes the first answer as it is.
    pub max: u32,
    pub to: RedirectsTo,
}

impl std::fmt::Debug for Redirects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Part of an endpoint's digest: without the key a definition is what it was before there
        // was one.
        match self.to {
            RedirectsTo::SameNetwork => write!(f, "{}", self.max),
            to => write!(f, "{} to {to:?}", self.max),
        }
    }
}

/// To which addresses a redirect may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedirectsTo {
    Public,
    /// Public ones, and those of the kind of network that the first request went to.
    SameNetwork,
    Any,
}

impl RedirectsTo {
    pub const WORDS: [(&'static str, RedirectsTo); 3] = [
        ("public", RedirectsTo::Public),
        ("same_network", RedirectsTo::SameNetwork),
        ("any", RedirectsTo::Any),
    ];

    pub fn as_str(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, to)| *to == self)
            .map_or("", |(word, _)| word)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossOrigin {
    Follow,
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Ask,
    Plain,
}

#[derive(Debug, Clone, Default)]
pub struct HttpExpect {
    pub status: StatusSet,
    pub headers: Vec<HeaderRule>,
    pub body: Vec<TextRule>,
    pub json: Option<Cel>,
    pub final_url: Option<Pattern>,
    pub version: Option<String>,
    pub within: Option<Ms>,
}

/// Ranges of status codes, both ends included. Empty stands for the default, 200 to 299.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusSet(pub Vec<(u16, u16)>);

impl StatusSet {
    pub fn contains(&self, status: u16) -> bool {
        if self.0.is_empty() {
            return (200..300).contains(&status);
        }
        self.0
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&status))
    }

    pub fn shown(&self) -> String {
        let ranges = if self.0.is_empty() {
            vec![(200, 299)]
        } else {
            self.0.clone()
        };
        let one = |(from, to): &(u16, u16)| match (from == to, from % 100 == 0 && *to == from + 99)
        {
            (true, _) => from.to_string(),
            (_, true) => format!("\"{}xx\"", from / 100),
            _ => format!("\"{from}-{to}\""),
        };
        format!(
            "[{}]",
            ranges.iter().map(one).collect::<Vec<_>>().join(", ")
        )
    }
}

#[derive(Debug, Clone)]
pub enum TextRule {
    Contains(String),
    NotContains(String),
    Matches(Pattern),
    NotMatches(Pattern),
}

#[derive(Debug, Clone)]
pub struct HeaderRule {
    /// Lower case.
    pub name: String,
    pub rule: HeaderTest,
}

#[derive(Debug, Clone)]
pub enum HeaderTest {
    Present,
    Absent,
    Equals(String),
    Matches(Pattern),
    NotMatches(Pattern),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_status_set_is_200_to_299() {
        let set = StatusSet::default();
        assert!(set.contains(200) && set.contains(299) && !set.contains(300));
        assert_eq!(set.shown(), "[\"2xx\"]");
        assert_eq!(
            StatusSet(vec![(200, 200), (301, 399)]).shown(),
            "[200, \"301-399\"]"
        );
    }
}
