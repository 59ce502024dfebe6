//! Heads of HTTP/1 responses: parsed by httparse, and by what browsers and curl read beyond it.
//!
//! A connection is used for one answer, so that a head which could be read in two ways cannot be
//! used against the answer after it. What is read beyond the grammar of RFC 9112 is noted as odd.

use crate::config::plan::probe::{HEADER_COUNT_LIMIT, Strictness};
use crate::net::http_response::Response;
use crate::net::peer;
use crate::net::probe_error::ProbeError;
use crate::words::Cause;

/// Blanks and line ends before a status line that Chromium skips, too.
const SLOP: usize = 4;
const START: &[u8] = b"HTTP/1.";
/// Lines of a head, folded ones and those without a colon among them.
const LINE_LIMIT: usize = 4 * HEADER_COUNT_LIMIT;
/// Carriage returns that may stand before a line feed.
const RETURNS: usize = 3;
/// Oddities that are noted of one response.
const ODD_LIMIT: usize = 8;

/// How the body ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

fn malformed(what: String) -> ProbeError {
    ProbeError::down(Cause::HttpMalformed, what)
}

/// Refuses what cannot become an HTTP/1 head, as soon as it is seen.
pub fn begins_well(unread: &[u8], reading: Strictness) -> Result<(), ProbeError> {
    let line = match reading {
        Strictness::Lenient => &unread[slop(unread)..],
        Strictness::Strict => unread,
    };
    let begin = line.len().min(START.len());
    let is_fine = match reading {
        Strictness::Lenient => line[..begin].eq_ignore_ascii_case(&START[..begin]),
        Strictness::Strict => line[..begin] == START[..begin],
    };
    if is_fine {
        return Ok(());
    }
    let shown = begin_of(unread, 40);
    Err(malformed(
        match peer::named(unread).filter(|name| *name != "HTTP") {
            Some(name) => format!("the peer speaks {name}, not HTTP/1: it sent \"{shown}\""),
            None => format!("the response is not HTTP/1: it starts with \"{shown}\""),
        },
    ))
}

/// Blanks and line ends before the status line.
fn slop(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take(SLOP)
        .take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))
        .count()
}

/// Just past the empty line that ends the head; only what is new is searched.
pub fn end(bytes: &[u8], searched: usize) -> Option<usize> {
    let first = slop(bytes);
    let mut from = searched.saturating_sub(2 + RETURNS).max(first);
    while let Some(at) = bytes[from..]
        .iter()
        .position(|b| *b == b'\n')
        .map(|p| p + from)
    {
        let returns = bytes[at + 1..]
            .iter()
            .take(RETURNS)
            .take_while(|b| **b == b'\r')
            .count();
        if bytes.get(at + 1 + returns) == Some(&b'\n') {
            return Some(at + 2 + returns);
        }
        from = at + 1;
    }
    None
}

/// A whole head. What httparse refuses is read as others read it, unless the config asks for more.
pub fn parse(bytes: &[u8], reading: Strictness) -> Result<Response, ProbeError> {
    let strictly = parse_strictly(bytes);
    match (&strictly, reading) {
        (Err(ProbeError::Down(Cause::HttpMalformed, _)), Strictness::Lenient) => {
            parse_leniently(bytes)
        }
        _ => strictly,
    }
}

fn too_many() -> ProbeError {
    ProbeError::down(
        Cause::HeaderLimit,
        format!("the response has more than {HEADER_COUNT_LIMIT} headers"),
    )
}

fn parse_strictly(bytes: &[u8]) -> Result<Response, ProbeError> {
    let mut few = [httparse::EMPTY_HEADER; 48];
    let mut many;
    let mut parsed = httparse::Response::new(&mut few);
    let mut status = parsed.parse(bytes);
    if status == Err(httparse::Error::TooManyHeaders) {
        many = vec![httparse::EMPTY_HEADER; HEADER_COUNT_LIMIT];
        parsed = httparse::Response::new(&mut many);
        status = parsed.parse(bytes);
    }
    match status {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => {
            return Err(malformed("the response head has no end".into()));
        }
        Err(httparse::Error::TooManyHeaders) => return Err(too_many()),
        Err(error) => {
            return Err(malformed(format!(
                "the response head is malformed: {error}"
            )));
        }
    }
    Ok(Response {
        status: known_status(parsed.code.unwrap_or(0))?,
        version: if parsed.version == Some(0) {
            "1.0"
        } else {
            "1.1"
        },
        headers: parsed
            .headers
            .iter()
            .map(|h| (h.name.to_ascii_lowercase(), h.value.to_vec()))
            .collect(),
        ..Response::default()
    })
}

fn known_status(code: u16) -> Result<u16, ProbeError> {
    if (100..=999).contains(&code) {
        Ok(code)
    } else {
        Err(malformed(format!("invalid status {code:03}")))
    }
}

/// Notes something odd, up to a limit.
pub fn note(response: &mut Response, what: impl FnOnce() -> String) {
    if response.odd.len() < ODD_LIMIT {
        let what = what();
        if !response.odd.contains(&what) {
            response.odd.push(what);
        }
    }
}

fn parse_leniently(bytes: &[u8]) -> Result<Response, ProbeError> {
    if bytes.contains(&0) {
        return Err(malformed("the response head has a NUL byte".into()));
    }
    let mut response = Response::default();
    let slop = slop(bytes);
    if slop > 0 {
        note(&mut response, || {
            format!("{slop} bytes of blanks are before the status line")
        });
    }
    let mut lines = bytes[slop..].split(|b| *b == b'\n').map(|line| {
        let bare = line.strip_suffix(b"\r").unwrap_or(line);
        (bare.trim_ascii_end(), bare)
    });
    let (line, _) = lines.next().unwrap_or_default();
    status_line(line, &mut response)?;
    // How many headers there were when a fold was last noted.
    let mut folded = 0;
    for (number, (line, raw)) in lines.enumerate() {
        if number > LINE_LIMIT {
            return Err(ProbeError::down(
                Cause::HeaderLimit,
                format!("the response head has more than {LINE_LIMIT} lines"),
            ));
        }
        if raw.contains(&b'\r') {
            note(&mut response, || {
                "a carriage return is alone in the head".into()
            });
        }
        if !raw.is_empty() {
            header_line(line, raw, &mut folded, &mut response)?;
        }
    }
    Ok(response)
}

/// `HTTP/1.x`, blanks, three digits, and whatever follows.
fn status_line(line: &[u8], response: &mut Response) -> Result<(), ProbeError> {
    let refused = || malformed(format!("invalid status line \"{}\"", shown(line)));
    let (start, rest) = line.split_at_checked(START.len()).ok_or_else(refused)?;
    let (minor, rest) = rest.split_first().ok_or_else(refused)?;
    let blanks = rest
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    let digits = rest[blanks..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    if !minor.is_ascii_digit() || blanks == 0 || digits != 3 {
        return Err(refused());
    }
    let (code, reason) = rest[blanks..].split_at(digits);
    response.status = known_status(
        std::str::from_utf8(code)
            .ok()
            .and_then(|c| c.parse().ok())
            .unwrap_or(0),
    )?;
    response.version = if *minor == b'0' { "1.0" } else { "1.1" };
    let after = reason
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    for (is_odd, what) in [
        (
            start != START,
            "the status line writes HTTP in small letters",
        ),
        (
            *minor > b'1',
            "the status line has a version above HTTP/1.1",
        ),
        (
            blanks != 1 || rest[0] != b' ' || after > 1,
            "the status line has more blanks than it should",
        ),
        (
            after == 0 && !reason.is_empty(),
            "the reason follows the status without a blank",
        ),
        (
            reason[after..].iter().any(|b| b.is_ascii_control()),
            "the reason has control characters",
        ),
    ] {
        if is_odd {
            note(response, || what.to_owned());
        }
    }
    Ok(())
}

/// One line of the head: a header, or more of the one before it. Both without their line end,
/// `line` without blanks at its end.
fn header_line(
    line: &[u8],
    raw: &[u8],
    folded: &mut usize,
    response: &mut Response,
) -> Result<(), ProbeError> {
    let is_indented = matches!(raw.first(), Some(b' ' | b'\t'));
    if let (true, Some((_, value))) = (is_indented, response.headers.last_mut()) {
        let more = line.trim_ascii();
        if !more.is_empty() && !value.is_empty() {
            value.push(b' ');
        }
        value.extend(more.iter().map(|b| if *b == b'\r' { b' ' } else { *b }));
        if *folded < response.headers.len() {
            *folded = response.headers.len();
            let name = response
                .headers
                .last()
                .map(|(name, _)| shown(name.as_bytes()))
                .unwrap_or_default();
            note(response, || format!("the header `{name}` is folded"));
        }
        return Ok(());
    }
    let Some(colon) = line.iter().position(|b| *b == b':') else {
        if !line.is_empty() {
            note(response, || {
                format!(
                    "a line of the head has no colon and is left out: \"{}\"",
                    shown(line)
                )
            });
        }
        return Ok(());
    };
    let name = line[..colon].trim_ascii();
    let is_token = !name.is_empty()
        && name
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b));
    if is_indented || name.len() != colon {
        note(response, || {
            format!("blanks are around the header name `{}`", shown(name))
        });
    } else if !is_token {
        note(response, || {
            format!("invalid header name \"{}\"", shown(name))
        });
    }
    let value: Vec<u8> = line[colon + 1..]
        .trim_ascii()
        .iter()
        .map(|b| if *b == b'\r' { b' ' } else { *b })
        .collect();
    if value.iter().any(|b| b.is_ascii_control() && *b != b'\t') {
        note(response, || {
            format!("the header `{}` has control characters", shown(name))
        });
    }
    if response.headers.len() == HEADER_COUNT_LIMIT {
        return Err(too_many());
    }
    if !name.is_empty() {
        response
            .headers
            .push((String::from_utf8_lossy(name).to_ascii_lowercase(), value));
    }
    Ok(())
}

fn shown(bytes: &[u8]) -> String {
    begin_of(bytes, 60)
}

/// At most so many bytes, escaped; what was cut ends with an ellipsis, by which a secret that was
/// cut in two is known.
pub fn begin_of(bytes: &[u8], most: usize) -> String {
    let mut shown: String = String::from_utf8_lossy(&bytes[..bytes.len().min(most)])
        .escape_debug()
        .collect();
    if bytes.len() > most {
        shown.push('…');
    }
    shown
}

/// How the body ends (RFC 9112 section 6.3). What could be read in two ways is malformed where the
/// config asks for it; else the transfer coding goes before a length, and lengths that are equal
/// are one.
pub fn framing(
    response: &mut Response,
    method: &str,
    reading: Strictness,
) -> Result<Framing, ProbeError> {
    let codings = transfer_codings(response, reading)?;
    let is_chunked = codings.last().is_some_and(|c| c == "chunked");
    let length = if is_chunked || !codings.is_empty() {
        lengths_beside(response, reading)?
    } else {
        one_length(response, reading)?
    };
    if method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304) {
        return Ok(Framing::None);
    }
    let framing = match (is_chunked, length) {
        (true, _) => Framing::Chunked,
        (false, Some(length)) if codings.is_empty() => Framing::Length(length),
        (false, _) => Framing::UntilClose,
    };
    response.transfer_codings = codings.into_iter().filter(|c| c != "chunked").collect();
    Ok(framing)
}

/// Beside a transfer coding a length says nothing.
fn lengths_beside(response: &mut Response, reading: Strictness) -> Result<Option<u64>, ProbeError> {
    if response.values("content-length").next().is_some() {
        if reading == Strictness::Strict {
            return Err(malformed(
                "the response has both Content-Length and Transfer-Encoding".into(),
            ));
        }
        note(response, || {
            "Content-Length is present beside Transfer-Encoding; Transfer-Encoding counts".into()
        });
    }
    Ok(None)
}

fn one_length(response: &mut Response, reading: Strictness) -> Result<Option<u64>, ProbeError> {
    let lines = response.values("content-length").count();
    if lines > 1 && reading == Strictness::Strict {
        return Err(malformed(
            "the response has more than one Content-Length".into(),
        ));
    }
    let mut found = None;
    let mut count = 0;
    for line in response.values("content-length") {
        let each = line
            .split(|b| *b == b',' && reading == Strictness::Lenient)
            .map(<[u8]>::trim_ascii);
        for text in each {
            let length = number(text)
                .ok_or_else(|| malformed(format!("invalid Content-Length \"{}\"", shown(line))))?;
            if found.is_some_and(|before| before != length) {
                return Err(malformed(format!(
                    "the response has differing lengths: Content-Length {} and {length}",
                    found.unwrap_or(0)
                )));
            }
            found = Some(length);
            count += 1;
        }
    }
    if count > 1 {
        note(response, || {
            format!("Content-Length is given {count} times, always the same")
        });
    }
    Ok(found)
}

/// Digits; zeros before them say nothing.
fn number(text: &[u8]) -> Option<u64> {
    let zeros = text
        .iter()
        .take_while(|b| **b == b'0')
        .count()
        .min(text.len().saturating_sub(1));
    let digits = &text[zeros..];
    let is_number =
        !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_number)?
        .parse()
        .ok()
}

/// In lower case, in the order in which they were applied; `chunked` only as the last.
fn transfer_codings(
    response: &mut Response,
    reading: Strictness,
) -> Result<Vec<String>, ProbeError> {
    let Some(first) = response.values("transfer-encoding").next() else {
        return Ok(Vec::new());
    };
    if first.eq_ignore_ascii_case(b"chunked")
        && response.values("transfer-encoding").nth(1).is_none()
    {
        return Ok(vec!["chunked".into()]);
    }
    let header = response
        .values("transfer-encoding")
        .collect::<Vec<_>>()
        .join(&b',');
    let refused = || malformed(format!("unknown Transfer-Encoding \"{}\"", shown(&header)));
    if reading == Strictness::Strict {
        return Err(refused());
    }
    let all = String::from_utf8_lossy(&header).to_ascii_lowercase();
    let mut codings: Vec<String> = all
        .split(',')
        .map(str::trim)
        .filter(|c| !matches!(*c, "" | "identity"))
        .map(str::to_owned)
        .collect();
    codings.dedup_by(|a, b| a == b && a == "chunked");
    let last = codings.len().saturating_sub(1);
    let is_known = |(at, c): (usize, &String)| {
        matches!(c.as_str(), "gzip" | "x-gzip" | "deflate" | "br") || (c == "chunked" && at == last)
    };
    if !codings.iter().enumerate().all(is_known) {
        return Err(refused());
    }
    note(response, || {
        format!("the Transfer-Encoding is \"{}\"", shown(&header))
    });
    Ok(codings)
}
