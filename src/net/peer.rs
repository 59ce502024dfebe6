//! Which protocol a peer speaks, by the first bytes that it sent: said in place of a library's name
//! for what it could not read.
//!
//! The kinds call it when a peer did not answer as expected. It never decides a verdict, only the
//! words of one.

use super::probe_error::ProbeError;
use super::trace::{Stage, Trace};
use crate::config::usual_ports::{self, First};
use crate::words::{Cause, Ms};

type Test = fn(&[u8]) -> bool;

/// From the most to the least telling.
const PROTOCOLS: &[(&str, Test)] = &[
    ("HTTP", |b| b.starts_with(b"HTTP/")),
    ("TLS", is_tls),
    ("HTTP/2", is_http2),
    ("SSH", |b| b.starts_with(b"SSH-")),
    ("MySQL (MariaDB)", |b| is_mysql(b) && holds(b, b"mariadb")),
    ("MySQL", is_mysql),
    ("PostgreSQL", is_postgresql),
    ("LDAP", is_ldap),
    ("FTP", |b| is_reply(b) && holds(b, b"ftp")),
    ("SMTP", |b| {
        is_reply(b) && (holds(b, b"smtp") || is_enhanced(b))
    }),
    ("SMTP or FTP", |b| {
        is_reply(b) && (b.starts_with(b"220") || b.starts_with(b"421") || b.starts_with(b"5"))
    }),
    ("IMAP", |b| {
        [&b"* OK"[..], b"* BYE", b"* PREAUTH"]
            .iter()
            .any(|start| b.starts_with(start))
    }),
    ("POP3", |b| {
        b.starts_with(b"+OK ") || b.starts_with(b"-ERR [")
    }),
    ("Redis", is_redis),
    ("memcached", |b| {
        [&b"ERROR\r\n"[..], b"CLIENT_ERROR ", b"SERVER_ERROR "]
            .iter()
            .any(|start| b.starts_with(start))
    }),
    ("AMQP", |b| b.starts_with(b"AMQP")),
    ("NATS", |b| b.starts_with(b"INFO {")),
    ("RTSP", |b| b.starts_with(b"RTSP/")),
    ("SIP", |b| b.starts_with(b"SIP/")),
    ("VNC", |b| b.starts_with(b"RFB 00")),
    ("rsync", |b| b.starts_with(b"@RSYNCD:")),
    ("XMPP", |b| holds(b, b"<stream:")),
    ("Telnet", |b| matches!(b, [0xff, 0xfb..=0xfe, _, ..])),
];

/// The protocol of a peer that began with these bytes, where they tell it.
pub fn named(first_bytes: &[u8]) -> Option<&'static str> {
    PROTOCOLS
        .iter()
        .find(|(_, speaks)| speaks(first_bytes))
        .map(|(name, _)| *name)
}

/// Characters that are shown of what a peer said.
const SHOWN: usize = 120;

/// What a peer said, escaped and cut, for a person.
pub fn received_text(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .rposition(|b| !b.is_ascii_whitespace())
        .map_or(0, |at| at + 1);
    let bytes = &bytes[..end];
    if bytes.is_empty() {
        return "received nothing".into();
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN * 4)]);
    let escaped = |c: char| {
        if matches!(c, '"' | '\'') {
            c.to_string()
        } else {
            c.escape_debug().to_string()
        }
    };
    let mut shown: String = text.chars().take(SHOWN).map(escaped).collect();
    if text.chars().count() > SHOWN || bytes.len() > SHOWN * 4 {
        shown.push('…');
    }
    format!("received `{shown}`")
}

/// Ports on which a server speaks another protocol before TLS, and what asks it for TLS.
const ASKED_FOR_TLS: &[(u16, &str, &str)] = &[
    (21, "FTP", "AUTH TLS"),
    (25, "SMTP", "STARTTLS"),
    (110, "POP3", "STLS"),
    (143, "IMAP", "STARTTLS"),
    (389, "LDAP", "the StartTLS operation"),
    (587, "SMTP", "STARTTLS"),
    (3306, "MySQL", "a flag of its handshake"),
    (5432, "PostgreSQL", "an SSLRequest"),
];

/// Says of a failed handshake what the peer speaks in place of TLS.
pub fn in_place_of_tls(trace: &Trace, port: u16, err: ProbeError) -> ProbeError {
    let ProbeError::Down(cause @ (Cause::TlsHandshake | Cause::ConnectReset), detail) = err else {
        return err;
    };
    let first = trace.first_bytes.copied();
    match named(&first) {
        Some("TLS") => ProbeError::Down(cause, detail),
        Some(name) => ProbeError::Down(
            Cause::TlsHandshake,
            format!("the peer speaks {name}, not TLS: {}", received_text(&first)),
        ),
        None if !first.is_empty() => ProbeError::Down(
            Cause::TlsHandshake,
            format!("the peer does not speak TLS: {}", received_text(&first)),
        ),
        None => {
            let usual = ASKED_FOR_TLS.iter().find(|(known, ..)| *known == port);
            let hint = usual.map(|(port, name, how)| {
                format!("; {name} is usual on port {port}, and begins TLS after {how} only")
            });
            let ending = if cause == Cause::ConnectReset {
                "reset"
            } else {
                "closed"
            };
            ProbeError::Down(
                cause,
                format!(
                    "the peer {ending} the connection within the TLS handshake and said nothing{}",
                    hint.unwrap_or_default()
                ),
            )
        }
    }
}

/// What a peer that says nothing has left unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// It is waited for its greeting.
    Connection,
    /// What a dialogue has sent.
    Words,
    TlsHandshake,
    Request,
}

/// Says of a probe whose time ran out in this stage what the peer did not do, where that is known.
pub fn unfinished(trace: &Trace, stage: Stage, waited: Ms) -> Option<String> {
    let first = trace.first_bytes.copied();
    match stage {
        Stage::Tls if first.is_empty() => {
            Some(silence(trace.port.get(), Unanswered::TlsHandshake, waited))
        }
        Stage::Tls => Some(match named(&first) {
            Some("TLS") | None => format!(
                "the TLS handshake began and did not end in {}",
                length(waited)
            ),
            Some(name) if trace.at_stranger.get() => format!("the peer speaks {name}, not TLS"),
            Some(name) => format!("the peer speaks {name}, not TLS: {}", received_text(&first)),
        }),
        Stage::FirstByte => Some(silence(trace.port.get(), Unanswered::Request, waited)),
        Stage::Idle
        | Stage::Resolve
        | Stage::Connect
        | Stage::Request
        | Stage::Transfer
        | Stage::Judging
        | Stage::Reply(_) => None,
    }
}

/// Says that a peer accepted the connection and said nothing, and what that means as a rule on its
/// port.
pub fn silence(port: u16, after: Unanswered, waited: Ms) -> String {
    let waited = length(waited);
    match after {
        Unanswered::Connection => format!(
            "the peer accepted the connection and said nothing in {waited}{}",
            without_greeting(port)
        ),
        Unanswered::Words => format!(
            "the peer accepted the connection and said nothing in {waited}, nor to what was sent"
        ),
        Unanswered::TlsHandshake => format!(
            "the peer accepted the connection and said nothing in {waited}, nor to the TLS \
                handshake{}",
            without_tls(port)
        ),
        Unanswered::Request => format!(
            "the peer accepted the connection and the request, and sent nothing of an answer in \
                {waited}"
        ),
    }
}

fn without_greeting(port: u16) -> String {
    match usual_ports::usual(port) {
        Some((protocol, First::Server)) => format!(
            "; port {port} is usually {protocol}, whose server speaks first: it may be \
                overloaded, wait for a lookup of this host's name, or keep \
             hosts waiting that it does not know"
        ),
        Some((protocol, First::Client)) => format!(
            "; port {port} is usually {protocol}, whose server waits for the client to speak \
                first: begin the dialogue with a send, or leave the dialogue out"
        ),
        Some((protocol, First::Tls)) => format!(
            "; port {port} is usually {protocol}, whose \
            server waits for a TLS handshake: use probe.tls or probe.http"
        ),
        None => "; a server that waits for the client to speak first needs a dialogue that begins \
            with a send"
            .into(),
    }
}

fn without_tls(port: u16) -> String {
    if let Some((_, name, how)) = ASKED_FOR_TLS.iter().find(|(known, ..)| *known == port) {
        return format!(
            "; port {port} is usually {name}, whose server begins TLS after {how} only"
        );
    }
    match usual_ports::usual(port) {
        Some((_, First::Tls)) => String::new(),
        Some((protocol, First::Client)) => {
            format!(
                "; port {port} is usually {protocol} without TLS, whose server waits for the end \
                    of what it takes for a request: use probe.tcp, or its TLS port"
            )
        }
        Some((protocol, First::Server)) => format!(
            "; port {port} is usually {protocol}, whose \
            server speaks first and not TLS: use probe.tcp"
        ),
        None => "; a server without TLS may take the handshake for the start of a request, and \
            wait for its end"
            .into(),
    }
}

/// `10 s`, `1.5 s`, `200 ms`.
fn length(ms: Ms) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        _ if ms % 1000 < 100 => format!("{} s", ms / 1000),
        _ => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

/// A server that has asked for a client certificate and ends the connection before it answers
/// wanted another than it got.
pub fn without_certificate(trace: &Trace, err: ProbeError) -> ProbeError {
    let is_before_the_answer = matches!(
        trace.stage(),
        Stage::Idle | Stage::Request | Stage::FirstByte
    );
    match err {
        ProbeError::Down(
            Cause::ConnectReset
            | Cause::HttpTruncated
            | Cause::HttpMalformed
            | Cause::ProtocolError
            | Cause::TlsHandshake,
            detail,
        ) if is_before_the_answer && trace.client_certificate_asked.get() => ProbeError::Down(
            Cause::TlsClientAuth,
            format!(
                "the server asked for a client certificate and ended the connection before it \
                    answered: {detail}"
            ),
        ),
        err => err,
    }
}

/// Whether the text stands in these bytes; `text` is in lower case.
fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes
        .windows(text.len())
        .any(|w| w.eq_ignore_ascii_case(text))
}

/// A record's type, version and length (RFC 8446, section 5.1).
fn is_tls(b: &[u8]) -> bool {
    match b {
        [0x14..=0x17, 3, 0..=4, high, low, ..] => {
            (1..=(16 << 10) + 2048).contains(&u16::from_be_bytes([*high, *low]))
        }
        _ => false,
    }
}

/// A SETTINGS frame on stream 0 is the first that a server sends (RFC 9113, section 3.4); GOAWAY
/// may stand in its place.
fn is_http2(b: &[u8]) -> bool {
    matches!(b, [0, 0, length, 4, 0, 0, 0, 0, 0, ..] if length % 6 == 0)
        || matches!(b, [0, 0, length, 7, 0, 0, 0, 0, 0, ..] if *length >= 8)
}

/// The packet of a greeting or of a refusal: its length, sequence 0, and protocol 10 with a version
/// or an error with its code.
fn is_mysql(b: &[u8]) -> bool {
    match b {
        [_, _, 0, 0, 10, digit, ..] => digit.is_ascii_digit(),
        [_, _, 0, 0, 0xff, _, 0x04..=0x0f, ..] => true,
        _ => false,
    }
}

/// An ErrorResponse, as it is sent before any startup.
fn is_postgresql(b: &[u8]) -> bool {
    matches!(b, [b'E', 0, _, _, _, b'S', ..])
        && (holds(b, b"fatal") || holds(b, b"error") || holds(b, b"panic"))
}

/// An LDAPMessage: a sequence of an id and a response's tag (RFC 4511, section 4.1.1).
fn is_ldap(b: &[u8]) -> bool {
    let content = match b {
        [0x30, length @ 0..=0x7f, rest @ ..] if *length >= 5 => rest,
        [0x30, 0x81, _, rest @ ..]
        | [0x30, 0x82, _, _, rest @ ..]
        | [0x30, 0x84, _, _, _, _, rest @ ..] => rest,
        _ => return false,
    };
    matches!(content, [2, 1, _, 0x61..=0x7f, ..])
}

/// Three digits and a blank or a hyphen, as in the replies of SMTP and FTP.
fn is_reply(b: &[u8]) -> bool {
    match b {
        [b'2'..=b'5', tens, ones, b' ' | b'-', ..] => {
            [tens, ones].iter().all(|d| d.is_ascii_digit())
        }
        _ => false,
    }
}

/// An enhanced status code behind the reply's (RFC 3463), which FTP does not have.
fn is_enhanced(b: &[u8]) -> bool {
    match b.get(4..) {
        Some([b'2' | b'4' | b'5', b'.', subject, b'.', ..]) => subject.is_ascii_digit(),
        _ => false,
    }
}

fn is_redis(b: &[u8]) -> bool {
    [
        &b"-ERR "[..],
        b"-NOAUTH ",
        b"-DENIED ",
        b"-LOADING ",
        b"-MISCONF ",
        b"-READONLY ",
        b"-WRONGPASS ",
        b"+PONG\r\n",
    ]
    .iter()
    .any(|start| b.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_known_by_what_it_says_first() {
        for (name, bytes) in [
            ("HTTP", &b"HTTP/1.1 400 Bad Request\r\n"[..]),
            ("TLS", &[0x15, 3, 1, 0, 2, 2, 70]),
            ("TLS", &[0x16, 3, 3, 0, 90, 2]),
            ("HTTP/2", &[0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3]),
            ("HTTP/2", &[0, 0, 0, 4, 0, 0, 0, 0, 0]),
            ("HTTP/2", &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0]),
            ("SSH", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
            (
                "MySQL (MariaDB)",
                b"\x6e\0\0\0\x0a5.5.5-10.11.6-MariaDB-0+deb12u1\0\x1f\0\0\0",
            ),
            ("MySQL", b"\x4a\0\0\0\x0a8.0.36\0\x0b\0\0\0"),
            (
                "MySQL",
                b"\x6a\0\0\0\xff\x69\x04Host '127.0.0.1' is blocked because of many \
                connection errors",
            ),
            (
                "PostgreSQL",
                b"E\0\0\0\x8cSFATAL\0VFATAL\0C0A000\0Munsupported frontend protocol\0",
            ),
            ("LDAP", &[0x30, 0x0c, 2, 1, 0, 0x78, 7, 10, 1, 2]),
            (
                "LDAP",
                &[0x30, 0x84, 0, 0, 0, 0x10, 2, 1, 1, 0x61, 0x84, 0, 0],
            ),
            ("SMTP", b"220 mail.example ESMTP Postfix\r\n"),
            ("SMTP", b"502 5.5.2 Error: command not recognized\r\n"),
            ("FTP", b"220 (vsFTPd 3.0.3)\r\n"),
            ("SMTP or FTP", b"220 welcome\r\n"),
            ("IMAP", b"* OK [CAPABILITY IMAP4rev1] ready\r\n"),
            ("POP3", b"+OK Dovecot ready.\r\n"),
            (
                "Redis",
                b"-ERR unknown command 'x', with args beginning with:\r\n",
            ),
            ("Redis", b"-NOAUTH Authentication required.\r\n"),
            ("memcached", b"ERROR\r\n"),
            ("AMQP", b"AMQP\0\0\x09\x01"),
            ("Telnet", &[0xff, 0xfd, 0x18, 0xff, 0xfd, 0x20]),
        ] {
            assert_eq!(
                named(bytes),
                Some(name),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn a_silent_peer_is_explained_by_what_is_usual_on_its_port() {
        use Unanswered::{Connection, Request, TlsHandshake, Words};
        const ACCEPTED: &str = "the peer accepted the connection and said nothing in ";
        let postgresql = "5 s; port 5432 is usually PostgreSQL, whose server waits for the client \
            to speak first: begin the dialogue with a send, or leave the dialogue out";
        assert_eq!(
            silence(5432, Connection, 5000),
            format!("{ACCEPTED}{postgresql}")
        );
        for (port, after, words) in [
            (
                6379,
                Connection,
                "10 s; port 6379 is usually Redis, whose server waits for the client",
            ),
            (
                389,
                Connection,
                "10 s; port 389 is usually LDAP, whose server waits for the client",
            ),
            (
                80,
                Connection,
                "10 s; port 80 is usually HTTP, whose server waits for the client",
            ),
            (
                993,
                Connection,
                "10 s; port 993 is usually IMAP over TLS, whose server waits for a TLS handshake: \
                    use probe.tls",
            ),
            (
                25,
                Connection,
                "10 s; port 25 is usually SMTP, whose server speaks first: it may be overloaded",
            ),
            (
                7,
                Connection,
                "10 s; a server that waits for the client to speak first needs a dialogue that \
                    begins with a send",
            ),
            (7, Words, "10 s, nor to what was sent"),
            (
                5432,
                TlsHandshake,
                "10 s, nor to the TLS handshake; port 5432 is usually PostgreSQL, whose server \
                    begins TLS after an SSLRequest only",
            ),
            (
                6379,
                TlsHandshake,
                "10 s, nor to the TLS handshake; port 6379 is usually Redis without TLS",
            ),
            (
                22,
                TlsHandshake,
                "10 s, nor to the TLS handshake; port 22 is usually SSH, whose server speaks \
                    first and not TLS",
            ),
            (
                7,
                TlsHandshake,
                "10 s, nor to the TLS handshake; a server without TLS may take the handshake for \
                    the start of a request",
            ),
        ] {
            let said = silence(port, after, 10_004);
            assert!(said.starts_with(&format!("{ACCEPTED}{words}")), "{said}");
        }
        assert_eq!(
            silence(443, TlsHandshake, 1500),
            format!("{ACCEPTED}1.5 s, nor to the TLS handshake")
        );
        assert_eq!(
            silence(443, Request, 200),
            "the peer accepted the connection and the request, and sent nothing of an answer in \
                200 ms"
        );
    }

    #[test]
    fn what_was_heard_is_shown_on_one_line_and_bounded() {
        assert_eq!(
            received_text(b"502 5.5.1 Error: \"x\"\r\n"),
            "received `502 5.5.1 Error: \"x\"`"
        );
        assert_eq!(
            received_text(b"a\r\nb\x1b[31m\xff"),
            "received `a\\r\\nb\\u{1b}[31m\u{fffd}`"
        );
        assert_eq!(received_text(b"\r\n"), "received nothing");
        assert!(received_text(&[b'x'; 4000]).chars().count() < 140);
    }

    #[test]
    fn what_tells_nothing_is_not_named() {
        for bytes in [
            &b""[..],
            b"H",
            b"hello\r\n",
            b"200 years of silence",
            b"E",
            b"Every",
            &[0; 40],
            &[0x30, 0x30, 0x30],
            &[0x16, 3],
            &[0x16, 3, 1, 0xff, 0xff],
        ] {
            assert_eq!(named(bytes), None, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
