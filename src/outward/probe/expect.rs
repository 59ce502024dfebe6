//! What an http endpoint is expected to answer, held against what it answered. Every expectation leaves a finding.

use std::io::Read;

use super::super::halt::Halt;
use super::super::http1::Response;
use crate::config::plan_probe::{Cel, HeaderTest, HttpExpect, Limits, TextRule};
use crate::words::{Cause, Finding};

/// Content codings that may be nested in one response.
const CODING_LIMIT: usize = 3;
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
        let (found, met) = evaluate(cel, body);
        verdicts.add(Cause::JsonMismatch, format!("JSON satisfies {}", cel.text), found, met);
    }
}

fn evaluate(cel: &Cel, body: &[u8]) -> (String, bool) {
    let json: serde_json::Value = match serde_json::from_slice(body) {
        Ok(json) => json,
        Err(error) => return (format!("no JSON: {error}"), false),
    };
    let mut context = cel::Context::default();
    context.add_variable_from_value("body", as_cel(json));
    match cel.program.execute(&context) {
        Ok(cel::Value::Bool(met)) => (met.to_string(), met),
        Ok(_) => ("a value that is neither true nor false".into(), false),
        Err(error) => (format!("an error: {error}"), false),
    }
}

/// Whole numbers become CEL's int where they fit, so that they can be reckoned with.
fn as_cel(json: serde_json::Value) -> cel::Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => cel::Value::Null,
        Json::Bool(b) => cel::Value::Bool(b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => cel::Value::Int(i),
            (None, Some(u)) => cel::Value::UInt(u),
            (None, None) => cel::Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => cel::Value::from(text),
        Json::Array(list) => cel::Value::List(std::sync::Arc::new(list.into_iter().map(as_cel).collect())),
        Json::Object(map) => cel::Value::from(map.into_iter().map(|(k, v)| (k, as_cel(v))).collect::<std::collections::HashMap<String, cel::Value>>()),
    }
}

/// Undoes the content codings, within the limit.
pub fn decoded(response: &Response, limits: &Limits) -> Result<Vec<u8>, Halt> {
    // An answer without a body has nothing to undo, whatever its header says (HEAD, 204).
    if response.body.is_empty() {
        return Ok(Vec::new());
    }
    let header: Vec<u8> = response.values("content-encoding").collect::<Vec<_>>().join(&b',');
    let codings: Vec<String> =
        String::from_utf8_lossy(&header).split(',').map(|c| c.trim().to_ascii_lowercase()).filter(|c| !c.is_empty() && c != "identity").collect();
    if codings.len() > CODING_LIMIT {
        return Err(Halt::down(Cause::DecodeLimit, format!("{} content codings are nested, at most {CODING_LIMIT} are undone", codings.len())));
    }
    let mut body = response.body.clone();
    for coding in codings.iter().rev() {
        body = match coding.as_str() {
            "gzip" | "x-gzip" => bounded(flate2::read::MultiGzDecoder::new(body.as_slice()), limits.decoded)?,
            // Many servers send it without the zlib wrapper that RFC 9110 asks for.
            "deflate" => match bounded(flate2::read::ZlibDecoder::new(body.as_slice()), limits.decoded) {
                Err(Halt::Down(Cause::DecodeError, _)) => bounded(flate2::read::DeflateDecoder::new(body.as_slice()), limits.decoded)?,
                other => other?,
            },
            "br" => bounded(brotli_decompressor::Decompressor::new(body.as_slice(), 4096), limits.decoded)?,
            other => return Err(Halt::down(Cause::DecodeError, format!("the content coding \"{}\" is not known", other.escape_debug()))),
        };
    }
    Ok(body)
}

fn bounded(mut decoder: impl Read, limit: u64) -> Result<Vec<u8>, Halt> {
    let mut out = Vec::new();
    let mut piece = [0; 8192];
    loop {
        match decoder.read(&mut piece) {
            Ok(0) => return Ok(out),
            Ok(n) => {
                // Grown by halves, so that many bombs at once hold little more than their limit each.
                if out.capacity() - out.len() < n {
                    out.reserve_exact((out.len() / 2).max(64 << 10));
                }
                out.extend_from_slice(&piece[..n]);
            }
            Err(error) => return Err(Halt::down(Cause::DecodeError, format!("the body cannot be decoded: {error}"))),
        }
        if out.len() as u64 > limit {
            return Err(Halt::down(Cause::DecodeLimit, format!("the decoded body is longer than {limit} bytes")));
        }
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
