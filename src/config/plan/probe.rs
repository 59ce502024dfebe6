//! What each kind of probe does and expects, as checked types.

use std::sync::Arc;

use crate::config::dns_question::type_word;
use crate::config::document::expression::cost::Cost;
use crate::config::document::expression::needs::{self, Needs};
use crate::config::document::expression::walks::made;
use crate::config::document::secret::mask::Mask;
use crate::config::document::secret::{MaybeSecret, Secret};
use crate::config::document::zone;
use crate::words::{Kind, Ms};

/// Default of `limits.body`: bytes read of a body.
pub const DEFAULT_BODY_LIMIT: u64 = 1 << 20;
/// Default of `limits.decoded`: bytes of a body after decoding.
pub const DEFAULT_DECODED_LIMIT: u64 = 4 << 20;
/// Default of `limits.header`: bytes of a response head.
pub const DEFAULT_HEADER_LIMIT: u64 = 64 << 10;
/// Response headers that are accepted.
pub const HEADER_COUNT_LIMIT: usize = 512;
/// Interim (1xx) responses that are accepted before the final one.
pub const INTERIM_LIMIT: usize = 16;
/// Default of `redirects`.
pub const DEFAULT_REDIRECTS: u32 = 10;

/// What to send to where, by kind. What endpoints of one group share stands behind an `Arc`.
#[derive(Debug, Clone)]
pub enum Probe {
    /// `zone` belongs to the host of the URL, which cannot hold it.
    Http {
        url: Arc<url::Url>,
        zone: Option<Arc<str>>,
        spec: Arc<Http>,
    },
    Tcp {
        address: HostPort,
        spec: Arc<Tcp>,
    },
    Tls {
        address: HostPort,
        spec: Arc<TlsProbe>,
    },
    Icmp {
        host: Arc<str>,
        spec: Arc<Icmp>,
    },
    Dns {
        server: HostPort,
        spec: Arc<Dns>,
    },
}

/// A host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Without the brackets of an IPv6 address.
    pub host: Arc<str>,
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl HostPort {
    /// Reads `host:port`, `[v6]:port`, `[v6%zone]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:").filter(|(host, _)| {
                matches!(zone::address(host), Some((std::net::IpAddr::V6(_), _)))
            })?,
            None => text.rsplit_once(':')?,
        };
        let is_number = port.bytes().all(|b| b.is_ascii_digit());
        let port: u16 = port.parse().ok().filter(|p| *p > 0 && is_number)?;
        if host.is_empty()
            || (host.contains(':') && !text.starts_with('['))
            || host.contains(|c: char| c.is_whitespace() || c == '/')
        {
            return None;
        }
        Some(Self {
            host: Arc::from(host),
            port,
        })
    }
}

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
    pub reading: Reading,
    pub limits: Limits,
    pub tls: Tls,
    pub expect: HttpExpect,
}

impl Http {
    fn has_secrets(&self) -> bool {
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

/// How answers are read that are odd, but that browsers and curl read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As others read them; what was odd is a finding.
    Lenient,
    /// What could be read in two ways is down.
    Strict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub body: u64,
    pub decoded: u64,
    pub header: u64,
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

/// A regular expression with its text. Matching takes linear time.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub text: String,
    pub regex: regex::bytes::Regex,
    /// What it is compiled to takes up to this many KiB: the time that it may take on a byte grows
    /// with it.
    pub size_kib: u32,
}

/// A CEL expression with its text; it must give true.
#[derive(Clone)]
pub struct Cel {
    pub text: String,
    /// Its arithmetic takes every number of JSON: `expression_numbers`.
    pub tree: Arc<cel::IdedExpr>,
    /// What of a body it looks at: `expression_needs`.
    pub needs: Arc<Needs>,
    pub cost: Cost,
    /// How many values it makes of each of the body's: `expression_walks`.
    pub copies: usize,
}

impl Cel {
    pub fn new(text: String, tree: cel::IdedExpr) -> Self {
        let needs = Arc::new(needs::of(&tree));
        let cost = Cost::of(&tree);
        let copies = 1 + made(&tree);
        Self {
            text,
            tree: Arc::new(tree),
            needs,
            cost,
            copies,
        }
    }
}

impl std::fmt::Debug for Cel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text)
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

/// How a TLS peer is verified.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Trust the certificates of this file in place of the system's store.
    pub ca: Option<CaFile>,
    /// Name to ask for and to verify, in place of the target's.
    pub server_name: Option<String>,
    pub client: Option<ClientCertificate>,
    pub verify: Verify,
    pub min_version: TlsVersion,
    /// Groups of the key exchange that are offered, in this order.
    pub groups: TlsGroups,
    /// Down with `tls_cert_expiring` when less validity than this is left.
    pub expiring_within: Expiring,
    /// What the handshake must have come to.
    pub expect: TlsExpect,
}

/// A file of authorities, and what it held when the config was read.
#[derive(Clone, PartialEq, Eq)]
pub struct CaFile {
    pub path: std::path::PathBuf,
    pub pem: Arc<str>,
}

impl std::fmt::Debug for CaFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Part of an endpoint's digest: the authorities count, not where they stand.
        write!(f, "{:?}", self.pem)
    }
}

/// How much validity must be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiring {
    /// So many milliseconds; 0 asks for nothing.
    Length(Ms),
    /// So many percent of the leaf's lifetime.
    Share(u8),
}

impl Expiring {
    /// What a person should know of a length that is long beside the lifetime of a certificate, in
    /// milliseconds: most clients renew when a third is left.
    pub fn note(self, lifetime: i64) -> Option<String> {
        let Expiring::Length(within) = self else {
            return None;
        };
        let within = i64::try_from(within).unwrap_or(i64::MAX);
        if within == 0 || within <= lifetime / 3 {
            return None;
        }
        let days = |ms: i64| ms / 86_400_000;
        let asks = format!(
            "its whole lifetime is {} d and expiring_within asks for {} d",
            days(lifetime),
            days(within)
        );
        Some(if within >= lifetime {
            format!("{asks}: write a share, such as \"33%\"")
        } else {
            format!(
                "{asks}, more than the third that most clients leave when they renew: write a \
                    share, such as \"25%\""
            )
        })
    }
}

impl Default for Expiring {
    fn default() -> Self {
        Expiring::Length(0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsGroup {
    X25519MlKem768,
    Secp256r1MlKem768,
    X25519,
    Secp256r1,
    Secp384r1,
}

impl TlsGroup {
    /// By their names in the registry of TLS groups (IANA "TLS Supported Groups").
    pub const WORDS: [(&'static str, TlsGroup); 5] = [
        ("X25519MLKEM768", TlsGroup::X25519MlKem768),
        ("SecP256r1MLKEM768", TlsGroup::Secp256r1MlKem768),
        ("x25519", TlsGroup::X25519),
        ("secp256r1", TlsGroup::Secp256r1),
        ("secp384r1", TlsGroup::Secp384r1),
    ];

    pub fn as_str(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, group)| *group == self)
            .map_or("", |(word, _)| word)
    }
}

/// What browsers offer: the hybrid of X25519 and ML-KEM first, with a share of plain X25519 beside
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsGroups(pub Vec<TlsGroup>);

impl Default for TlsGroups {
    fn default() -> Self {
        Self(vec![
            TlsGroup::X25519MlKem768,
            TlsGroup::X25519,
            TlsGroup::Secp256r1,
            TlsGroup::Secp384r1,
        ])
    }
}

/// Any of each list will do; an empty one asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsExpect {
    /// "1.2" or "1.3".
    pub versions: Vec<String>,
    /// Cipher suites by their IANA names.
    pub ciphers: Vec<String>,
    /// Groups by their IANA names.
    pub groups: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct ClientCertificate {
    pub chain_pem: Arc<str>,
    pub key_pem: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    #[default]
    Full,
    /// Take any certificate; its facts are still recorded.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    #[default]
    Tls12,
    Tls13,
}

impl TlsVersion {
    pub const WORDS: [(&'static str, TlsVersion); 2] =
        [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
}

/// A text that is sent: as the config has it, or from a secret's source.
#[derive(Clone)]
pub struct Sent(pub MaybeSecret);

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Part of an endpoint's digest: an inline text is what it was when there were no others.
        write!(f, "{:?}", self.0.shown())
    }
}

#[derive(Clone, Default)]
pub struct Tcp {
    /// Hides what is secret in the dialogue in texts that come back.
    pub mask: Mask,
    pub dialogue: Vec<DialogueStep>,
    pub within: Option<Ms>,
}

impl std::fmt::Debug for Tcp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Part of an endpoint's digest: the mask follows from the dialogue.
        f.debug_struct("Tcp")
            .field("dialogue", &self.dialogue)
            .field("within", &self.within)
            .finish()
    }
}

#[derive(Debug, Clone)]
pub enum DialogueStep {
    Send(Sent),
    /// Read lines until one matches.
    Expect(Pattern),
}

#[derive(Debug, Clone, Default)]
pub struct TlsProbe {
    pub tls: Tls,
    pub within: Option<Ms>,
}

#[derive(Debug, Clone)]
pub struct Icmp {
    /// Bytes of payload behind the ICMP header.
    pub size: u16,
    pub within: Option<Ms>,
}

#[derive(Debug, Clone)]
pub struct Dns {
    /// As it was written; an address where PTR is asked for.
    pub query: String,
    /// The name that is asked for, as it is sent.
    pub name: Vec<u8>,
    pub record: u16,
    pub transport: Transport,
    pub recursion: Recursion,
    pub expect: DnsExpect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Transport {
    pub const WORDS: [(&'static str, Transport); 2] =
        [("udp", Transport::Udp), ("tcp", Transport::Tcp)];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recursion {
    Desired,
    NotDesired,
}

#[derive(Debug, Clone, Default)]
pub struct DnsExpect {
    /// Upper case, such as `NOERROR`; empty stands for `NOERROR`.
    pub rcodes: Vec<String>,
    /// Some record of the asked type must match each of these.
    pub any: Vec<Pattern>,
    /// Every record of the asked type must match each of these.
    pub all: Vec<Pattern>,
    /// No record of the asked type may match any of these.
    pub none: Vec<Pattern>,
    /// The names that the aliases lead to, in one text, must match each of these.
    pub chain: Vec<Pattern>,
    /// Records of the asked type. Not given: one, where the rcode is NOERROR; 0 accepts an answer
    /// without any.
    pub at_least: Option<u64>,
    pub authoritative: Option<bool>,
    pub within: Option<Ms>,
}

impl Probe {
    pub fn kind(&self) -> Kind {
        match self {
            Probe::Http { .. } => Kind::Http,
            Probe::Tcp { .. } => Kind::Tcp,
            Probe::Tls { .. } => Kind::Tls,
            Probe::Icmp { .. } => Kind::Icmp,
            Probe::Dns { .. } => Kind::Dns,
        }
    }

    /// How its TLS peer is verified; of a kind that may meet one.
    pub fn tls(&self) -> Option<&Tls> {
        match self {
            Probe::Http { spec, .. } => Some(&spec.tls),
            Probe::Tls { spec, .. } => Some(&spec.tls),
            Probe::Tcp { .. } | Probe::Icmp { .. } | Probe::Dns { .. } => None,
        }
    }

    /// Hides what is secret in what an endpoint gives back.
    pub fn mask(&self) -> Option<&Mask> {
        match self {
            Probe::Http { spec, .. } => Some(&spec.mask),
            Probe::Tcp { spec, .. } => Some(&spec.mask),
            Probe::Tls { .. } | Probe::Icmp { .. } | Probe::Dns { .. } => None,
        }
    }

    /// The same without what nobody needs any more once the config has left; where there is no
    /// secret, the very same.
    pub fn without_secrets(&self) -> Self {
        let without_identity = |tls: &Tls| Tls {
            client: None,
            ..tls.clone()
        };
        let is_sent =
            |step: &DialogueStep| matches!(step, DialogueStep::Send(Sent(MaybeSecret::Secret(_))));
        match self {
            Probe::Http { url, zone, spec } if spec.has_secrets() => {
                let is_plain =
                    |(_, value): &(String, MaybeSecret)| matches!(value, MaybeSecret::Plain(_));
                let headers = spec
                    .headers
                    .iter()
                    .filter(|header| is_plain(header))
                    .cloned()
                    .collect();
                let (tls, rest) = (without_identity(&spec.tls), Http::clone(spec));
                let spec = Http {
                    headers,
                    query: Vec::new(),
                    body: None,
                    auth: None,
                    mask: Mask::default(),
                    tls,
                    ..rest
                };
                Probe::Http {
                    url: url.clone(),
                    zone: zone.clone(),
                    spec: Arc::new(spec),
                }
            }
            Probe::Tcp { address, spec } if spec.dialogue.iter().any(is_sent) => Probe::Tcp {
                address: address.clone(),
                spec: Arc::new(Tcp {
                    within: spec.within,
                    ..Tcp::default()
                }),
            },
            Probe::Tls { address, spec } if spec.tls.client.is_some() => {
                let spec = TlsProbe {
                    tls: without_identity(&spec.tls),
                    ..TlsProbe::clone(spec)
                };
                Probe::Tls {
                    address: address.clone(),
                    spec: Arc::new(spec),
                }
            }
            Probe::Http { .. }
            | Probe::Tcp { .. }
            | Probe::Tls { .. }
            | Probe::Icmp { .. }
            | Probe::Dns { .. } => self.clone(),
        }
    }

    pub fn host(&self) -> &str {
        match self {
            Probe::Http { url, .. } => url.host_str().unwrap_or_default(),
            Probe::Tcp { address, .. } | Probe::Tls { address, .. } => &address.host,
            Probe::Icmp { host, .. } => host,
            Probe::Dns { server, .. } => &server.host,
        }
    }

    /// The target as it may be shown: secrets were never part of it.
    pub fn target(&self) -> String {
        match self {
            Probe::Http { url, zone, .. } => zone::into_url(url, zone.as_deref()),
            Probe::Tcp { address, .. } | Probe::Tls { address, .. } => address.to_string(),
            Probe::Icmp { host, .. } => host.to_string(),
            Probe::Dns { server, spec } => {
                format!("{server} {} {}", spec.query, type_word(spec.record))
            }
        }
    }

    /// True where a certificate is looked at.
    pub fn is_secured(&self) -> bool {
        match self {
            Probe::Http { url, .. } => url.scheme() == "https",
            Probe::Tls { .. } => true,
            Probe::Tcp { .. } | Probe::Icmp { .. } | Probe::Dns { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_host_and_a_port() {
        assert_eq!(
            HostPort::parse("db.example:5432")
                .map(|h| h.to_string())
                .as_deref(),
            Some("db.example:5432")
        );
        assert_eq!(
            HostPort::parse("[::1]:53")
                .map(|h| h.to_string())
                .as_deref(),
            Some("[::1]:53")
        );
        assert_eq!(
            HostPort::parse("[fe80::1%eth0]:53")
                .map(|h| h.to_string())
                .as_deref(),
            Some("[fe80::1%eth0]:53")
        );
        for text in [
            "[fe80::1%]:53",
            "[127.0.0.1%lo]:53",
            "[db%eth0]:53",
            "db.example",
            "::1:53",
            ":53",
            "db:0",
            "db:99999",
            "http://db:80",
            "a b:1",
        ] {
            assert!(HostPort::parse(text).is_none(), "{text}");
        }
    }

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
