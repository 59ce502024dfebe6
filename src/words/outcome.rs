//! What a probe found: [`Outcome`], the closed sets [`Cause`] and [`Reason`], and the [`Facts`]
//! beside them.
//!
//! Causes and reasons are metric labels, so they are closed, documented and never carry remote
//! text. The text that explains one case travels in `detail`, for log and history only.

use std::net::IpAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::time::UtcMs;

macro_rules! closed_set {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$vdoc:meta])* $variant:ident => $text:literal),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every member, in the order of the documentation.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word used in metrics, JSON, pages and history.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// The member of that word.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }

            /// The member at a position of [`Self::ALL`], as compact records store it.
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }
    };
}

closed_set! {
    /// Why an endpoint is down: what the endpoint, its network or its name service did.
    Cause {
        DnsNxdomain => "dns_nxdomain",
        DnsNoAddress => "dns_no_address",
        DnsServfail => "dns_servfail",
        DnsRefused => "dns_refused",
        DnsTimeout => "dns_timeout",
        DnsInvalid => "dns_invalid",
        ConnectRefused => "connect_refused",
        ConnectTimeout => "connect_timeout",
        ConnectReset => "connect_reset",
        ConnectUnreachable => "connect_unreachable",
        TlsTimeout => "tls_timeout",
        TlsHandshake => "tls_handshake",
        TlsClientAuth => "tls_client_auth",
        TlsCertExpired => "tls_cert_expired",
        TlsCertNotYetValid => "tls_cert_not_yet_valid",
        TlsCertName => "tls_cert_name",
        TlsCertUntrusted => "tls_cert_untrusted",
        TlsCertPurpose => "tls_cert_purpose",
        TlsCertWeak => "tls_cert_weak",
        TlsCertExpiring => "tls_cert_expiring",
        FirstByteTimeout => "first_byte_timeout",
        BodyTimeout => "body_timeout",
        HttpMalformed => "http_malformed",
        HttpTruncated => "http_truncated",
        HeaderLimit => "header_limit",
        BodyLimit => "body_limit",
        DecodeError => "decode_error",
        DecodeLimit => "decode_limit",
        RedirectLimit => "redirect_limit",
        RedirectPolicy => "redirect_policy",
        ProtocolError => "protocol_error",
        Status => "status",
        VersionMismatch => "version_mismatch",
        HeaderMismatch => "header_mismatch",
        BodyMismatch => "body_mismatch",
        JsonMismatch => "json_mismatch",
        UrlMismatch => "url_mismatch",
        TooSlow => "too_slow",
        DnsRcode => "dns_rcode",
        DnsMismatch => "dns_mismatch",
        IcmpTimeout => "icmp_timeout",
        IcmpUnreachable => "icmp_unreachable",
        ExpectMismatch => "expect_mismatch",
        ExpectTimeout => "expect_timeout",
        TlsMismatch => "tls_mismatch",
        JudgeLimit => "judge_limit",
    }
}

closed_set! {
    /// Why time is unknown: what the prober itself could not do.
    Reason {
        NotRunning => "not_running",
        Starting => "starting",
        Suspended => "suspended",
        Late => "late",
        LocalResource => "local_resource",
        LocalNetwork => "local_network",
        Resolver => "resolver",
        Permission => "permission",
        Clock => "clock",
        History => "history",
        Reconfigured => "reconfigured",
        Internal => "internal",
        TrustStore => "trust_store",
    }
}

impl Cause {
    /// True where the verdict rests on this host's calendar.
    pub fn is_of_the_date(self) -> bool {
        matches!(
            self,
            Cause::TlsCertExpired | Cause::TlsCertNotYetValid | Cause::TlsCertExpiring
        )
    }

    /// True where the endpoint had its time and let it pass. What that proves beside a stall or a
    /// busy thread is decided in `judgement::fault`.
    pub fn is_timeout(self) -> bool {
        matches!(
            self,
            Cause::DnsTimeout
                | Cause::ConnectTimeout
                | Cause::TlsTimeout
                | Cause::FirstByteTimeout
                | Cause::BodyTimeout
                | Cause::TooSlow
                | Cause::IcmpTimeout
                | Cause::ExpectTimeout
        )
    }
}

/// What a probe found.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The endpoint did what its config expects.
    Success(Box<Facts>),
    /// It did not. `detail` says what was seen, in words for a person.
    Failure {
        cause: Cause,
        detail: String,
        facts: Box<Facts>,
    },
    /// The prober could not judge.
    Unmeasured { reason: Reason, detail: String },
}

impl Outcome {
    pub fn facts(&self) -> Option<&Facts> {
        match self {
            Outcome::Success(facts) => Some(facts),
            Outcome::Failure { facts, .. } => Some(facts),
            Outcome::Unmeasured { .. } => None,
        }
    }

    /// `success`, `failure` or `unmeasured`.
    pub fn result(&self) -> &'static str {
        match self {
            Outcome::Success(_) => "success",
            Outcome::Failure { .. } => "failure",
            Outcome::Unmeasured { .. } => "unmeasured",
        }
    }
}

/// What one probe learnt beside its verdict. A field that was not reached is `None`.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub address: Option<IpAddr>,
    pub attempts: Vec<Attempt>,
    pub http_status: Option<u16>,
    pub http_version: Option<&'static str>,
    pub final_url: Option<String>,
    pub redirects: u32,
    pub body_bytes: Option<u64>,
    pub tls_version: Option<&'static str>,
    pub tls_cipher: Option<&'static str>,
    /// The group of the key exchange, by its IANA name.
    pub tls_group: Option<&'static str>,
    pub certificate: Option<Arc<CertificateFacts>>,
    pub dns_rcode: Option<String>,
    pub dns_answers: Vec<String>,
    pub icmp_hop_limit: Option<u8>,
    /// Smoothed round trip of the connection as the kernel saw it, in microseconds (TCP_INFO).
    pub tcp_rtt_us: Option<u32>,
    /// Each expectation that was looked at, with what was found.
    pub findings: Vec<Finding>,
}

/// What a TLS handshake came to. Names are those of IANA's registries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    pub version: &'static str,
    pub cipher: &'static str,
    /// Nothing where keys were not exchanged by a group.
    pub group: Option<&'static str>,
}

impl Facts {
    pub fn handshake(&self) -> Option<Handshake> {
        let version = match self.tls_version? {
            "TLSv1_2" => "1.2",
            "TLSv1_3" => "1.3",
            other => other,
        };
        Some(Handshake {
            version,
            cipher: self.tls_cipher?,
            group: self.tls_group,
        })
    }
}

/// One address that was tried, and how that ended.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub address: IpAddr,
    pub error: Option<String>,
    pub duration_us: u64,
}

/// One expectation with the value found.
#[derive(Debug, Clone)]
pub struct Finding {
    pub expectation: String,
    pub found: String,
    pub met: bool,
}

impl Finding {
    const ODD: &str = "an answer without oddities";

    /// Something that a peer does against the rules and that is read all the same.
    pub fn odd(what: String) -> Self {
        Self {
            expectation: Self::ODD.to_owned(),
            found: what,
            met: true,
        }
    }

    pub fn is_odd(&self) -> bool {
        self.expectation == Self::ODD
    }
}

/// What the peer's certificate chain says, also when it was refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CertificateFacts {
    pub subject: String,
    pub issuer: String,
    pub names: Vec<String>,
    pub not_before: UtcMs,
    pub not_after: UtcMs,
    /// When the first certificate of the verified path ends, its authority's among them; `None`
    /// where nothing was verified, or in vain.
    pub chain_not_after: Option<UtcMs>,
    /// When the last certificate of that path begins.
    pub chain_not_before: Option<UtcMs>,
    /// The latest begin and the earliest end of validity among all certificates that were sent,
    /// needed or not.
    pub sent_not_before: UtcMs,
    pub sent_not_after: UtcMs,
    pub chain_length: usize,
    /// The first of those that were sent after the leaf, in their order.
    pub sent: Vec<SentCertificate>,
    pub key: String,
    /// Lower-case hex of the leaf.
    pub sha256: String,
}

/// A certificate that was sent beside the leaf.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SentCertificate {
    pub subject: String,
    pub issuer: String,
    pub not_after: UtcMs,
}

impl CertificateFacts {
    /// Everything that a peer has written.
    pub fn texts(&self) -> impl Iterator<Item = &String> {
        let of_sent = self.sent.iter().flat_map(|c| [&c.subject, &c.issuer]);
        let own = self.names.iter().chain([&self.subject, &self.issuer]);
        own.chain(of_sent)
    }

    /// Tells apart what texts they have: a leaf may come with other certificates each time.
    pub fn digest_of_texts(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for text in self.texts() {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_and_reason_reads_back_from_its_word_and_code() {
        for (code, cause) in Cause::ALL.iter().enumerate() {
            assert_eq!(Cause::parse(cause.as_str()), Some(*cause));
            assert_eq!(Cause::from_code(code as u8), Some(*cause));
        }
        for (code, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
            assert_eq!(Reason::from_code(code as u8), Some(*reason));
        }
        assert_eq!(Cause::parse("other"), None);
    }
}
