//! Why the listener turns a client away: the reasons, what the client is told, their counts, and
//! one WARN a minute.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;

use super::peer::Peer;
use crate::words::Ms;

/// A reason of `probity_http_rejected_total`; docs/troubleshooting.md says what to do about each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// All places for connections are taken.
    Connections,
    /// One peer has as many connections as one may have.
    PeerConnections,
    /// A connection that waited made room for another.
    Displaced,
    /// The process has no descriptor left.
    Descriptors,
    HeadTimeout,
    HeadSize,
    TargetSize,
    Malformed,
    /// A request with a body of unknown or large size.
    Body,
    /// TLS on a port that speaks plain HTTP.
    Tls,
    Http2,
    AnswerTimeout,
    /// `Host` is no name of this listener.
    Host,
    /// A request that changes state, without what it needs.
    Forbidden,
    /// Too many answers were being made.
    Busy,
    /// A client that took its answer slowly made room for another.
    SlowReader,
}

impl Refusal {
    pub const ALL: [Refusal; 16] = [
        Refusal::Connections,
        Refusal::PeerConnections,
        Refusal::Displaced,
        Refusal::Descriptors,
        Refusal::HeadTimeout,
        Refusal::HeadSize,
        Refusal::TargetSize,
        Refusal::Malformed,
        Refusal::Body,
        Refusal::Tls,
        Refusal::Http2,
        Refusal::AnswerTimeout,
        Refusal::Host,
        Refusal::Forbidden,
        Refusal::Busy,
        Refusal::SlowReader,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Connections => "connections",
            Refusal::PeerConnections => "peer_connections",
            Refusal::Displaced => "displaced",
            Refusal::Descriptors => "descriptors",
            Refusal::HeadTimeout => "head_timeout",
            Refusal::HeadSize => "head_size",
            Refusal::TargetSize => "target_size",
            Refusal::Malformed => "malformed",
            Refusal::Body => "body",
            Refusal::Tls => "tls",
            Refusal::Http2 => "http2",
            Refusal::AnswerTimeout => "answer_timeout",
            Refusal::Host => "host",
            Refusal::Forbidden => "forbidden",
            Refusal::Busy => "busy",
            Refusal::SlowReader => "slow_reader",
        }
    }

    /// Status and text of the answer; nothing where the connection is closed without one.
    pub fn answer(self) -> Option<(u16, &'static str)> {
        match self {
            Refusal::Connections => Some((503, "too many connections; try again later")),
            Refusal::PeerConnections => {
                Some((503, "too many connections from this address; close some"))
            }
            Refusal::HeadTimeout => Some((408, "the head of the request took too long")),
            Refusal::HeadSize => Some((
                431,
                "the head of the request is larger than 16 KiB or has more than 100 headers",
            )),
            Refusal::TargetSize => Some((414, "the target of the request is longer than 8 KiB")),
            Refusal::Malformed => Some((400, "this is not a request of HTTP/1.1")),
            Refusal::Body => Some((
                413,
                "a request may have a body of at most 64 KiB, with a Content-Length",
            )),
            Refusal::Tls => Some((
                400,
                "this port speaks plain HTTP/1.1, not TLS: use http://, or put a proxy before it",
            )),
            Refusal::Http2 => Some((400, "this port speaks HTTP/1.1, not HTTP/2")),
            Refusal::Host => Some((
                421,
                "`Host` is not a name of this listener: set `[listen] allowed_hosts` to the name \
                    that clients use",
            )),
            Refusal::Forbidden => Some((
                403,
                "a request that changes state needs the token of `[listen] token`",
            )),
            Refusal::Busy => Some((503, "too many answers are being made; try again later")),
            Refusal::Displaced
            | Refusal::Descriptors
            | Refusal::AnswerTimeout
            | Refusal::SlowReader => None,
        }
    }

    /// The whole answer to a client that is refused; nothing where there is none.
    pub fn response(self) -> Option<String> {
        let (status, text) = self.answer()?;
        let reason = StatusCode::from_u16(status)
            .ok()
            .and_then(|s| s.canonical_reason())
            .unwrap_or_default();
        let length = text.len() + 1;
        Some(format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; \
                charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: \
                {length}\r\nConnection: close\r\n\r\n{text}\n"
        ))
    }

    /// Whether a peer of good manners would not do this: it loses its kept place for a while.
    pub fn is_bad_manners(self) -> bool {
        match self {
            Refusal::Connections
            | Refusal::Displaced
            | Refusal::Descriptors
            | Refusal::Host
            | Refusal::Busy => false,
            Refusal::PeerConnections
            | Refusal::HeadTimeout
            | Refusal::HeadSize
            | Refusal::TargetSize
            | Refusal::Malformed
            | Refusal::Body
            | Refusal::Tls
            | Refusal::Http2
            | Refusal::AnswerTimeout
            | Refusal::Forbidden
            | Refusal::SlowReader => true,
        }
    }
}

/// A first WARN comes this long after the first refusal, so that it can name the busiest peer.
const GATHER_MS: Ms = 1000;
/// Later ones at most this often.
const WARN_EVERY_MS: Ms = 60_000;
/// Peers that are told apart between two WARNs.
const MOST_PEERS: usize = 1024;

/// Counts for /metrics, and what the next WARN says.
#[derive(Default)]
pub struct Refusals {
    counts: [AtomicU64; Refusal::ALL.len()],
    /// Connections that are open.
    pub open: AtomicU64,
    /// The listener's thread and the threads that make answers count here; a few times a request at
    /// most.
    period: Mutex<Period>,
}

#[derive(Default)]
struct Period {
    due_ms: Option<Ms>,
    warned_ms: Option<Ms>,
    by_peer: HashMap<Peer, u64>,
    by_reason: [u64; Refusal::ALL.len()],
}

/// What a WARN says.
#[derive(Debug, PartialEq, Eq)]
pub struct Warning {
    pub refused: u64,
    pub busiest: Peer,
    pub of_busiest: u64,
    /// `12 head_timeout, 3 tls`
    pub reasons: String,
}

impl Refusals {
    pub fn count(&self, refusal: Refusal) -> u64 {
        self.counts[refusal as usize].load(Ordering::Relaxed)
    }

    pub fn note(&self, refusal: Refusal, peer: Peer, now_ms: Ms) {
        self.counts[refusal as usize].fetch_add(1, Ordering::Relaxed);
        let Ok(mut period) = self.period.lock() else {
            return;
        };
        let earliest = period.warned_ms.map_or(0, |at| at + WARN_EVERY_MS);
        period
            .due_ms
            .get_or_insert(earliest.max(now_ms + GATHER_MS));
        period.by_reason[refusal as usize] += 1;
        if period.by_peer.len() < MOST_PEERS || period.by_peer.contains_key(&peer) {
            *period.by_peer.entry(peer).or_default() += 1;
        }
    }

    /// What is to be said now, if anything is.
    pub fn due(&self, now_ms: Ms) -> Option<Warning> {
        let mut period = self.period.lock().ok()?;
        if period.due_ms.is_none_or(|due| now_ms < due) {
            return None;
        }
        let Period {
            by_peer, by_reason, ..
        } = std::mem::replace(
            &mut *period,
            Period {
                warned_ms: Some(now_ms),
                ..Period::default()
            },
        );
        let (busiest, of_busiest) = by_peer
            .into_iter()
            .max_by_key(|(peer, count)| (*count, *peer))?;
        let mut reasons: Vec<(u64, &str)> = by_reason
            .into_iter()
            .zip(Refusal::ALL.map(Refusal::as_str))
            .filter(|(count, _)| *count > 0)
            .collect();
        reasons.sort_by(|a, b| b.cmp(a));
        let list: Vec<String> = reasons
            .iter()
            .map(|(count, reason)| format!("{count} {reason}"))
            .collect();
        Some(Warning {
            refused: reasons.iter().map(|(count, _)| count).sum(),
            busiest,
            of_busiest,
            reasons: list.join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::of(text.parse().expect("an address"))
    }

    #[test]
    fn the_reasons_are_counted_under_their_own_names() {
        let refusals = Refusals::default();
        for (n, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, n);
            (0..=n).for_each(|_| refusals.note(refusal, peer("192.0.2.1"), 0));
        }
        for (n, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusals.count(refusal), n as u64 + 1, "{refusal:?}");
        }
    }

    #[test]
    fn one_warning_a_minute_names_the_busiest_peer() {
        let refusals = Refusals::default();
        let (busy, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        assert_eq!(refusals.due(10_000), None, "nothing was refused");
        refusals.note(Refusal::Tls, other, 10_000);
        (0..3).for_each(|_| refusals.note(Refusal::HeadTimeout, busy, 10_100));
        assert_eq!(
            refusals.due(10_999),
            None,
            "more may come within the second"
        );
        let first = Warning {
            refused: 4,
            busiest: busy,
            of_busiest: 3,
            reasons: "3 head_timeout, 1 tls".into(),
        };
        assert_eq!(refusals.due(11_000), Some(first));
        refusals.note(Refusal::Tls, other, 12_000);
        assert_eq!(refusals.due(70_999), None, "a minute has not passed");
        let second = Warning {
            refused: 1,
            busiest: other,
            of_busiest: 1,
            reasons: "1 tls".into(),
        };
        assert_eq!(refusals.due(71_000), Some(second));
        assert_eq!(refusals.due(200_000), None, "nothing was refused since");
    }
}
