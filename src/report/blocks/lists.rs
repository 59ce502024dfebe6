//! The tables of a report: latency, outages, time that is unknown or taken out, and what changed.

use serde_json::Value;

use super::{Block, LocalizedReport, NOTHING, or_nothing};
use crate::account::shown::{ShownComponent, ShownSums, ShownUnknown, ShownWindow};
use crate::report::change_words::change_in_words;
use crate::report::object::{AdmittedSpan, ListedOutage, ReportedChange, ReportedLatency};
use crate::report::outages::excluded_text;
use crate::report::words::{Language, Word};
use crate::words::shortened;

impl LocalizedReport<'_> {
    pub(crate) fn latency(&self) -> Option<Block> {
        let list = self.report.latency.as_ref().filter(|l| !l.is_empty())?;
        let mut block = Block::new(self.say(Word::Latency));
        block.header = self.said(&[Word::Component, Word::Objective, Word::Verdict]);
        block.header.push("± 1 %".to_owned());
        block.rows = list.iter().map(|l| self.of_latency(l)).collect();
        Some(block)
    }

    fn of_latency(&self, l: &ReportedLatency) -> Vec<String> {
        let verdict = match l.met {
            Some(true) => Word::Met,
            Some(false) => Word::Missed,
            None => Word::Undetermined,
        };
        let share = l.share_percent.as_ref().map_or(NOTHING.into(), |s| {
            format!("{} % ({} / {})", self.number(s), l.within, l.probes)
        });
        let objective = self.number(&l.objective_percent);
        vec![
            l.component.clone(),
            format!("{objective} % ≤ {} ms", l.within_ms),
            self.say(verdict),
            share,
        ]
    }

    pub(crate) fn outages(&self) -> Block {
        let mut block = Block::new(self.say(Word::Outages));
        let bounds = format!("{} … {}", self.say(Word::Earliest), self.say(Word::Latest));
        block.header = vec![
            self.say(Word::Endpoint),
            self.say(Word::From),
            bounds.clone(),
            self.say(Word::To),
            bounds,
            self.say(Word::Cause),
            self.say(Word::FirstFailure),
            self.say(Word::LastFailure),
        ];
        for o in &self.report.outages {
            let at = |at: &Option<String>| self.at_or_nothing(at.as_deref());
            let ends = match (&o.to_earliest, &o.to_latest) {
                (Some(a), Some(b)) => self.language.between(a, b),
                (a, b) => format!("{} … {}", at(a), at(b)),
            };
            let last = o.last_failure_started.as_ref().and_then(Option::as_deref);
            block.rows.push(vec![
                o.endpoint.clone(),
                self.at(&o.from),
                self.language.between(&o.from_earliest, &o.from_latest),
                at(&o.to),
                ends,
                self.cause(o),
                at(&o.first_failure_ended),
                self.at_or_nothing(last),
            ]);
        }
        self.or_none(block)
    }

    /// Why an outage was one, and whether a correction takes it out of the figures.
    fn cause(&self, o: &ListedOutage) -> String {
        let cause = &o.cause;
        match (excluded_text(o.excluded, &o.excluded_by), self.language) {
            (None, _) => cause.clone(),
            (Some(mark), Language::En) => format!("{cause} ({mark})"),
            (Some(mark), _) => {
                let numbers = mark.rsplit_once("by ").map_or("", |(_, numbers)| numbers);
                format!("{cause} ({}: {numbers})", self.say(Word::Excluded))
            }
        }
    }

    pub(crate) fn unknown(&self) -> Block {
        let components = self.report.timeline.components.iter();
        let rows = components.flat_map(|c| c.unknown.iter().map(move |u| (c, u)));
        let of = |text: &Option<String>| or_nothing(text.as_deref());
        let row = |(c, u): (&ShownComponent, &ShownUnknown)| {
            let why = format!("{} ({})", of(&u.reason), c.name);
            (of(&u.from), of(&u.to), why)
        };
        self.spans(Word::UnknownTime, rows.map(row))
    }

    /// Admitted maintenance with the reasons of the windows that it is made of.
    pub(crate) fn admitted(&self) -> Block {
        let row = |a: &AdmittedSpan| {
            let why = format!("{}: {}", a.component, self.reasons(a));
            (a.from.clone(), a.to.clone(), why)
        };
        self.spans(Word::Admitted, self.report.admitted.iter().map(row))
    }

    fn reasons(&self, a: &AdmittedSpan) -> String {
        let concerns = |w: &&ShownWindow| {
            let all = w.components.as_ref();
            all.is_none_or(|list| list.contains(&a.component))
        };
        let touches = |w: &&ShownWindow| {
            let text = |at: &Option<String>| or_nothing(at.as_deref());
            text(&w.from) < a.to && a.from < text(&w.to)
        };
        let windows = self.report.timeline.maintenance.iter();
        let mut all: Vec<&str> = windows
            .filter(touches)
            .filter(concerns)
            .filter_map(|w| w.reason.as_deref().or(w.id.as_deref()))
            .collect();
        all.dedup();
        all.join("; ")
    }

    pub(crate) fn refused(&self) -> Block {
        let rows = self.report.refused.iter();
        self.spans(
            Word::Refused,
            rows.map(|r| (r.from.clone(), r.to.clone(), r.why.clone())),
        )
    }

    pub(crate) fn excluded(&self) -> Block {
        let rows = self.report.excluded.iter().map(|e| {
            let why = format!("{}: {} ({}, # {})", e.endpoint, e.reason, e.by, e.event);
            (e.from.clone(), e.to.clone(), why)
        });
        self.spans(Word::Excluded, rows)
    }

    /// What changed in the period, with the figure before and after; nothing where nothing did.
    pub(crate) fn changed(&self) -> Option<Block> {
        let list = &self.report.changed;
        if list.is_empty() {
            return None;
        }
        let mut block = Block::new(self.say(Word::DefinitionChanged));
        let availability = self.say(Word::Availability);
        block.header = self.said(&[Word::From, Word::Component, Word::Endpoint]);
        block.header.extend([
            String::new(),
            String::new(),
            format!("{availability} ←"),
            format!("{availability} →"),
        ]);
        block.rows = list.iter().map(|c| self.change(c)).collect();
        Some(block)
    }

    fn change(&self, c: &ReportedChange) -> Vec<String> {
        let value = |v: &Value| match v {
            Value::String(text) => shortened(text).to_owned(),
            Value::Null => NOTHING.to_owned(),
            other => other.to_string(),
        };
        let is_step = !c.before.is_null() || !c.after.is_null();
        let step = if is_step {
            format!("{} → {}", value(&c.before), value(&c.after))
        } else {
            String::new()
        };
        let figure = |figure: &Option<ShownSums>| {
            let share = figure
                .as_ref()
                .and_then(|f| f.availability_percent.as_deref());
            self.percent(share)
        };
        vec![
            self.at(&c.at),
            or_nothing(c.component.as_deref()),
            or_nothing(c.endpoint.as_deref()),
            change_in_words(c.what, self.language).to_owned(),
            step,
            figure(&c.figure_before),
            figure(&c.figure_after),
        ]
    }

    /// A table of time and why it is there: (from, to, why).
    fn spans(&self, heading: Word, rows: impl Iterator<Item = (String, String, String)>) -> Block {
        let mut block = Block::new(self.say(heading));
        block.header = self.said(&[Word::From, Word::To, Word::Reason]);
        block.rows = rows
            .map(|(a, b, why)| vec![self.at(&a), self.at(&b), why])
            .collect();
        self.or_none(block)
    }
}
