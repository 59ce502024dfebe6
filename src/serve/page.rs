//! The operator's page: server-rendered, no script, the same figures as API and metrics.

use std::io::Write;

use askama::Template;
use serde_json::Value;

use super::contracts::{Standing as ContractStanding, Standings};
use super::listener::making::Unmade;
use crate::account::figures::parts_of;
use crate::account::figures::{
    QUANTILES, day_of, extent, hourly_medians, last_30_days, not_seen_below, not_seen_text,
    of_entry, sentence, today,
};
use crate::account::shown::ShownSums;
use crate::report::changed::changed_last as changed;
use crate::report::object::{ChangeOf, ReportedChange};
use crate::report::outages::{Marks, excluded_text, outage};
use crate::report::prober;
use crate::report::words::change_in_words;
use num_traits::ToPrimitive;

use crate::config::Endpoint;
use crate::engine::board::{Board, Entry, View};
use crate::engine::witness::Standing;
use crate::history::HistoryError;
use crate::history::definitions::Changed;
use crate::history::reader::HistoryReader;
use crate::judgement::latency::{Ending, Series, quantile};
use crate::judgement::maintenance::spans_for;
use crate::judgement::sla::calendar::{PeriodKind, current_and_previous};
use crate::judgement::sla::contract::Contract;
use crate::judgement::sla::exact::{Exact, plain, share, truncated, whole};
use crate::judgement::sla::judged::{ContractVerdict, Judged};
use crate::judgement::timeline::{Span, Sums, percent};
use crate::words::{Ms, StateName, UtcMs, format_utc, parse_utc, people, shortened};

/// Endpoints on one page.
const ROWS: usize = 100;
/// Outages below them.
const OUTAGES: usize = 10;
/// A certificate that ends within this stands out.
const SOON_MS: i64 = 14 * 86_400_000;

#[derive(Template)]
#[template(path = "page.html")]
struct Page {
    vantage: String,
    version: &'static str,
    headline: String,
    worst: &'static str,
    now: String,
    recorded: bool,
    rows: Vec<Row>,
    more: usize,
    next_page: usize,
    blind: String,
    witnesses: String,
    witnesses_silent: bool,
    contracts: Vec<ContractRow>,
    components: Vec<ComponentRow>,
    outages: Vec<OutageRow>,
    changes: Vec<ChangeRow>,
    /// What of them is only in report and API; empty where all are here.
    more_changes: String,
}

/// One of the last changes of the month.
struct ChangeRow {
    /// The endpoint, else the component.
    who: String,
    at: String,
    what: String,
    step: String,
    /// Of the component, before and after.
    figures: String,
}

/// One component in the present month.
struct ComponentRow {
    title: String,
    id: String,
    month: String,
    availability: Cell,
    outages: String,
    spells: String,
}

/// One of the last outages.
struct OutageRow {
    endpoint: String,
    cause: String,
    from: String,
    from_between: String,
    to: String,
    to_between: String,
    is_open: bool,
    /// The correction that takes it out of the figures; empty without one.
    excluded: String,
}

/// One contract in its present period.
struct ContractRow {
    name: String,
    who: String,
    period: String,
    verdict: &'static str,
    class: &'static str,
    availability: String,
    bounds: String,
    /// That of the whole period, and what is left of it.
    budget: String,
    budget_left: String,
    /// Said before any figure where it is so.
    little: &'static str,
    /// That the terms came late, or were changed, and the verdict by the later ones.
    terms: String,
    /// How many outages, the longest, and the means of and between them.
    outages: String,
    spells: String,
    /// Share of probes within the bound of the contract; empty without one.
    latency: String,
}

struct Row {
    name: String,
    component: String,
    kind: &'static str,
    target: String,
    state: &'static str,
    /// Why it is unknown, and whether maintenance is declared.
    why: String,
    since: String,
    today: Cell,
    month: Cell,
    /// Points of the polyline; empty when there is nothing to draw.
    spark: String,
    latency: String,
    latency_day: String,
    last: String,
    detail: String,
    next: String,
    /// A lasting fault is confirmed within this.
    detected: String,
    /// How often it is probed.
    interval: String,
    /// When the certificate ends; empty without one.
    certificate: String,
    expires_soon: bool,
}

struct Cell {
    point: String,
    bounds: String,
}

/// The page as HTML. `page` counts from 0; endpoints that are down come first, then unknown ones.
pub fn html(
    reader: &HistoryReader,
    board: &Board,
    standings: &Standings,
    now: UtcMs,
    page: usize,
) -> Result<impl FnOnce(&mut dyn Write) -> Result<(), Unmade> + use<>, HistoryError> {
    let entries = board.entries();
    let mut ordered: Vec<(u8, usize)> = entries
        .iter()
        .enumerate()
        .map(|(k, e)| {
            let rank = match e.view().shown.state {
                StateName::Down => 0,
                StateName::Unknown => 1,
                StateName::Up => 2,
            };
            (rank, k)
        })
        .collect();
    ordered.sort_unstable();
    let count = |rank: u8| ordered.iter().filter(|(r, _)| *r == rank).count();
    let (down, unknown) = (count(0), count(1));
    let (worst, headline) = match (down, unknown, entries.len()) {
        (_, _, 0) => ("unknown", "No endpoint is configured".to_owned()),
        (0, 0, n) => ("up", format!("All {n} endpoints up")),
        (0, u, n) => ("unknown", format!("{u} of {n} endpoints unknown")),
        (d, 0, n) => ("down", format!("{d} of {n} endpoints down")),
        (d, u, n) => ("down", format!("{d} of {n} endpoints down, {u} unknown")),
    };
    let shown: Vec<&Entry> = ordered
        .iter()
        .skip(page * ROWS)
        .take(ROWS)
        .map(|(_, k)| &*entries[*k])
        .collect();
    let rows = shown
        .iter()
        .map(|e| row(reader, board, e, now))
        .collect::<Result<Vec<_>, _>>()?;
    // Outages, contracts and components of all endpoints are on it.
    let all: Vec<_> = entries
        .iter()
        .map(|e| {
            (
                e.endpoint.load().name.to_string(),
                extent(&e.view().shown.settled, &e.endpoint.load().rules),
            )
        })
        .collect();
    let blind = sentence(&not_seen_text(Some(not_seen_below(
        reader,
        &all,
        last_30_days(now),
    )?)));
    let plan = board.plan.load();
    let (changes, more_changes) = change_rows(reader, board, standings, now)?;
    let page = Page {
        vantage: plan.daemon.vantage.clone(),
        version: env!("CARGO_PKG_VERSION"),
        headline,
        worst,
        now: clock(now),
        recorded: board
            .health
            .history_writable
            .load(std::sync::atomic::Ordering::Relaxed),
        rows,
        more: entries.len().saturating_sub((page + 1) * ROWS),
        next_page: page + 1,
        blind,
        contracts: contract_rows(standings),
        components: component_rows(standings),
        outages: outage_rows(reader)?,
        changes,
        more_changes,
        witnesses: witness_line(board),
        witnesses_silent: board.witnesses.load().quorum_met == Some(false),
    };
    Ok(move |out: &mut dyn Write| Ok(page.write_into(out).map_err(std::io::Error::other)?))
}

fn component_rows(standings: &Standings) -> Vec<ComponentRow> {
    let each = Contract::of_each(Vec::new(), jiff::tz::TimeZone::UTC);
    let current = standings.components.iter().filter(|f| f.which == "current");
    current
        .map(|f| ComponentRow {
            title: f.title.clone(),
            id: f
                .judged
                .component
                .as_ref()
                .map_or(String::new(), ToString::to_string),
            month: f.month.clone(),
            availability: Cell {
                point: shown_percent(&f.judged.availability, measured(&f.judged)),
                bounds: each
                    .as_ref()
                    .map_or(String::new(), |each| bounds(each, &f.judged)),
            },
            outages: f.judged.spells.count.to_string(),
            spells: spells(&f.judged),
        })
        .collect()
}

fn outage_rows(reader: &HistoryReader) -> Result<Vec<OutageRow>, HistoryError> {
    let calendar = reader.calendar()?;
    let time = |at: Ms| format_utc(calendar.utc(at))[11..23].to_owned();
    let between = |a: Option<Ms>, b: Option<Ms>| {
        a.zip(b)
            .map_or(String::new(), |(a, b)| format!("{} … {}", time(a), time(b)))
    };
    let mut marks = Marks::default();
    let mut rows = Vec::new();
    for o in reader.outages(None, i64::MIN / 4, OUTAGES)? {
        let told = outage(reader, &o, &mut marks)?;
        rows.push(OutageRow {
            from: clock(calendar.utc(o.from)),
            from_between: between(Some(o.from_earliest), Some(o.from_latest)),
            to: o
                .to
                .map_or("still down".to_owned(), |to| clock(calendar.utc(to))),
            to_between: between(o.to_earliest, o.to_latest),
            is_open: o.to.is_none(),
            excluded: excluded_text(told.excluded, &told.excluded_by).unwrap_or_default(),
            endpoint: o.endpoint,
            cause: o.cause,
        });
    }
    Ok(rows)
}

/// The last changes of the present month, with the figure of the component before and after each.
///
/// Terms of contracts come first: they judge more than a component. Beside them, how many more
/// there are.
fn change_rows(
    reader: &HistoryReader,
    board: &Board,
    standings: &Standings,
    now: UtcMs,
) -> Result<(Vec<ChangeRow>, String), HistoryError> {
    let calendar = reader.calendar()?;
    let mut rows: Vec<ChangeRow> = standings
        .list
        .iter()
        .filter(|s| s.which == "current")
        .flat_map(terms_rows)
        .collect();
    let month = current_and_previous(PeriodKind::CalendarMonth, &jiff::tz::TimeZone::UTC, now)[0].1;
    rows.extend(
        calendar
            .sets()
            .filter(|set| {
                [set.0, set.1]
                    .iter()
                    .any(|at| (month.from..month.to).contains(at))
            })
            .map(clock_row),
    );
    let of_prober = prober::rows(reader.told()?, month);
    rows.extend(of_prober.iter().rev().map(change_row));
    if board.entries().len() > ROWS * 10 {
        // Of a fleet only what has another definition, which costs no look at every endpoint.
        let last = reader.changes()?.into_iter().rev().take(OUTAGES);
        let row = |c: Changed| ChangeRow {
            who: c.endpoint,
            at: clock(calendar.utc(c.at_ms)),
            what: "definition".to_owned(),
            step: format!("{} → {}", shortened(&c.before), shortened(&c.after)),
            figures: String::new(),
        };
        rows.extend(last.map(row));
        return Ok((rows, String::new()));
    }
    let (all, count) = changed(
        reader,
        &parts_of(reader, board)?,
        Span::new(month.from, month.to.min(now)),
        now,
        OUTAGES,
    )?;
    rows.extend(all.iter().rev().map(change_row));
    let more = match count.saturating_sub(all.len()) {
        0 => String::new(),
        1 => "1 earlier change of this month is in the report and in /api/v1/sla.".to_owned(),
        n => format!("{n} earlier changes of this month are in the report and in /api/v1/sla."),
    };
    Ok((rows, more))
}

fn change_row(c: &ReportedChange) -> ChangeRow {
    let text = |v: &Value| {
        v.as_str().map_or_else(
            || {
                if v.is_null() {
                    "–".to_owned()
                } else {
                    v.to_string()
                }
            },
            |text| shortened(text).to_owned(),
        )
    };
    let figure = |sums: &Option<ShownSums>| {
        let share = sums.as_ref().and_then(|s| s.availability_percent.as_ref());
        share.map_or("–".to_owned(), |p| format!("{p} %"))
    };
    ChangeRow {
        who: c
            .endpoint
            .clone()
            .or_else(|| c.component.clone())
            .unwrap_or_else(|| "this prober".to_owned()),
        at: parse_utc(&c.at).map_or(String::new(), clock),
        what: change_in_words(c.what.as_str()),
        step: if c.before.is_null() && c.after.is_null() {
            String::new()
        } else {
            format!("{} → {}", text(&c.before), text(&c.after))
        },
        figures: if c.component.is_none() {
            String::new()
        } else {
            format!("{} → {}", figure(&c.figure_before), figure(&c.figure_after))
        },
    }
}

/// That the host's clock was set.
fn clock_row((before, after): (UtcMs, UtcMs)) -> ChangeRow {
    ChangeRow {
        who: "this host".to_owned(),
        at: clock(before),
        what: "clock set".to_owned(),
        step: format!("{} → {}", clock(before), clock(after)),
        figures: String::new(),
    }
}

/// What a report says of the terms of a contract, with verdict and availability by the terms before
/// and after a change.
fn terms_rows(s: &ContractStanding) -> Vec<ChangeRow> {
    let row = |c: &ReportedChange, who: String, step: String, figures: String| ChangeRow {
        who,
        at: parse_utc(&c.at).map_or(String::new(), clock),
        what: if c.what == ChangeOf::Terms {
            "terms recorded after the period started".to_owned()
        } else {
            "terms changed".to_owned()
        },
        step,
        figures,
    };
    let name = &s.contract.name;
    let mut rows: Vec<ChangeRow> = s
        .of_terms
        .iter()
        .rev()
        .map(|c| row(c, name.to_string(), String::new(), String::new()))
        .collect();
    let (Some(last), Some(later)) = (
        s.of_terms
            .iter()
            .rfind(|c| c.what == ChangeOf::TermsChanged),
        &s.later,
    ) else {
        return rows;
    };
    let all = |list: &Result<Vec<Judged>, String>| -> Vec<Judged> {
        list.iter()
            .flatten()
            .filter(|j| j.tenant.is_none())
            .cloned()
            .collect()
    };
    let (own, by_later) = (all(&s.judged), all(&later.judged));
    let is_same = |a: &Judged, b: &Judged| a.component == b.component;
    let mut pairs: Vec<(Option<&Judged>, Option<&Judged>)> = own
        .iter()
        .map(|j| (Some(j), by_later.iter().find(|l| is_same(j, l))))
        .collect();
    pairs.extend(
        by_later
            .iter()
            .filter(|l| !own.iter().any(|j| is_same(j, l)))
            .map(|l| (None, Some(l))),
    );
    if !pairs.is_empty() {
        rows.remove(0);
    }
    let verdict = |j: Option<&Judged>| j.map_or("–", |j| j.verdict.as_str());
    let share = |j: Option<&Judged>| match j.filter(|j| j.availability.is_some()) {
        Some(j) => shown_percent(&j.availability, measured(j)),
        None => "–".to_owned(),
    };
    let one = |(j, l): &(Option<&Judged>, Option<&Judged>)| {
        let component = j.or(*l).and_then(|one| one.component.as_ref());
        let who = component.map_or(name.to_string(), |c| format!("{name}: {c}"));
        row(
            last,
            who,
            format!("{} → {}", verdict(*j), verdict(*l)),
            format!("{} → {}", share(*j), share(*l)),
        )
    };
    rows.splice(0..0, pairs.iter().map(one));
    rows
}

/// What stands beside the verdict of a contract.
fn terms_note(s: &ContractStanding, j: &Judged) -> String {
    let at = |what: ChangeOf| {
        let last = s.of_terms.iter().rfind(|c| c.what == what);
        last.and_then(|c| parse_utc(&c.at)).map(clock)
    };
    let mut notes: Vec<String> = at(ChangeOf::Terms)
        .map(|at| format!("by terms recorded {at}, after the period started"))
        .into_iter()
        .collect();
    if let Some(later) = &s.later {
        let same = later
            .judged
            .iter()
            .flatten()
            .find(|l| (&l.component, &l.tenant) == (&j.component, &j.tenant));
        let when =
            at(ChangeOf::TermsChanged).map_or("not recorded".to_owned(), |at| format!("of {at}"));
        let verdict = same.map_or("no verdict on it", |l| l.verdict.as_str());
        notes.push(format!(
            "by the terms before a change; by the later terms ({when}): {verdict}"
        ));
    }
    notes.join("; ")
}

/// The bounds of a period; while it is not over, those of the time so far.
fn bounds(contract: &Contract, j: &Judged) -> String {
    match j.so_far(contract) {
        Some([lower, upper]) => format!(
            "so far {} … {} %",
            shown(&Some(lower), measured(j)),
            shown(&Some(upper), measured(j))
        ),
        None => format!(
            "{} … {} %",
            shown(&j.lower, measured(j)),
            shown(&j.upper, measured(j))
        ),
    }
}

/// A share with as many decimals as the measured time supports.
fn shown(share: &Option<Exact>, measured: Ms) -> String {
    share.as_ref().map_or("–".to_owned(), |s| {
        truncated(&(s * whole(100)), people::decimals(measured))
    })
}

fn shown_percent(share: &Option<Exact>, measured: Ms) -> String {
    let text = shown(share, measured);
    if share.is_some() {
        format!("{text} %")
    } else {
        text
    }
}

/// What of the service time was measured.
fn measured(j: &Judged) -> Ms {
    j.times.up + j.times.down
}

fn contract_rows(standings: &Standings) -> Vec<ContractRow> {
    let current = standings.list.iter().filter(|s| s.which == "current");
    current
        .flat_map(|s| {
            s.judged
                .iter()
                .flatten()
                .filter(|j| j.tenant.is_none() && j.was_in_service())
                .map(move |j| (s, j))
        })
        .map(|(s, j)| ContractRow {
            terms: terms_note(s, j),
            name: s.contract.name.to_string(),
            who: j
                .component
                .as_ref()
                .map_or("all together".to_owned(), ToString::to_string),
            period: s.name.clone(),
            verdict: j.verdict.as_str(),
            class: match j.verdict {
                ContractVerdict::Met => "up",
                ContractVerdict::Missed => "down",
                ContractVerdict::Undetermined => "unknown",
            },
            availability: shown_percent(&j.availability, measured(j)),
            bounds: bounds(&s.contract, j),
            budget: length(&j.budget),
            budget_left: match &j.budget - &j.spent {
                left if left < whole(0) => format!("exceeded by {}", length(&-left)),
                left => format!("{} left", length(&left)),
            },
            little: if j.is_little_measured() {
                "less than half of the service time was measured"
            } else {
                ""
            },
            outages: j.spells.count.to_string(),
            spells: spells(j),
            latency: latency(s, j),
        })
        .collect()
}

fn spells(j: &Judged) -> String {
    match (j.spells.mean_to_recover, j.spells.mean_between_failures) {
        (Some(recover), Some(between)) => {
            let [longest, recover, between] =
                [j.spells.longest, recover, between].map(people::duration);
            format!("longest {longest}, mean time to recover {recover}, between failures {between}")
        }
        _ => String::new(),
    }
}

/// The share of probes that a contract for latency asks for, of one component or of each.
fn latency(s: &ContractStanding, j: &Judged) -> String {
    let Some(objective) = &s.contract.latency else {
        return String::new();
    };
    let concerned = s.latency.iter().filter(|l| {
        j.component
            .as_ref()
            .is_none_or(|c| c.as_str() == l.component)
    });
    let shares = concerned.filter_map(|l| {
        share(l.within, l.probes)
            .map(|share| format!("{} {} %", l.component, truncated(&(share * whole(100)), 3)))
    });
    format!(
        "{} of {} % within {} ms",
        shares.collect::<Vec<_>>().join(", "),
        plain(&objective.share),
        objective.within_us / 1000
    )
}

/// How the witnesses stand, and what it means that there are none.
fn witness_line(board: &Board) -> String {
    let view = board.witnesses.load();
    let heard = |standing| {
        view.standings
            .iter()
            .filter(|s| **s == Some(standing))
            .count()
    };
    let (answering, left_out, all) = (
        heard(Standing::Answers),
        heard(Standing::LeftOut),
        view.names.len(),
    );
    match all {
        0 => "No witnesses are configured: if this host loses its uplink, every unreachable \
            endpoint is recorded as down."
            .to_owned(),
        _ if left_out == all => "No witness can be measured on this host: if it loses its uplink, \
            every unreachable endpoint is recorded as down."
            .to_owned(),
        _ => {
            let mut line = format!("{answering} of {all} witnesses answer");
            if left_out > 0 {
                line.push_str(&format!(", {left_out} cannot be measured here"));
            }
            line + "; failures without a quorum of them are unknown time, not downtime."
        }
    }
}

/// What stands beside the state.
fn why(view: &View, board: &Board, endpoint: &Endpoint, now: UtcMs) -> String {
    let mut list = Vec::new();
    if view.shown.state == StateName::Unknown
        && let Some((_, reason)) = view.shown.settled.open_unknown
    {
        list.push(reason.as_str());
    }
    let windows = board.windows.load();
    if !spans_for(
        &windows,
        endpoint.name.as_str(),
        endpoint.component.as_str(),
        Span::new(now, now + 1),
    )
    .as_slice()
    .is_empty()
    {
        list.push("maintenance");
    }
    list.join(", ")
}

fn row(
    reader: &HistoryReader,
    board: &Board,
    entry: &Entry,
    now: UtcMs,
) -> Result<Row, HistoryError> {
    let endpoint = entry.endpoint.load_full();
    let view: View = entry.view().clone();
    let (month, _) = of_entry(reader, entry, last_30_days(now))?;
    let hour = view
        .hour
        .since(now - 3_600_000, Series::Whole(Ending::Success));
    let quantiles = |all: &[(u64, u64)]| {
        let shown = QUANTILES.iter().take(3).filter_map(|(name, ppm)| {
            quantile(all, *ppm).map(|us| format!("{name} {}", millis(us)))
        });
        shown.collect::<Vec<_>>().join(" · ")
    };
    let certificate = view
        .shown
        .certificate
        .as_ref()
        .map(|c| c.not_after.min(c.chain_not_after.unwrap_or(c.not_after)));
    let (last, detail) = match &view.last {
        None => ("not probed yet".to_owned(), String::new()),
        Some(l) => match l.why {
            None => (
                format!("{} in {}", l.result, millis(l.duration_us)),
                String::new(),
            ),
            Some(why) => (format!("{}: {why}", l.result), l.detail.clone()),
        },
    };
    Ok(Row {
        name: endpoint.name.to_string(),
        component: endpoint.component.to_string(),
        kind: endpoint.probe.kind().as_str(),
        target: endpoint.target(),
        state: view.shown.state.as_str(),
        why: why(&view, board, &endpoint, now),
        since: clock(view.shown.since_utc),
        today: cell(&month.timeline(today(now)).sums()),
        month: cell(&month.timeline(last_30_days(now)).sums()),
        spark: spark(&hourly_medians(reader, entry, now)?),
        latency: quantiles(&hour),
        latency_day: quantiles(&day_of(reader, entry, now)?),
        detected: people::duration(endpoint.rules.detection_bound()),
        interval: people::duration(endpoint.rules.cadence.interval),
        certificate: certificate.map_or(String::new(), |at| clock(at)[..10].to_owned()),
        expires_soon: certificate.is_some_and(|at| at - now < SOON_MS),
        last,
        detail,
        next: clock(view.next_slot_utc)[11..].to_owned(),
    })
}

/// Fractions of a millisecond are dropped.
fn length(ms: &Exact) -> String {
    people::duration(ms.to_integer().to_u64().unwrap_or(u64::MAX))
}

fn cell(sums: &Sums) -> Cell {
    let a = sums.availability();
    let percent = |share: u64| people::percent(&percent(share), sums.up + sums.down);
    match (a.point, a.lower, a.upper) {
        (Some(point), Some(lower), Some(upper)) => Cell {
            point: percent(point),
            bounds: format!(
                "{} … {}",
                percent(lower).trim_end_matches(" %"),
                percent(upper)
            ),
        },
        (None, Some(lower), Some(upper)) => Cell {
            point: "unknown".into(),
            bounds: format!(
                "{} … {}",
                percent(lower).trim_end_matches(" %"),
                percent(upper)
            ),
        },
        _ => Cell {
            point: "–".into(),
            bounds: "nothing settled yet".into(),
        },
    }
}

/// `2026-11-01 12:00:00`.
fn clock(at: UtcMs) -> String {
    format_utc(at)[..19].replace('T', " ")
}

fn millis(us: u64) -> String {
    if us < 10_000 {
        format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
    } else {
        format!("{} ms", us / 1000)
    }
}

/// A line through the hours that have a median, the highest at the top.
fn spark(medians: &[Option<u64>]) -> String {
    let highest = medians.iter().flatten().copied().max().unwrap_or(0).max(1);
    let points: Vec<String> = medians
        .iter()
        .enumerate()
        .filter_map(|(k, m)| {
            m.map(|us| {
                format!(
                    "{},{}",
                    k * 120 / medians.len().max(1),
                    23 - us * 22 / highest
                )
            })
        })
        .collect();
    match (points.as_slice(), medians.iter().position(Option::is_some)) {
        // One hour is a line of its own width.
        ([only], Some(k)) => format!(
            "{only} {},{}",
            (k + 1) * 120 / medians.len().max(1),
            only.rsplit(',').next().unwrap_or_default()
        ),
        _ => points.join(" "),
    }
}
