//! What the specs of several kinds of probe have in common, as checked types.

use std::sync::Arc;

use crate::config::document::expression::cost::Cost;
use crate::config::document::expression::needs::{self, Needs};
use crate::config::document::expression::walks::made;
use crate::config::document::expression::watched::watched;
use crate::config::document::secret::{MaybeSecret, Secret};
use crate::config::document::zone;
use crate::words::Ms;

/// Default of `limits.decoded`: bytes of a body after decoding.
pub const DEFAULT_DECODED_LIMIT: u64 = 4 << 20;
/// Response headers that are accepted.
pub const HEADER_COUNT_LIMIT: usize = 512;
/// Interim (1xx) responses that are accepted before the final one.
pub const INTERIM_LIMIT: usize = 16;
/// Chunks or DATA frames that a body may have, and one more for each 16 bytes of it. Each costs
/// what some hundred bytes do.
const PIECE_LIMIT: u64 = 16_384;

/// Why a body of so many bytes in so many chunks or frames is not read on.
pub fn too_many_pieces(pieces: u64, bytes: u64, name: &str) -> Option<String> {
    (pieces > PIECE_LIMIT + bytes / 16)
        .then(|| format!("the first {bytes} bytes of the body are in {pieces} {name}"))
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

/// How answers are read that are odd, but that browsers and curl read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
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
    /// The same, whose evaluation ends when its time is spent.
    pub watched: Arc<cel::IdedExpr>,
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
        let watched = Arc::new(watched(tree.clone()));
        Self {
            text,
            watched,
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

impl Tls {
    /// The same without the client's certificate and key.
    pub fn without_identity(&self) -> Self {
        Self {
            client: None,
            ..self.clone()
        }
    }
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
}
