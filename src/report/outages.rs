//! Outages as they are listed, for reports, API and page alike, with the corrections that take them
//! out of the figures.

use std::collections::BTreeMap;

use super::object::{ExcludedShare, ListedOutage};
use crate::history::HistoryError;
use crate::history::calendar::Calendar;
use crate::history::read::{Exclusion, StoredOutage};
use crate::history::reader::HistoryReader;
use crate::judgement::timeline::{Span, Spans};
use crate::words::format_utc;

/// Corrections that take outages out of the figures, read once for each endpoint.
#[derive(Default)]
pub struct OutageCorrections(BTreeMap<String, Vec<Exclusion>>);

impl OutageCorrections {
    /// The events that exclude an outage, and whether they leave anything of it.
    pub fn of(
        &mut self,
        reader: &HistoryReader,
        o: &StoredOutage,
    ) -> Result<(Vec<u64>, bool), HistoryError> {
        let calendar = reader.calendar()?;
        if !self.0.contains_key(&o.endpoint) {
            self.0.insert(
                o.endpoint.clone(),
                reader.exclusions(&o.endpoint, &o.component)?,
            );
        }
        let own = self.0.get(&o.endpoint).map_or(&[][..], Vec::as_slice);
        let from = calendar.utc(o.from);
        let span = Span::new(
            from,
            o.to.map_or(i64::MAX / 4, |to| calendar.utc(to))
                .max(from + 1),
        );
        let touching: Vec<&Exclusion> = own.iter().filter(|e| e.span.cut(span).is_some()).collect();
        let left =
            Spans::new(vec![span]).minus(&Spans::new(touching.iter().map(|e| e.span).collect()));
        Ok((
            touching.iter().map(|e| e.seq).collect(),
            !left.as_slice().is_empty(),
        ))
    }
}

/// `excluded by #138`, or nothing.
pub fn excluded_text(share: Option<ExcludedShare>, by: &[u64]) -> Option<String> {
    let numbers: Vec<String> = by.iter().map(|n| format!("#{n}")).collect();
    let partly = match share {
        Some(ExcludedShare::Part) => "partly ",
        Some(ExcludedShare::Whole) | None => "",
    };
    (!numbers.is_empty()).then(|| format!("{partly}excluded by {}", numbers.join(", ")))
}

pub fn outage(
    reader: &HistoryReader,
    o: &StoredOutage,
    corrections: &mut OutageCorrections,
) -> Result<ListedOutage, HistoryError> {
    Ok(outage_shown(
        o,
        reader.calendar()?,
        corrections.of(reader, o)?,
    ))
}

pub fn outage_shown(
    o: &StoredOutage,
    calendar: &Calendar,
    (excluded_by, is_left): (Vec<u64>, bool),
) -> ListedOutage {
    let utc = |at: u64| format_utc(calendar.utc(at));
    let excluded = match (excluded_by.is_empty(), is_left) {
        (true, _) => None,
        (false, true) => Some(ExcludedShare::Part),
        (false, false) => Some(ExcludedShare::Whole),
    };
    ListedOutage {
        id: o.opened,
        endpoint: o.endpoint.clone(),
        component: o.component.clone(),
        from: utc(o.from),
        to: o.to.map(utc),
        from_earliest: utc(o.from_earliest),
        from_latest: utc(o.from_latest),
        to_earliest: o.to_earliest.map(utc),
        to_latest: o.to_latest.map(utc),
        cause: o.cause.clone(),
        confirmed_at: utc(o.confirmed_at),
        seq: o.opened,
        excluded,
        excluded_by,
        first_failure_ended: None,
        last_failure_started: None,
    }
}
