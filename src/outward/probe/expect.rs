//! What an http endpoint is expected to answer, held against what it answered. Every expectation leaves a finding.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::Read;

use super::super::halt::Halt;
use super::super::http1::Response;
use super::json;
use crate::config::plan_probe::{HeaderTest, HttpExpect, Limits, TextRule};
use crate::words::{Cause, Finding};

/// Content codings that may be nested in one response.
const CODING_LIMIT: usize = 3;
/// As much of a decoded body is kept before it is known to be within the limit.
const AT_FIRST: usize = 256 << 10;
/// A found value is shown up to this many characters.
const SHOWN: usize = 120;

/// Collects findings; the first that is not met decides the cause.
#[derive(Default)]
pub struct Verdicts {
    pub findings: Vec<Finding>,
    pub first_unmet: Option<Halt>,
}

impl Verdicts {
    pub fn add(&mut self, cause: Cause, expectation: String, found: String, met: bool) {
        if !met && self.first_unmet.is_none() {
            self.first_unmet = Some(Halt::down(cause, format!("expected {expectation}, found {found}")));
        }
        self.findings.push(Finding { expectation, found, met });
    }
}

pub fn needs_body(expect: &HttpExpect) -> bool {
    !expect.body.is_empty() || expect.json.is_some()
}

/// Status, version, headers: all that does not need the body.
pub fn head(expect: &HttpExpect, response: &Response, final_url: &str, verdicts: &mut Verdicts) {
    let status = response.status;
    verdicts.add(Cause::Status, format!("status in {}", expect.status.shown()), status.to_string(), expect.status.contains(status));
    if let Some(version) = &expect.version {
        verdicts.add(Cause::VersionMismatch, format!("HTTP/{version}"), format!("HTTP/{}", response.version), response.version == version);
    }
    if let Some(pattern) = &expect.final_url {
        verdicts.add(Cause::UrlMismatch, format!("final URL matches /{}/", pattern.text), final_url.to_owned(), pattern.regex.is_match(final_url.as_bytes()));
    }
    for rule in &expect.headers {
        let values: Vec<&[u8]> = response.values(&rule.name).collect();
        let (expectation, met) = match &rule.rule {
            HeaderTest::Present => ("is there".to_owned(), !values.is_empty()),
            HeaderTest::Absent => ("is absent".to_owned(), values.is_empty()),
            HeaderTest::Equals(text) => (format!("is \"{}\"", text.escape_debug()), values.contains(&text.as_bytes())),
            HeaderTest::Matches(p) => (format!("matches /{}/", p.text), values.iter().any(|v| p.regex.is_match(v))),
            HeaderTest::NotMatches(p) => (format!("does not match /{}/", p.text), !values.iter().any(|v| p.regex.is_match(v))),
        };
        let found = if values.is_empty() { "nothing".to_owned() } else { values.iter().map(|v| shown(v)).collect::<Vec<_>>().join(", ") };
        verdicts.add(Cause::HeaderMismatch, format!("header {} {expectation}", rule.name), found, met);
    }
}

/// Text, regular expressions and JSON over the decoded body. May take long on a large one.
pub fn body(expect: &HttpExpect, body: &[u8], verdicts: &mut Verdicts) {
    for rule in &expect.body {
        let (expectation, met) = match rule {
            TextRule::Contains(text) => (format!("body contains \"{}\"", text.escape_debug()), find(body, text.as_bytes())),
            TextRule::NotContains(text) => (format!("body does not contain \"{}\"", text.escape_debug()), !find(body, text.as_bytes())),
            TextRule::Matches(p) => (format!("body matches /{}/", p.text), p.regex.is_match(body)),
            TextRule::NotMatches(p) => (format!("body does not match /{}/", p.text), !p.regex.is_match(body)),
        };
        verdicts.add(Cause::BodyMismatch, expectation, format!("{} bytes: {}", body.len(), shown(body)), met);
    }
    if let Some(cel) = &expect.json {
        let (found, met) = json::judged(cel, body);
        verdicts.add(Cause::JsonMismatch, format!("JSON satisfies {}", cel.text), found, met);
    }
}

/// Undoes the content codings, within the limit.
pub fn decoded<'r>(response: &'r Response, limits: &Limits) -> Result<Cow<'r, [u8]>, Halt> {
    let codings = codings(response)?;
    if codings.is_empty() {
        return Ok(Cow::Borrowed(&response.body));
    }
    let (body, length) = undone(response, &codings, limits, AT_FIRST)?;
    if body.len() == length {
        return Ok(Cow::Owned(body));
    }
    // Known to be within the limit, it is undone again into as much as it takes: a bomb is never held.
    drop(body);
    Ok(Cow::Owned(undone(response, &codings, limits, length)?.0))
}

/// Whether the content codings can be undone within the limit, for a body that nobody looks at.
pub fn decodable(response: &Response, limits: &Limits) -> Result<(), Halt> {
    let codings = codings(response)?;
    if codings.is_empty() { Ok(()) } else { undone(response, &codings, limits, 0).map(|_| ()) }
}

/// The content codings in the order in which they were applied. An answer without a body has nothing to undo, whatever its
/// header says (HEAD, 204).
fn codings(response: &Response) -> Result<Vec<String>, Halt> {
    if response.body.is_empty() {
        return Ok(Vec::new());
    }
    let header: Vec<u8> = response.values("content-encoding").collect::<Vec<_>>().join(&b',');
    let codings: Vec<String> =
        String::from_utf8_lossy(&header).split(',').map(|c| c.trim().to_ascii_lowercase()).filter(|c| !c.is_empty() && c != "identity").collect();
    if codings.len() > CODING_LIMIT {
        return Err(Halt::down(Cause::DecodeLimit, format!("{} content codings are nested, at most {CODING_LIMIT} are undone", codings.len())));
    }
    Ok(codings)
}

/// The first `kept` bytes of what the codings hide, and its whole length.
fn undone(response: &Response, codings: &[String], limits: &Limits, kept: usize) -> Result<(Vec<u8>, usize), Halt> {
    let is_over = Cell::new(false);
    let mut layers: Box<dyn Read + '_> = Box::new(response.body.as_slice());
    for coding in codings.iter().rev() {
        layers = Box::new(Bounded { inner: without(layers, coding)?, left: limits.decoded, is_over: &is_over });
    }
    let mut out = Vec::new();
    if kept > AT_FIRST {
        out.reserve_exact(kept);
    }
    let (mut length, mut piece) = (0, [0; 8192]);
    loop {
        match layers.read(&mut piece) {
            Ok(0) => return Ok((out, length)),
            Ok(n) => {
                out.extend_from_slice(&piece[..n.min(kept - out.len())]);
                length += n;
            }
            Err(_) if is_over.get() => return Err(Halt::down(Cause::DecodeLimit, format!("the decoded body is longer than {} bytes", limits.decoded))),
            Err(error) => return Err(Halt::down(Cause::DecodeError, format!("the body cannot be decoded: {error}"))),
        }
    }
}

/// Undoes one coding while it is read.
fn without<'r>(mut coded: Box<dyn Read + 'r>, coding: &str) -> Result<Box<dyn Read + 'r>, Halt> {
    match coding {
        "gzip" | "x-gzip" => Ok(Box::new(flate2::read::MultiGzDecoder::new(coded))),
        "deflate" => {
            let mut start = Vec::new();
            let read = (&mut coded).take(2).read_to_end(&mut start);
            read.map_err(|error| Halt::down(Cause::DecodeError, format!("the body cannot be decoded: {error}")))?;
            // Many servers send it without the zlib wrapper (RFC 1950) that RFC 9110 asks for.
            let is_wrapped = matches!(start[..], [cmf, flags] if cmf & 0x0F == 8 && (u16::from(cmf) << 8 | u16::from(flags)) % 31 == 0);
            let whole = std::io::Cursor::new(start).chain(coded);
            if is_wrapped { Ok(Box::new(flate2::read::ZlibDecoder::new(whole))) } else { Ok(Box::new(flate2::read::DeflateDecoder::new(whole))) }
        }
        "br" => Ok(Box::new(brotli_decompressor::Decompressor::new(coded, 4096))),
        other => Err(Halt::down(Cause::DecodeError, format!("the content coding \"{}\" is not known", other.escape_debug()))),
    }
}

/// Ends with an error when more comes than may.
struct Bounded<'r> {
    inner: Box<dyn Read + 'r>,
    left: u64,
    is_over: &'r Cell<bool>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, piece: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(piece)?;
        match self.left.checked_sub(n as u64) {
            Some(left) => self.left = left,
            None => {
                self.is_over.set(true);
                return Err(std::io::Error::other("more than may come"));
            }
        }
        Ok(n)
    }
}

fn find(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|w| w == text)
}

/// Bytes as text for a person: escaped, and cut.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN * 4)]);
    let mut out: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().count() > SHOWN {
        out.push('…');
    }
    format!("\"{out}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use std::io::Write;

    const LIMITS: Limits = Limits { body: 1 << 20, decoded: 1 << 20, header: 65_536 };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn response(coding: &str, body: Vec<u8>) -> Response {
        Response { headers: vec![("content-encoding".into(), coding.into())], body, ..Response::default() }
    }

    #[test]
    fn a_body_is_undone_whole_whatever_its_codings_and_length() {
        let lengths = [0, 1, AT_FIRST - 1, AT_FIRST, AT_FIRST + 1, 1 << 20];
        for plain in lengths.map(|n| (0..n).map(|k| (k * k / 7) as u8).collect::<Vec<_>>()) {
            for coded in [
                response("gzip", gzip(&plain)),
                response("x-gzip", [gzip(&plain[..plain.len() / 2]), gzip(&plain[plain.len() / 2..])].concat()),
                response("deflate", zlib(&plain)),
                response("deflate", deflate(&plain)),
                response("deflate, identity, gzip", gzip(&zlib(&plain))),
                response("gzip, deflate", deflate(&gzip(&plain))),
            ] {
                let body = decoded(&coded, &LIMITS).expect("within the limit");
                assert!(*body == *plain, "{} bytes of {}", plain.len(), String::from_utf8_lossy(&coded.headers[0].1));
                assert!(decodable(&coded, &LIMITS).is_ok());
            }
        }
    }

    #[test]
    fn a_bomb_is_found_in_whichever_layer_it_is_and_nonsense_is_no_bomb() {
        let zeros = vec![0; (1 << 20) + 1];
        for (coded, cause) in [
            (response("gzip", gzip(&zeros)), Cause::DecodeLimit),
            (response("deflate", deflate(&zeros)), Cause::DecodeLimit),
            (response("deflate, gzip", gzip(&zlib(&zeros))), Cause::DecodeLimit),
            (response("gzip, gzip", gzip(&[gzip(b"x"), gzip(&zeros)].concat())), Cause::DecodeLimit),
            (response("gzip", b"no gzip".to_vec()), Cause::DecodeError),
            (response("gzip", gzip(b"cut short")[..12].to_vec()), Cause::DecodeError),
            (response("deflate", zlib(b"cut short")[..6].to_vec()), Cause::DecodeError),
            (response("zstd", b"x".to_vec()), Cause::DecodeError),
            (response("gzip,gzip,gzip,gzip", b"x".to_vec()), Cause::DecodeLimit),
        ] {
            for result in [decoded(&coded, &LIMITS).map(|_| ()), decodable(&coded, &LIMITS)] {
                assert!(matches!(&result, Err(Halt::Down(found, _)) if *found == cause), "{result:?}, not {cause:?}");
            }
        }
    }
}
