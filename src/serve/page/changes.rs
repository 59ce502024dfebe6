//! The rows of outages and of changes.

use serde_json::Value;

use super::shown::{clock, endpoint_address, measured, shown_percent};
use crate::account::figures::parts_of;
use crate::account::shown::ShownSums;
use crate::engine::board::Board;
use crate::history::HistoryError;
use crate::history::definitions::Changed;
use crate::history::outbox::{NoticeStatus, OutageNotice, notices};
use crate::history::reader::HistoryReader;
use crate::judgement::sla::calendar::PeriodKind;
use crate::judgement::sla::calendar::current_and_previous;
use crate::judgement::sla::evaluation::Evaluation;
use crate::judgement::timeline::Span;
use crate::report::change_words::change_in_words;
use crate::report::changed::changed_last as changed;
use crate::report::object::{ChangeOf, ReportedChange};
use crate::report::outages::{OutageCorrections, excluded_text, outage};
use crate::report::prober;
use crate::report::words::Language;
use crate::serve::contracts::{ContractStatus, ContractStatuses};
use crate::words::{Ms, Name, UtcMs, format_utc, parse_utc, people, shortened};

/// As many outages, and as many changes, are on the page.
const OUTAGES: usize = 10;
/// With more endpoints, a look at the changes of each would cost too much.
const FLEET: usize = 1000;

/// One of the last outages.
pub struct OutageRow {
    pub endpoint: String,
    pub address: String,
    pub cause: String,
    /// How long it was, or has been.
    pub length: String,
    pub from: String,
    pub from_between: String,
    pub to: String,
    pub to_between: String,
    pub is_open: bool,
    /// The correction that takes it out of the figures; empty without one.
    pub excluded: String,
    pub messages: Vec<String>,
}

/// One of the last changes of the month.
pub struct ChangeRow {
    /// The endpoint, else the component.
    pub who: String,
    pub at: String,
    pub what: String,
    pub step: String,
    /// Of the component, before and after.
    pub figures: String,
}

/// The newest outages, of one endpoint if named, with the messages about them to the receivers.
pub fn outage_rows(
    reader: &HistoryReader,
    (of, receivers): (Option<&str>, &[Name]),
    now: UtcMs,
) -> Result<Vec<OutageRow>, HistoryError> {
    let calendar = reader.calendar()?;
    let time = |at: Ms| format_utc(calendar.utc(at))[11..23].to_owned();
    let between = |a: Option<Ms>, b: Option<Ms>| {
        a.zip(b)
            .map_or(String::new(), |(a, b)| format!("{} … {}", time(a), time(b)))
    };
    let mut corrections = OutageCorrections::default();
    let mut rows = Vec::new();
    for o in reader.outages(of, i64::MIN / 4, OUTAGES)? {
        let told = outage(reader, &o, &mut corrections)?;
        rows.push(OutageRow {
            from: clock(calendar.utc(o.from)),
            from_between: between(Some(o.from_earliest), Some(o.from_latest)),
            to: o
                .to
                .map_or("still down".to_owned(), |to| clock(calendar.utc(to))),
            to_between: between(o.to_earliest, o.to_latest),
            is_open: o.to.is_none(),
            excluded: excluded_text(told.excluded, &told.excluded_by).unwrap_or_default(),
            // A clock that is set moves the calendar, and makes no outage longer or shorter.
            length: people::duration(o.to.map_or_else(
                || (now - calendar.utc(o.from)).max(0) as Ms,
                |to| to.saturating_sub(o.from),
            )),
            messages: notices(reader, (o.endpoint.as_str(), o.from), receivers)?
                .iter()
                .map(message_in_words)
                .collect(),
            address: endpoint_address(&o.endpoint),
            endpoint: o.endpoint,
            cause: o.cause,
        });
    }
    Ok(rows)
}

/// `ops: start sent at 12:00:05`.
fn message_in_words(notice: &OutageNotice) -> String {
    let tries = match notice.tries {
        1 => "1 try".to_owned(),
        n => format!("{n} tries"),
    };
    let at = &clock(notice.at)[11..];
    let became = match notice.status {
        NoticeStatus::Delivered if notice.tries > 1 => format!("sent at {at}, after {tries}"),
        NoticeStatus::Delivered => format!("sent at {at}"),
        NoticeStatus::Waiting if notice.tries > 0 => format!("not accepted in {tries}"),
        NoticeStatus::Waiting => "waits".to_owned(),
        NoticeStatus::GivenUp => format!("given up at {at}"),
        NoticeStatus::Over => format!("sent or given up at {at}, by an earlier version"),
        NoticeStatus::TakenBack => "not sent: the outage was over before".to_owned(),
    };
    format!("{}: {} {became}", notice.receiver, notice.about)
}

/// The last changes of the present month, with the figure of the component before and after each.
///
/// Terms of contracts come first: they judge more than a component. Beside them, how many more
/// there are.
pub fn change_rows(
    reader: &HistoryReader,
    board: &Board,
    contract_statuses: &ContractStatuses,
    now: UtcMs,
) -> Result<(Vec<ChangeRow>, String), HistoryError> {
    let calendar = reader.calendar()?;
    let mut rows: Vec<ChangeRow> = contract_statuses
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
    let of_prober = prober::rows(reader.definitions()?, month);
    rows.extend(of_prober.iter().rev().map(change_row));
    if board.entries().len() > FLEET {
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
        what: change_in_words(c.what, Language::En).to_owned(),
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
fn terms_rows(s: &ContractStatus) -> Vec<ChangeRow> {
    let row = |c: &ReportedChange, who: String, step: String, figures: String| ChangeRow {
        who,
        at: parse_utc(&c.at).map_or(String::new(), clock),
        what: change_in_words(c.what, Language::En).to_owned(),
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
    let all = |list: &Result<Vec<Evaluation>, String>| -> Vec<Evaluation> {
        list.iter()
            .flatten()
            .filter(|j| j.tenant.is_none())
            .cloned()
            .collect()
    };
    let (own, by_later) = (all(&s.judged), all(&later.judged));
    let is_same = |a: &Evaluation, b: &Evaluation| a.component == b.component;
    let mut pairs: Vec<(Option<&Evaluation>, Option<&Evaluation>)> = own
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
    let verdict = |j: Option<&Evaluation>| j.map_or("–", |j| j.verdict.as_str());
    let share = |j: Option<&Evaluation>| match j.filter(|j| j.availability.is_some()) {
        Some(j) => shown_percent(&j.availability, measured(j)),
        None => "–".to_owned(),
    };
    let one = |(j, l): &(Option<&Evaluation>, Option<&Evaluation>)| {
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
