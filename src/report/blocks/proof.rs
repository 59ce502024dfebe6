//! How endpoints were probed, how many probes there were, and what proves it all.

use super::{Block, LocalizedReport, NOTHING, or_nothing};
use crate::report::object::{ReportedEndpoint, ReportedSlots};
use crate::report::words::Word;

impl LocalizedReport<'_> {
    pub(crate) fn probing(&self) -> Block {
        let mut block = Block::new(self.say(Word::HowProbed));
        block.header = self.said(&[
            Word::Endpoint,
            Word::Interval,
            Word::Timeout,
            Word::Confirmation,
            Word::From,
        ]);
        for e in &self.report.endpoints {
            if e.cadences.is_empty() {
                block.rows.push(self.as_configured(e));
            }
            block.rows.extend(e.cadences.iter().map(|c| {
                vec![
                    e.name.clone(),
                    self.seconds(c.interval_ms),
                    self.seconds(c.timeout_ms),
                    c.down_after.to_string(),
                    self.at(&c.from),
                ]
            }));
        }
        self.or_none(block)
    }

    /// Of an endpoint whose cadence no event tells.
    fn as_configured(&self, e: &ReportedEndpoint) -> Vec<String> {
        vec![
            e.name.clone(),
            self.seconds(e.interval_ms),
            self.seconds(e.timeout_ms),
            e.down_after.map_or(NOTHING.to_owned(), |n| n.to_string()),
            NOTHING.to_owned(),
        ]
    }

    pub(crate) fn slots(&self) -> Block {
        let mut block = Block::new(self.say(Word::Slots));
        block.header = self.said(&[
            Word::Endpoint,
            Word::Expected,
            Word::NotRun,
            Word::Probed,
            Word::Failed,
            Word::Unconfirmed,
            Word::Unmeasured,
            Word::SlotsMissed,
        ]);
        let rows = self.report.slots.iter();
        block.rows = rows.map(of_slots).collect();
        self.or_none(block)
    }

    pub(crate) fn proof(&self) -> Block {
        let r = self.report;
        let mut block = Block::new(self.say(Word::Proof));
        let (events, of) = (&r.events, |text: &Option<String>| {
            or_nothing(text.as_deref())
        });
        let zones = r.zone_data.as_ref().map_or(String::new(), |zones| {
            format!(", tzdata {} ({})", zones.release, zones.source)
        });
        let vantage = r.vantages.first().map_or(NOTHING, String::as_str);
        block.lines.extend([
            format!(
                "{}: {} – {}, {}",
                self.say(Word::Events),
                events.first,
                events.last,
                events.head
            ),
            format!(
                "{}: {} ({})",
                self.say(Word::Signature),
                of(&r.signature),
                of(&r.key)
            ),
            format!("{}{zones}, {vantage}", r.software),
            match &r.terms_recorded_at {
                Some(at) => format!("{}: {}", self.say(Word::TermsRecorded), self.at(at)),
                None => format!("{}.", self.say(Word::TermsNotRecorded)),
            },
        ]);
        block.lines.extend(r.configs.iter().map(|c| {
            format!(
                "{}: {} ({} {})",
                self.say(Word::Config),
                c.sha256,
                self.say(Word::From).to_lowercase(),
                self.at(&c.from)
            )
        }));
        block
    }
}

fn of_slots(s: &ReportedSlots) -> Vec<String> {
    // Hours without a tally are not hours without a probe.
    let counted = |n: u64| match s.hours {
        0 => NOTHING.to_owned(),
        _ => n.to_string(),
    };
    let due = |n: Option<u64>| n.map_or(NOTHING.to_owned(), |n| n.to_string());
    vec![
        s.endpoint.clone(),
        due(s.expected),
        due(s.not_run),
        counted(s.probed),
        counted(s.failure),
        counted(s.unconfirmed),
        counted(s.unmeasured),
        counted(s.missed),
    ]
}
