//! The answer held against what is expected: small ones at once, large and coded ones off the
//! probing thread and within the memory that all probes share.

use std::borrow::Cow;
use std::sync::Arc;

use super::spec::{Compression, Http};
use crate::config::plan::probe::Strictness;
use crate::kind::run::coding;
use crate::kind::run::cost::{self, apart};
use crate::kind::run::expect::{self, CheckedExpectations, DecodedBody, Quoting};
use crate::kind::run::work::{Awaited, Work};
use crate::net::body_memory::{self, Share};
use crate::net::http_response::Response;
use crate::net::origin::HopOrigin;
use crate::net::probe_error::ProbeError;
use crate::net::shared::{AfterFailure, Net};
use crate::net::trace::{Stage, Trace};
use crate::words::{Cause, Finding};

/// Larger bodies are held against their expectations off the probing thread.
const INLINE_BODY: u64 = 64 << 10;
/// The same for JSON, which costs more for each byte.
const INLINE_JSON: u64 = 4 << 10;

/// Holds the response against what is expected of it.
pub async fn judge(
    net: &Net,
    trace: &Trace,
    spec: &Arc<Http>,
    response: Response,
    origin: HopOrigin,
    final_url: &str,
) -> Result<(), ProbeError> {
    let quoting = if origin == HopOrigin::Foreign {
        Quoting::Length
    } else {
        Quoting::Text
    };
    let mut verdicts = CheckedExpectations {
        quoting,
        ..CheckedExpectations::default()
    };
    trace.is_answered.set(true);
    // Until this ends, by an answer or by the probe that is given up.
    let awaited = Awaited::default();
    let work = awaited.work(&spec.limits);
    let (response, work) = judge_head(
        (net, trace),
        spec,
        (response, final_url),
        work,
        &mut verdicts,
    )
    .await?;
    if response.is_cut {
        let limit = spec.limits.body;
        verdicts.findings.push(Finding::odd(format!(
            "the body is longer than {limit} bytes, the \
            limit of probe.http.limits.body: reading stopped there"
        )));
    }
    if spec.reading == Strictness::Strict && verdicts.first_unmet.is_none() {
        verdicts.first_unmet = beyond_limit(spec, &response).or_else(|| coding::unknown(&response));
    }
    let mut undecodable = None;
    let goes_on = verdicts.first_unmet.is_none() || net.after_failure == AfterFailure::GoOn;
    if goes_on && (expect::needs_body(&spec.expect) || spec.compression == Compression::Ask) {
        // The first that failed is the cause, however judging goes on: a daemon stops there.
        let failed = verdicts.first_unmet.take();
        match judge_body((net, trace), spec, response, work, verdicts).await {
            Ok(judged) => (verdicts, undecodable) = judged,
            Err(error) => return Err(failed.unwrap_or(error)),
        }
        verdicts.first_unmet = failed.or(verdicts.first_unmet);
    }
    for odd in verdicts
        .findings
        .iter_mut()
        .filter(|finding| finding.is_odd())
    {
        odd.found = origin.note_without_words(std::mem::take(&mut odd.found));
    }
    trace
        .facts
        .borrow_mut()
        .findings
        .append(&mut verdicts.findings);
    // The first that failed is the cause: a body is looked at after the head.
    match verdicts.first_unmet.or(undecodable) {
        Some(err) => Err(err),
        None => Ok(()),
    }
}

/// Holds the body against what is expected of it. Beside the verdicts: why its codings could not be
/// undone.
async fn judge_body(
    (net, trace): (&Net, &Trace),
    spec: &Arc<Http>,
    response: Response,
    work: Work,
    mut verdicts: CheckedExpectations,
) -> Result<(CheckedExpectations, Option<ProbeError>), ProbeError> {
    let inline = if spec.expect.json.is_some() {
        INLINE_JSON
    } else {
        INLINE_BODY
    };
    // A compressed body may be far larger than what was transferred.
    let is_small =
        response.body_bytes <= inline && cost::is_small(cost::body(&spec.expect, &response));
    if is_small && !coding::is_coded(&response) {
        let undecodable = see(spec, response, &work, &mut verdicts)
            .map(|seen| decide(spec, &seen, &work, &mut verdicts))
            .err();
        return Ok((verdicts, undecodable));
    }
    trace.enter(Stage::Judging);
    let judged = judge_large((net, trace), spec, response, work, verdicts).await;
    trace.enter(Stage::Idle);
    judged
}

/// What a strict config holds against a body that goes on where reading stopped.
pub fn beyond_limit(spec: &Http, response: &Response) -> Option<ProbeError> {
    let is_down = spec.reading == Strictness::Strict && response.is_cut;
    is_down.then(|| {
        ProbeError::down(
            Cause::BodyLimit,
            format!(
                "the body is longer than {} bytes, the limit of probe.http.limits.body",
                spec.limits.body
            ),
        )
    })
}

async fn judge_head(
    (net, trace): (&Net, &Trace),
    spec: &Arc<Http>,
    (response, final_url): (Response, &str),
    work: Work,
    verdicts: &mut CheckedExpectations,
) -> Result<(Response, Work), ProbeError> {
    if cost::is_small(cost::head(&spec.expect, &response, final_url)) {
        expect::head(&spec.expect, (&response, final_url), &work, verdicts);
        work.rests();
        return Ok((response, work));
    }
    trace.enter(Stage::Judging);
    let thread = net.judging_threads.one_for(trace.whose.get()).await;
    let (spec, url, quoting) = (spec.clone(), final_url.to_owned(), verdicts.quoting);
    let judged = apart(&thread, trace, move || {
        let mut verdicts = CheckedExpectations {
            quoting,
            ..CheckedExpectations::default()
        };
        expect::head(&spec.expect, (&response, &url), &work, &mut verdicts);
        work.rests();
        (response, work, verdicts)
    })
    .await;
    trace.enter(Stage::Idle);
    let (response, work, judged) = judged?;
    *verdicts = judged;
    Ok((response, work))
}

/// Undoes the codings. The body as it came is not kept.
fn see(
    spec: &Http,
    mut response: Response,
    work: &Work,
    verdicts: &mut CheckedExpectations,
) -> Result<(Response, Option<DecodedBody>), ProbeError> {
    let odd;
    let mut seen = None;
    if expect::needs_body(&spec.expect) {
        let plain = coding::decoded(&response, &spec.limits, spec.reading, work)?;
        odd = plain.odd;
        let undone = match plain.bytes {
            Cow::Owned(bytes) => Some(bytes),
            Cow::Borrowed(_) => None,
        };
        let body = std::mem::take(&mut response.body);
        seen = Some(DecodedBody {
            bytes: undone.unwrap_or(body),
            is_cut: response.is_cut,
        });
    } else {
        odd = coding::decodable(&response, &spec.limits, spec.reading, work)?;
    }
    verdicts.findings.extend(odd.map(Finding::odd));
    Ok((response, seen))
}

fn decide(
    spec: &Http,
    (response, seen): &(Response, Option<DecodedBody>),
    work: &Work,
    verdicts: &mut CheckedExpectations,
) {
    if let Some(seen) = seen {
        expect::body(&spec.expect, response, seen, (&spec.limits, work), verdicts);
    }
}

/// What waits here, waits in the prober's own time: first for a thread, then for memory, so that
/// what waits for others of its host holds nothing that is decoded.
async fn judge_large(
    (net, trace): (&Net, &Trace),
    spec: &Arc<Http>,
    response: Response,
    work: Work,
    mut verdicts: CheckedExpectations,
) -> Result<(CheckedExpectations, Option<ProbeError>), ProbeError> {
    let thread = net.judging_threads.one_for(trace.whose.get()).await;
    let is_coded = coding::is_coded(&response);
    let mut share: Share = if is_coded {
        net.memory.decoded(spec.limits.decoded).await
    } else {
        None
    };
    let (spec, copies) = (
        spec.clone(),
        spec.expect.json.as_ref().map(|json| json.copies),
    );
    let seeing = move || {
        let seen = see(&spec, response, &work, &mut verdicts);
        body_memory::shrink(
            &mut share,
            seen.as_ref()
                .ok()
                .and_then(|(_, seen)| seen.as_ref())
                .map_or(0, |seen| seen.bytes.len()),
        );
        work.rests();
        (spec, seen, work, verdicts, share)
    };
    // Without codings nothing is done yet: a thread for each that waits would cost more than it
    // spares.
    let (spec, seen, work, mut verdicts, share) = if is_coded {
        apart(&thread, trace, seeing).await?
    } else {
        seeing()
    };
    let seen = match seen {
        Ok(seen) => seen,
        Err(err) => return Ok((verdicts, Some(err))),
    };
    let values = match (seen.1.as_ref(), copies) {
        (Some(seen), Some(copies)) => {
            net.memory
                .values(copies * body_memory::of_json(&seen.bytes))
                .await
        }
        (None, _) | (_, None) => None,
    };
    apart(&thread, trace, move || {
        decide(&spec, &seen, &work, &mut verdicts);
        drop((seen, share, values));
        (verdicts, None)
    })
    .await
}
