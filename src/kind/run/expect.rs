//! What an http endpoint is expected to answer, held against what it answered. Every expectation
//! leaves a finding.

use super::search::{End, Spent};
use super::work::Work;
use super::{charset, json, search};
use crate::config::plan::probe::{Limits, Pattern};
use crate::kind::http::spec::{HeaderTest, HttpExpect, TextRule};
use crate::net::http_response::Response;
use crate::net::probe_error::ProbeError;
use crate::net::trace::Trace;
use crate::words::{Cause, Finding, Ms};

/// A found value is shown up to this many characters.
const SHOWN: usize = 120;
/// And so many values of one header.
const VALUES_SHOWN: usize = 5;
/// A title is looked for in this much of a page.
const SAID_WITHIN: usize = 16 << 10;

/// How much of a body a finding shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quoting {
    #[default]
    Text,
    /// Its length and type: it is the text of a stranger, to whom a redirect led.
    Length,
}

/// Collects findings; the first that is not met decides the cause.
#[derive(Default)]
pub struct CheckedExpectations {
    pub findings: Vec<Finding>,
    pub first_unmet: Option<ProbeError>,
    pub quoting: Quoting,
}

impl CheckedExpectations {
    pub fn add(&mut self, cause: Cause, expectation: String, found: String, met: bool) {
        if !met && self.first_unmet.is_none() {
            self.first_unmet = Some(ProbeError::down(
                cause,
                format!("expected {expectation}, found {found}"),
            ));
        }
        self.findings.push(Finding {
            expectation,
            found,
            met,
        });
    }

    /// Nothing is decided, and what follows would not be either.
    pub fn spent(&mut self, expectation: String, work: &Work) {
        self.add(Cause::JudgeLimit, expectation, too_expensive(work), false);
    }
}

/// What is found of what costs too much to look at.
pub fn too_expensive(work: &Work) -> String {
    format!(
        "that it takes more than {} ms of processor time to check",
        work.limit_ms()
    )
}

pub fn needs_body(expect: &HttpExpect) -> bool {
    !expect.body.is_empty() || expect.json.is_some()
}

/// Status, version, headers: all that does not need the body.
pub fn head(
    expect: &HttpExpect,
    (response, final_url): (&Response, &str),
    work: &Work,
    verdicts: &mut CheckedExpectations,
) {
    let status = response.status;
    let is_expected = expect.status.contains(status);
    let said = if is_expected {
        None
    } else {
        said(response, verdicts.quoting)
    };
    let found = said.map_or_else(|| status.to_string(), |text| format!("{status}: {text}"));
    verdicts.add(
        Cause::Status,
        format!("status in {}", expect.status.shown()),
        found,
        is_expected,
    );
    if let Some(version) = &expect.version {
        verdicts.add(
            Cause::VersionMismatch,
            format!("HTTP/{version}"),
            format!("HTTP/{}", response.version),
            response.version == version,
        );
    }
    if let Some(pattern) = &expect.final_url {
        let expectation = format!("final URL matches /{}/", pattern.text);
        match search::is_in(pattern, final_url.as_bytes(), End::Whole, work) {
            Ok(met) => verdicts.add(Cause::UrlMismatch, expectation, final_url.to_owned(), met),
            Err(Spent) => return verdicts.spent(expectation, work),
        }
    }
    for rule in &expect.headers {
        let values: Vec<&[u8]> = response.values(&rule.name).collect();
        let any = |p: &Pattern| {
            let found = values
                .iter()
                .map(|value| search::is_in(p, value, End::Whole, work))
                .find(|found| *found != Ok(false));
            found.unwrap_or(Ok(false))
        };
        let (expectation, met) = match &rule.rule {
            HeaderTest::Present => ("is there".to_owned(), Ok(!values.is_empty())),
            HeaderTest::Absent => ("is absent".to_owned(), Ok(values.is_empty())),
            HeaderTest::Equals(text) => (
                format!("is \"{}\"", text.escape_debug()),
                Ok(values.contains(&text.as_bytes())),
            ),
            HeaderTest::Matches(p) => (format!("matches /{}/", p.text), any(p)),
            HeaderTest::NotMatches(p) => (
                format!("does not match /{}/", p.text),
                any(p).map(|found| !found),
            ),
        };
        let expectation = format!("header {} {expectation}", rule.name);
        let Ok(met) = met else {
            return verdicts.spent(expectation, work);
        };
        let found = if values.is_empty() {
            "nothing".to_owned()
        } else {
            listed(&values)
        };
        verdicts.add(Cause::HeaderMismatch, expectation, found, met);
    }
}

fn listed(values: &[&[u8]]) -> String {
    let mut list = values
        .iter()
        .take(VALUES_SHOWN)
        .map(|v| shown(v))
        .collect::<Vec<_>>()
        .join(", ");
    if values.len() > VALUES_SHOWN {
        list.push_str(", …");
    }
    list
}

/// What an unexpected answer says of itself: the title of a page, or the start of its text.
fn said(response: &Response, quoting: Quoting) -> Option<String> {
    if response.status < 400 || response.values("content-encoding").next().is_some() {
        return None;
    }
    if quoting == Quoting::Length {
        return (!response.body.is_empty()).then(|| measured(response, response.body.len()));
    }
    let start = &response.body[..response.body.len().min(SAID_WITHIN)];
    let lower = start.to_ascii_lowercase();
    let after = |tag: &[u8], from: usize| {
        lower[from..]
            .windows(tag.len())
            .position(|w| w == tag)
            .map(|at| from + at)
    };
    let title = after(b"<title>", 0)
        .map(|at| at + 7)
        .and_then(|start| after(b"</title>", start).map(|end| &response.body[start..end]));
    let text = title.unwrap_or(start).trim_ascii();
    (!text.is_empty()).then(|| shown(text))
}

/// Types of bodies that are named where the body itself is not shown.
const KNOWN_TYPES: [&str; 28] = [
    "application/atom+xml",
    "application/gzip",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/octet-stream",
    "application/pdf",
    "application/problem+json",
    "application/problem+xml",
    "application/rss+xml",
    "application/soap+xml",
    "application/x-www-form-urlencoded",
    "application/xhtml+xml",
    "application/xml",
    "application/yaml",
    "application/zip",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/svg+xml",
    "image/webp",
    "multipart/form-data",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/plain",
    "text/xml",
];

/// What may be said of a stranger's body. Its type is a word of the stranger as well: only one of
/// the list is shown, and as the list has it.
fn measured(response: &Response, length: usize) -> String {
    let header = response
        .values("content-type")
        .next()
        .and_then(|value| std::str::from_utf8(value).ok())
        .unwrap_or_default();
    let essence = header.split(';').next().unwrap_or_default().trim();
    let of = KNOWN_TYPES
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(essence))
        .unwrap_or("an unknown type");
    format!("{length} bytes of {of} from another origin, not shown")
}

/// A body without its codings, and where it ends.
#[derive(Debug)]
pub struct DecodedBody {
    pub bytes: Vec<u8>,
    /// It goes on beyond `limits.body`.
    pub is_cut: bool,
}

/// Text, regular expressions and JSON over the decoded body: as it is, and as its charset says. May
/// take long on a large one.
pub fn body(
    expect: &HttpExpect,
    response: &Response,
    seen: &DecodedBody,
    (limits, work): (&Limits, &Work),
    verdicts: &mut CheckedExpectations,
) {
    // What undoing the charset costs counts, too.
    work.goes_on_now();
    let text = charset::in_utf_8(response, &seen.bytes);
    let in_charset = text.as_ref().map(|(_, text)| text.as_bytes());
    for rule in &expect.body {
        let (expectation, found) = held(rule, seen, in_charset, work);
        let Ok((met, is_certain)) = found else {
            return verdicts.spent(expectation, work);
        };
        if is_certain {
            let body = in_charset.unwrap_or(&seen.bytes);
            let charset = text
                .as_ref()
                .map(|(name, _)| format!(" of {name}"))
                .unwrap_or_default();
            let found = match verdicts.quoting {
                Quoting::Text => format!("{} bytes{charset}: {}", seen.bytes.len(), shown(body)),
                Quoting::Length => measured(response, seen.bytes.len()),
            };
            verdicts.add(Cause::BodyMismatch, expectation, found, met);
        } else {
            verdicts.add(Cause::BodyLimit, expectation, beyond(limits), false);
        }
    }
    if let Some(cel) = &expect.json {
        let expectation = format!("JSON satisfies {}", cel.text);
        if seen.is_cut {
            verdicts.add(Cause::BodyLimit, expectation, beyond(limits), false);
            return;
        }
        // JSON is UTF-8 whatever its Content-Type says (RFC 8259 section 8.1), unless it is not.
        let is_utf_8 =
            std::str::from_utf8(&seen.bytes).is_ok() && !seen.bytes.starts_with(b"\xEF\xBB\xBF");
        let text = in_charset.filter(|_| !is_utf_8).unwrap_or(&seen.bytes);
        let Ok((found, met)) = json::judged(cel, text, work) else {
            return verdicts.spent(expectation, work);
        };
        let found = if verdicts.quoting == Quoting::Length && !met {
            measured(response, seen.bytes.len())
        } else {
            found
        };
        verdicts.add(Cause::JsonMismatch, expectation, found, met);
    }
}

fn beyond(limits: &Limits) -> String {
    format!(
        "that it is not decided by the first {} bytes, where reading stopped: raise \
            probe.http.limits.body",
        limits.body
    )
}

/// The expectation, whether it is met, and whether what lies beyond a cut could not change that.
fn held(
    rule: &TextRule,
    seen: &DecodedBody,
    in_charset: Option<&[u8]>,
    work: &Work,
) -> (String, Result<(bool, bool), Spent>) {
    let in_any = |test: &dyn Fn(&[u8]) -> Result<bool, Spent>| {
        let mut texts = std::iter::once(&*seen.bytes).chain(in_charset);
        let found = texts.find_map(|text| Some(test(text)).filter(|found| *found != Ok(false)));
        found.unwrap_or(Ok(false))
    };
    let contains = |text: &str| {
        in_any(&|body| {
            let is_left = work.goes_on_now();
            is_left.then(|| find(body, text.as_bytes())).ok_or(Spent)
        })
    };
    let end = if seen.is_cut { End::Cut } else { End::Whole };
    let matches = |p: &Pattern| in_any(&|body| search::is_in(p, body, end, work));
    let (expectation, is_found, is_wanted) = match rule {
        TextRule::Contains(text) => (
            format!("body contains \"{}\"", text.escape_debug()),
            contains(text),
            true,
        ),
        TextRule::NotContains(text) => (
            format!("body does not contain \"{}\"", text.escape_debug()),
            contains(text),
            false,
        ),
        TextRule::Matches(p) => (format!("body matches /{}/", p.text), matches(p), true),
        TextRule::NotMatches(p) => (
            format!("body does not match /{}/", p.text),
            matches(p),
            false,
        ),
    };
    let found = is_found.map(|found| (found == is_wanted, found || !seen.is_cut));
    (expectation, found)
}

fn find(body: &[u8], text: &[u8]) -> bool {
    memchr::memmem::find(body, text).is_some()
}

/// Bytes as text for a person: escaped, and cut.
pub fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN * 4)]);
    let mut out: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().count() > SHOWN || bytes.len() > SHOWN * 4 {
        out.push('…');
    }
    format!("\"{out}\"")
}

/// Down with `too_slow` when an otherwise good probe took longer than it may.
pub fn within(trace: &Trace, limit: Option<Ms>) -> Result<(), ProbeError> {
    let Some(limit) = limit else { return Ok(()) };
    trace.enter(trace.stage());
    let took_us = trace.duration_us();
    let met = took_us <= limit * 1000;
    let found = format!("{}.{:03} ms", took_us / 1000, took_us % 1000);
    trace.facts.borrow_mut().findings.push(Finding {
        expectation: format!("within {limit} ms"),
        found: found.clone(),
        met,
    });
    if met {
        Ok(())
    } else {
        Err(ProbeError::down(
            Cause::TooSlow,
            format!("it took {found}, the limit is {limit} ms"),
        ))
    }
}
