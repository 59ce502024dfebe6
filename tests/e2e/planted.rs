//! Secrets to plant, the spellings in which a server gives them back, and servers that do so in
//! each part of an answer.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use rcgen::{DnType, SanType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::authority::{Authority, acceptor};
use super::serve::{read_head, tcp};

/// 40 of them, with everything that some encoding treats in its own way.
pub fn secrets() -> Vec<String> {
    let odd = [
        "+", "/", "=", "&", "\"", "\\", "%", " ", "ä", "ö", "ß", "'", "<", ">", "?", "#", ";", ":",
        "@", "+/=&",
    ];
    (0..40)
        .map(|n| {
            let (a, b) = (odd[n % odd.len()], odd[(n * 7 + 3) % odd.len()]);
            format!("S{n}x{a}zebra{b}Q{}k", n * n + 1000)
        })
        .collect()
}

fn percent(text: &str, keep: &str, form: bool, upper: bool) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b' ' if form => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) => {
                out.push(char::from(byte))
            }
            _ if upper => drop(write!(out, "%{byte:02X}")),
            _ => drop(write!(out, "%{byte:02x}")),
        }
        out
    })
}

fn dumped(text: &str, gap: &str, byte: impl Fn(u8) -> String) -> String {
    text.bytes().map(byte).collect::<Vec<_>>().join(gap)
}

/// RFC 4648, section 6.
fn base32(text: &str) -> String {
    let bits: String = text.bytes().map(|byte| format!("{byte:08b}")).collect();
    let character = |five: &[u8]| {
        let five = format!("{:0<5}", String::from_utf8_lossy(five));
        char::from(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
                [usize::from_str_radix(&five, 2).expect("five bits")],
        )
    };
    let text: String = bits.as_bytes().chunks(5).map(character).collect();
    format!(
        "{text}{}",
        "=".repeat(text.len().next_multiple_of(8) - text.len())
    )
}

/// RFC 2045, section 6.7, in lines of 12 characters at most.
fn quoted_printable(text: &str) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for byte in text.bytes() {
        let one = if byte.is_ascii_alphanumeric() {
            char::from(byte).to_string()
        } else {
            format!("={byte:02X}")
        };
        if column + one.len() > 11 {
            out.push_str("=\r\n");
            column = 0;
        }
        column += one.len();
        out.push_str(&one);
    }
    out
}

fn lines(text: &str, length: usize) -> String {
    text.as_bytes()
        .chunks(length)
        .map(String::from_utf8_lossy)
        .collect::<Vec<_>>()
        .join("\r\n")
}

fn in_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn in_json(text: &str) -> String {
    let json = serde_json::to_string(text).expect("a string");
    json.trim_matches('"').to_owned()
}

/// The spellings in which a server gives it back.
pub fn spelled(secret: &str) -> Vec<String> {
    let json = in_json(secret);
    let ascii: String = json
        .chars()
        .map(|c| {
            if c.is_ascii() {
                c.to_string()
            } else {
                format!("\\u{:04x}", u32::from(c))
            }
        })
        .collect();
    let go: String = ascii
        .replace('&', "\\u0026")
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('/', "\\/");
    let numbers: String = secret
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_string()
            } else {
                format!("&#x{:X};", u32::from(c))
            }
        })
        .collect();
    let bytes: String = secret
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() {
                char::from(b).to_string()
            } else {
                format!("\\x{b:02x}")
            }
        })
        .collect();
    let once = percent(secret, "-._~", false, true);
    vec![
        secret.to_owned(),
        once.clone(),
        percent(secret, "-._~", false, false),
        percent(secret, "*-._", true, true),
        percent(secret, "!$&'()*+,;=:@/-._~", false, false),
        STANDARD.encode(secret),
        URL_SAFE.encode(format!("u:{secret}")),
        STANDARD.encode(format!("ab{secret}cd")),
        json,
        ascii,
        go.clone(),
        in_html(secret),
        numbers,
        // What a server does before it writes, and what a proxy does after it.
        secret.to_uppercase(),
        secret.to_lowercase(),
        in_html(secret).to_uppercase(),
        percent(&once, "", false, true),
        in_html(&in_html(secret)),
        in_json(&in_html(secret)).replace('&', "\\u0026"),
        in_html(&in_json(secret)),
        percent(&in_json(secret), "", false, false),
        STANDARD.encode(secret.to_uppercase()),
        STANDARD.encode(secret).to_lowercase(),
        secret.bytes().map(|b| format!("{b:02x}")).collect(),
        secret
            .chars()
            .map(|c| if c.is_ascii() { c } else { '?' })
            .collect(),
        // UTF-8 that was taken for ISO-8859-1.
        secret.bytes().map(char::from).collect(),
        bytes,
        secret.replace('\'', "''").replace('"', "\"\""),
        quoted_printable(secret),
        secret
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_string()
                } else {
                    format!("\\x{{{:x}}}", u32::from(c))
                }
            })
            .collect(),
        dumped(secret, " ", |byte| format!("{byte:02x}")),
        dumped(secret, ":", |byte| format!("{byte:02X}")),
        dumped(secret, ", ", |byte| format!("0x{byte:02x}")),
        dumped(secret, ", ", |byte| byte.to_string()),
        base32(secret),
        base32(secret).to_lowercase().replace('=', ""),
        base32(&format!("u:{secret}")),
        lines(&STANDARD.encode(secret), 8),
        secret.chars().map(|c| format!("{c}\u{200b}")).collect(),
        in_html(secret).replace("zebra", "z&shy;e&#8203;b&#x200D;r\u{2060}a"),
        secret
            .chars()
            .zip("\u{ad}\u{200c}\u{200d}\u{2060}\u{feff}".chars().cycle())
            .flat_map(|(c, unseen)| [unseen, c])
            .collect(),
    ]
}

/// Without the ends of lines, where there can be none.
pub fn in_a_line(text: &str) -> String {
    text.replace("=\r\n", "").replace("\r\n", "")
}

/// Characters without a width that the daemon shows as they are, or as their numbers.
const UNSEEN: [char; 6] = [
    '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}',
];

/// Finds what would give a secret away, whatever its case: each spelling, and what is left of it
/// when it is cut.
pub struct Betrayal(regex::Regex);

impl Betrayal {
    pub fn of(secrets: &[String]) -> Self {
        let start = |spelling: String| spelling.chars().take(9).collect::<String>().to_lowercase();
        let starts = secrets
            .iter()
            .flat_map(|secret| spelled(secret))
            .filter(|s| s.len() > 8)
            .map(start);
        let all: std::collections::BTreeSet<String> =
            starts.map(|start| regex::escape(&start)).collect();
        Self(regex::Regex::new(&all.into_iter().collect::<Vec<_>>().join("|")).expect("a pattern"))
    }

    /// What was found, with what stands around it.
    pub fn in_text(&self, text: &str) -> Option<String> {
        let seen = UNSEEN.iter().fold(text.to_lowercase(), |text, unseen| {
            let number = u32::from(*unseen);
            [
                unseen.to_string(),
                format!("\\u{{{number:x}}}"),
                format!("\\u{number:04x}"),
            ]
            .iter()
            .fold(text, |text, spelling| text.replace(spelling, ""))
        });
        // What has them in its own spelling is found in the text itself.
        let lower = text.to_lowercase();
        let (text, found) = [lower, seen].into_iter().find_map(|text| {
            self.0
                .find(&text)
                .map(|found| found.range())
                .map(|range| (text.clone(), range))
        })?;
        let before: Vec<char> = text[..found.start].chars().rev().take(100).collect();
        Some(
            before
                .into_iter()
                .rev()
                .chain(text[found.start..].chars().take(120))
                .collect(),
        )
    }
}

/// Where in its answer a server gives a secret back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    StatusLine,
    Header,
    HeaderName,
    Body,
    Location,
    /// The host of a Location that leads to another origin.
    Host,
    /// The path of a Location that is followed.
    Path,
}

impl Part {
    pub const ALL: [Part; 7] = [
        Part::StatusLine,
        Part::Header,
        Part::HeaderName,
        Part::Body,
        Part::Location,
        Part::Host,
        Part::Path,
    ];

    /// What an endpoint expects that it is down and says so.
    pub fn expectation(self) -> &'static str {
        match self {
            Part::StatusLine | Part::Location => "",
            Part::Header => "probe.http.expect.headers.x-echo = { equals = \"nothing\" }\n",
            Part::HeaderName | Part::Body => {
                "probe.http.expect.status = [200, 500]\nprobe.http.expect.body.contains \
                    = \"nothing\"\n"
            }
            Part::Host => "probe.http.redirects.cross_origin = false\n",
            Part::Path => "probe.http.expect.final_url = \"nothing\"\n",
        }
    }

    fn answer(self, text: &str, path: &str) -> String {
        // Only a body has lines.
        let line = in_a_line(text);
        let (body, text) = (text, line.as_str());
        let moved = |to: String| {
            format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: \
                    close\r\n\r\n"
            )
        };
        match self {
            Part::StatusLine => format!("HTTP/1.1 5 {text}\r\nContent-Length: 0\r\n\r\n"),
            Part::Header => {
                format!("HTTP/1.1 200 OK\r\nX-Echo: {text}\r\nContent-Length: 0\r\n\r\n")
            }
            Part::HeaderName => {
                format!("HTTP/1.1 200 OK\r\n{text} : x\r\nContent-Length: 1\r\n\r\nx")
            }
            // Cut in the middle of it.
            Part::Body => {
                let body = format!("{}{body}{body}", "x".repeat(108));
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )
            }
            Part::Location => moved(format!("http://127.0.0.1:99999/{text}")),
            Part::Host => moved(format!("http://a{text}b.invalid/")),
            Part::Path if path.contains("/again") => {
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            Part::Path => moved(format!("/0/0/6/again/{text}")),
        }
    }
}

/// A server that gives back the secret of the path `/N/W/P` in spelling W, in part P of its answer.
pub async fn echo(secrets: Arc<Vec<String>>) -> u16 {
    tcp(move |mut stream| {
        let secrets = secrets.clone();
        async move {
            let head = read_head(&mut stream).await;
            let path = head.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
            let mut numbers = path
                .split('/')
                .skip(1)
                .map(|n| n.parse::<usize>().unwrap_or(0));
            let mut next = || numbers.next().unwrap_or(0);
            let (n, way, part) = (next(), next(), next());
            let answer = Part::ALL[part].answer(&spelled(&secrets[n])[way], &path);
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
            let mut rest = [0; 64];
            while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
        }
    })
    .await
}

/// A server of a dialogue of `N/W`, the secret, and a line feed: it answers with secret N in
/// spelling W.
pub async fn parrot(secrets: Arc<Vec<String>>) -> u16 {
    tcp(move |mut stream| {
        let secrets = secrets.clone();
        async move {
            let (mut heard, mut byte) = (Vec::new(), [0]);
            while heard.last() != Some(&b'\n') && matches!(stream.read(&mut byte).await, Ok(1)) {
                heard.push(byte[0]);
            }
            let heard = String::from_utf8_lossy(&heard).into_owned();
            let mut numbers = heard
                .split(['/', ' '])
                .map(|n| n.parse::<usize>().unwrap_or(0));
            let (n, way) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            let _ = stream
                .write_all(format!("no: {}\r\n", in_a_line(&spelled(&secrets[n])[way])).as_bytes())
                .await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

/// A server whose certificate has the text as its subject and, where it may, as a name; expired.
pub async fn certified(authority: &Authority, text: &str) -> u16 {
    let leaf = authority.leaf(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, text);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        params
            .subject_alt_names
            .extend(text.try_into().ok().map(SanType::DnsName));
    });
    super::authority::https(acceptor(leaf, &[])).await
}
