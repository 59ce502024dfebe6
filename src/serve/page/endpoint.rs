//! The page of one endpoint: how it was over an hour to a year, its latency, outages, certificate
//! and definition.

use std::io::Write;

use askama::Template;

use super::bar::{Bar, BarSpan, bar};
use super::changes::{OutageRow, outage_rows};
use super::chart::{HOURS_KEPT, LatencyChart, chart, last_hours};
use super::endpoints::{last, why};
use super::listed_endpoint::ListedEndpoint;
use super::overview::{Choice, fitting, span_choices};
use super::shown::{Cell, cell, clock, endpoint_address, millis};
use super::{PageContext, PageFrame, written};
use crate::account::figures::of_entry;
use crate::config::Endpoint;
use crate::engine::board::View;
use crate::history::HistoryError;
use crate::history::definitions::Changed;
use crate::history::reader::HistoryReader;
use crate::judgement::timeline::{Span, Sums};
use crate::serve::listener::making::Unmade;
use crate::words::{CertificateFacts, Name, Phase, people, shortened};

/// Changes of the definition that are shown.
const CHANGES: usize = 10;

#[derive(Template)]
#[template(path = "page/endpoint.html")]
struct EndpointPage {
    frame: PageFrame,
    name: String,
    address: String,
    state: &'static str,
    since: String,
    lasting: String,
    why: String,
    last: String,
    detail: String,
    phases: Vec<(&'static str, String)>,
    facts: Vec<(&'static str, String)>,
    spans: Vec<Choice>,
    span_text: &'static str,
    bar: Bar,
    from: String,
    to: String,
    availability: Cell,
    times: Vec<(&'static str, String)>,
    chart: LatencyChart,
    chart_text: &'static str,
    outages: Vec<OutageRow>,
    has_receivers: bool,
    certificate: Vec<(&'static str, String)>,
    changes: Vec<(String, String)>,
    /// As a shell takes it.
    quoted: String,
}

/// The page as HTML.
pub fn html(
    context: &PageContext,
    name: &str,
    span: Option<BarSpan>,
) -> Result<impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + use<>, Unmade> {
    let (reader, board, now) = (context.reader, context.board, context.now);
    let entries = board.entries();
    let entry = entries
        .iter()
        .find(|e| e.endpoint.load().name.as_str() == name)
        .ok_or(Unmade::Unknown)?;
    let span = span.unwrap_or_else(|| fitting([&ListedEndpoint::of(entry, now)]));
    let endpoint = entry.endpoint.load_full();
    let view: View = entry.view().clone();
    let period = span.period(now);
    let is_short = matches!(span, BarSpan::Hour | BarSpan::Day);
    let (hours, chart_text) = if is_short {
        (24, "last 24 hours")
    } else {
        (HOURS_KEPT, "last 7 days")
    };
    let charted = last_hours(hours, now);
    let widest = Span::new(period.from.min(charted.from), period.to.max(charted.to));
    let (record, _) = of_entry(reader, entry, widest)?;
    let spans = record.timeline(period);
    let sums = spans.sums();
    let (last, detail) = last(&view);
    let receivers: Vec<Name> = board
        .plan
        .load()
        .notify
        .iter()
        .map(|n| n.name.clone())
        .collect();
    let page = EndpointPage {
        frame: PageFrame::of(context, "overview")?,
        name: name.to_owned(),
        address: endpoint_address(name),
        state: view.shown.state.as_str(),
        since: clock(view.shown.since_utc),
        lasting: people::duration((now - view.shown.since_utc).max(0) as u64),
        why: why(&view, board, &endpoint, now),
        last,
        detail,
        phases: phases(&view),
        facts: facts(&endpoint, &view),
        spans: span_choices(span),
        span_text: span.text(),
        bar: bar(&spans, period),
        from: clock(period.from)[..16].to_owned(),
        to: clock(period.to)[..16].to_owned(),
        availability: cell(&sums),
        times: times(&sums),
        chart: chart(reader, entry, &record.timeline(charted).down, charted)?,
        chart_text,
        outages: outage_rows(reader, (Some(name), &receivers), now)?,
        has_receivers: !receivers.is_empty(),
        certificate: view
            .shown
            .certificate
            .as_deref()
            .map_or(Vec::new(), certificate),
        changes: changes(reader, name)?,
        quoted: quoted(name),
    };
    Ok(written(page))
}

fn times(sums: &Sums) -> Vec<(&'static str, String)> {
    let each = [
        ("up", sums.up),
        ("down", sums.down),
        ("unknown", sums.unknown),
    ];
    each.map(|(what, ms)| (what, people::duration(ms))).into()
}

/// What is probed, and when.
fn facts(endpoint: &Endpoint, view: &View) -> Vec<(&'static str, String)> {
    vec![
        ("Component", endpoint.component.to_string()),
        ("Kind", endpoint.probe.kind().as_str().to_owned()),
        ("Target", endpoint.target()),
        (
            "Interval",
            people::duration(endpoint.rules.cadence.interval),
        ),
        ("Timeout", people::duration(endpoint.rules.cadence.timeout)),
        (
            "Detection time",
            people::duration(endpoint.rules.detection_bound()),
        ),
        ("Next probe (UTC)", clock(view.next_slot_utc)),
        ("Labels", listed(&endpoint.labels)),
    ]
}

fn listed(labels: &std::collections::BTreeMap<String, String>) -> String {
    let all: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    all.join(", ")
}

/// When the definition was changed, and how; the newest first.
fn changes(reader: &HistoryReader, name: &str) -> Result<Vec<(String, String)>, HistoryError> {
    let calendar = reader.calendar()?;
    let step = |c: Changed| {
        let (before, after) = (shortened(&c.before), shortened(&c.after));
        (clock(calendar.utc(c.at_ms)), format!("{before} → {after}"))
    };
    let of_it = reader.changes()?.into_iter().rev();
    Ok(of_it
        .filter(|c| c.endpoint == name)
        .take(CHANGES)
        .map(step)
        .collect())
}

/// How long each phase of the last probe took.
fn phases(view: &View) -> Vec<(&'static str, String)> {
    let Some(last) = &view.last else {
        return Vec::new();
    };
    let of = |phase: &Phase| {
        let us = last.phases.us(*phase)?;
        Some((phase.as_str(), millis(u64::from(us))))
    };
    Phase::ALL.iter().filter_map(of).collect()
}

fn certificate(c: &CertificateFacts) -> Vec<(&'static str, String)> {
    let mut list = vec![
        ("Subject", c.subject.clone()),
        ("Names", c.names.join(", ")),
        ("Issuer", c.issuer.clone()),
        ("Valid from", clock(c.not_before)),
        ("Valid until", clock(c.not_after)),
    ];
    if let Some(ends) = c.chain_not_after {
        list.push(("Verified path until", clock(ends)));
    }
    list.push(("Certificates sent", c.chain_length.to_string()));
    list.extend(c.sent.iter().map(|sent| {
        let ends = clock(sent.not_after);
        let text = format!("{}, issued by {}, until {ends}", sent.subject, sent.issuer);
        ("Sent with it", text)
    }));
    list.push(("Key", c.key.clone()));
    list.push(("SHA-256", c.sha256.clone()));
    list
}

/// A name as a word of a POSIX shell, which is no option.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let word = if name.chars().all(is_plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    };
    let end_of_options = if name.starts_with('-') { "-- " } else { "" };
    format!("{end_of_options}{word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_of_a_shell() {
        for (name, word) in [
            ("shop", "shop"),
            ("two words", "'two words'"),
            ("it's", "'it'\\''s'"),
            ("-x", "-- -x"),
            ("-x y", "-- '-x y'"),
        ] {
            assert_eq!(quoted(name), word);
        }
    }
}
